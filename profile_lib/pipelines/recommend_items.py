"""user_profiles and a recommender → recommendations: of whom something changed, or of all."""

from pathlib import Path

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.fingerprint import hash_json
from profile_lib.model.manifest import check_model
from profile_lib.pipelines.bucket_refresh import BucketRefresher, upsert_rows_of_users
from profile_lib.pipelines.eligibility import apply_eligibility
from profile_lib.profiles.refresh_state import hash_definition, select_users_in_buckets
from profile_lib.recommend.data.artifacts import load_reader
from profile_lib.recommend.serving.listing import RETRIEVAL_FOLDER, list_items
from profile_lib.recommend.serving.recommender import ListRules
from profile_lib.spark.session import cached
from profile_lib.tables import RECOMMENDATION_REFRESH_STATE, RECOMMENDATIONS, USER_PROFILES

KEYS = ["user_id", "user_bucket", "rank"]
GUARD = "source.profiles_version >= target.profiles_version"  # lists that know more stay


def run(store: Store, settings: Settings) -> None:
    """Bring the lists to what the profiles say now.

    Listed are the users whose profile changed since the last run, and those who were listed what is
    no longer offered. A new recommender or other rules list all, some buckets at a time: a run that
    was broken off goes on with those that are left. Raises InputError where a day is given, the
    recommender is not whole or learned of another model than the profiles are by, and where a rule
    cannot be computed.
    """
    listing = ListRefresh(store, settings)
    listing.catch_up()
    print(f"recommend_items: {listing.n_users:,} users listed")


class ListRefresh(BucketRefresher):
    """The profiles as they are now, the recommender, and how far lists are."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.settings, given = settings, settings.recommend
        self.folder = f"{settings.paths.models}/{given.name}"
        manifest = check_model(self.folder)
        self.recommender = f"{given.name}-{hash_json(manifest.files, 12)}"
        reader = load_reader(Path(self.folder) / RETRIEVAL_FOLDER)
        self.model_version, self.item_ids = reader.model_version, reader.items
        self.version = store.version(USER_PROFILES)
        self.profiles = store.read(USER_PROFILES, self.version)
        self._check_model()
        self.eligibility = apply_eligibility(store, given, self.item_ids)
        told = given.model_dump(include={"lists", "task_weights", "stock", "eligible", "boost"})
        told["profiles"] = store.table_id(USER_PROFILES)
        super().__init__(
            store,
            RECOMMENDATIONS,
            RECOMMENDATION_REFRESH_STATE,
            definition=hash_definition(self.recommender, told),
            versions=(self.version,),
            n_buckets=settings.refresh.user_buckets,
            buckets_per_chunk=settings.refresh.buckets_per_chunk,
        )

    def catch_up(self) -> None:
        """List users who are missing or changed, and those listed an item now ineligible."""
        if buckets := self.find_buckets_to_update():
            users = self._users_with_ineligible_items()
            self.compute(select_users_in_buckets(users, buckets, self.n_buckets))
        super().catch_up()

    def select_source_users(self) -> DataFrame:
        """Return (user_id) of all profiles."""
        return self.profiles.select("user_id")

    def find_changed_users(self, since: tuple[int, ...]) -> DataFrame | None:
        """Return the changes of profiles since a version; None if the feed does not reach it."""
        (version,) = since
        return self.store.changes(USER_PROFILES, version, self.version)

    def compute(self, users: DataFrame) -> None:
        """Write the lists of (user_id), and take out what they had beyond them."""
        with cached(users) as users:
            if not (n := users.count()):
                return
            with cached(self._lists(self.profiles.join(users, "user_id", "left_semi"))) as lists:
                upsert_rows_of_users(
                    self.store, RECOMMENDATIONS, users, lists, lists.select(*KEYS),
                    self._versions(), GUARD,
                )  # fmt: skip
        self.n_users += n

    def _lists(self, profiles: DataFrame) -> DataFrame:
        given = self.settings.recommend
        rules = ListRules(**given.lists.model_dump())
        lists = list_items(
            profiles, self.folder, self.recommender, given.task_weights, rules, self.eligibility
        )
        return lists.withColumns(self._versions()).select(*RECOMMENDATIONS.column_names())

    def _versions(self) -> dict[str, Column]:
        return {
            "recommender_version": F.lit(self.recommender),
            "model_version": F.lit(self.model_version),
            "profiles_version": F.lit(self.version).cast("long"),
        }

    def _users_with_ineligible_items(self) -> DataFrame:
        """(user_id) of those whose lists hold an item that is not offered now."""
        gone = self.item_ids.filter(pa.array(~self.eligibility.is_eligible))
        items = self.store.spark.createDataFrame(pa.table({"item_id": gone}))
        lists = self.store.read_or_empty(RECOMMENDATIONS)
        return lists.join(F.broadcast(items), "item_id", "left_semi").select("user_id")

    def _check_model(self) -> None:
        """Raise InputError where no profile is by the model that the recommender learned of."""
        counts = self.profiles.groupBy("model_version").count().collect()
        n_of = {row["model_version"]: row["count"] for row in counts}
        if n_of and self.model_version not in n_of:
            raise InputError(
                f"{self.folder}: learned of profiles by {self.model_version}, but user_profiles "
                f"are by {', '.join(sorted(n_of))}, whose interest vectors lie elsewhere; run "
                "python jobs/fit_recommender.py --config FILE"
            )
        if others := sum(n for by, n in n_of.items() if by != self.model_version):
            print(
                f"  {others:,} profiles are by another model: their interest vectors are not read"
            )
