"""Write item lists of users whose profile changed, or of all users."""

import logging
from collections.abc import Sequence
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
from profile_lib.pipelines.code_version import LIST_CODE, find_code_version
from profile_lib.pipelines.eligibility import apply_eligibility
from profile_lib.profiles.refresh_state import hash_definition, select_users_in_buckets
from profile_lib.recommend.retrieval_model import load_reader
from profile_lib.recommend.serving.listing import RETRIEVAL_FOLDER, list_items
from profile_lib.recommend.serving.recommender import ListRules
from profile_lib.spark.session import cached
from profile_lib.tables import RECOMMENDATION_REFRESH_STATE, RECOMMENDATIONS, USER_PROFILES
from profile_lib.tables.table import USER_BUCKET

log = logging.getLogger(__name__)

KEYS = ["user_id", "user_bucket", "rank"]
GUARD = "source.profiles_version >= target.profiles_version"  # a newer list is not replaced


def run(store: Store, settings: Settings) -> None:
    """Write the lists of users whose profile changed since the last run.

    Lists with an item that is no longer eligible are replaced as well. If the recommender or a rule
    changed, the lists of all users are written, some buckets at a time, so that an interrupted run
    continues with the remaining ones. Raises InputError if the recommender is incomplete or was
    fitted to profiles of another model, and if a rule cannot be computed.
    """
    lists = ListRefresher(store, settings)
    lists.catch_up()
    log.info("recommend_items: lists of %s users computed", f"{lists.n_users:,}")


class ListRefresher(BucketRefresher):
    """A refresh of the lists in `recommendations` from the current profiles."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.settings, config = settings, settings.recommend
        self.folder = f"{settings.paths.models}/{config.name}"
        manifest = check_model(self.folder)
        self.recommender = f"{config.name}-{hash_json(manifest.files, 12)}"
        reader = load_reader(Path(self.folder) / RETRIEVAL_FOLDER)
        self.model_version, self.item_ids = reader.model_version, reader.items
        self.version = store.version(USER_PROFILES)
        self.profiles = store.read(USER_PROFILES, self.version)
        self._check_model()
        self.eligibility = apply_eligibility(store, config, self.item_ids)
        rules = config.model_dump(include={"lists", "task_weights", "stock", "eligible", "boost"})
        rules["profiles"] = store.table_id(USER_PROFILES)
        super().__init__(
            store,
            RECOMMENDATIONS,
            RECOMMENDATION_REFRESH_STATE,
            definition=hash_definition(find_code_version(LIST_CODE), self.recommender, rules),
            versions=(self.version,),
            n_buckets=settings.refresh.user_buckets,
            buckets_per_chunk=settings.refresh.buckets_per_chunk,
        )

    def catch_up(self) -> None:
        """Write the lists of changed users, and the lists with items that became ineligible."""
        if buckets := self.find_buckets_to_update():
            users = self._users_with_ineligible_items()
            self.compute(select_users_in_buckets(users, buckets, self.n_buckets), buckets)
        super().catch_up()

    def select_source_users(self) -> DataFrame:
        """Return (user_id) of all profiles."""
        return self.profiles.select("user_id")

    def find_changed_users(self, since: tuple[int, ...]) -> DataFrame | None:
        """Return the changes of profiles since a version, None if the change feed has expired."""
        (version,) = since
        return self.store.changes(USER_PROFILES, version, self.version)

    def compute(self, users: DataFrame, buckets: Sequence[int] | None = None) -> None:
        """Write the lists of distinct users, and delete surplus rows of shorter lists."""
        with cached(users) as users:
            if not (n := users.count()):
                return
            profiles = self.profiles
            if buckets is not None:
                profiles = profiles.where(F.col(USER_BUCKET).isin(*buckets))
            with cached(self._lists(profiles.join(users, "user_id", "left_semi"))) as lists:
                upsert_rows_of_users(
                    self.store,
                    RECOMMENDATIONS,
                    users,
                    lists,
                    lists.select(*KEYS),
                    self._versions(),
                    GUARD,
                )
        self.n_users += n

    def _lists(self, profiles: DataFrame) -> DataFrame:
        config = self.settings.recommend
        rules = ListRules(**config.lists.model_dump())
        lists = list_items(
            profiles, self.folder, self.recommender, config.task_weights, rules, self.eligibility
        )
        return lists.withColumns(self._versions()).select(*RECOMMENDATIONS.column_names())

    def _versions(self) -> dict[str, Column]:
        return {
            "recommender_version": F.lit(self.recommender),
            "model_version": F.lit(self.model_version),
            "profiles_version": F.lit(self.version).cast("long"),
        }

    def _users_with_ineligible_items(self) -> DataFrame:
        """Return (user_id) of users whose list holds an ineligible item."""
        ineligible = self.item_ids.filter(pa.array(~self.eligibility.is_eligible))
        items = self.store.spark.createDataFrame(pa.table({"item_id": ineligible}))
        lists = self.store.read_or_empty(RECOMMENDATIONS)
        return lists.join(F.broadcast(items), "item_id", "left_semi").select("user_id")

    def _check_model(self) -> None:
        """Raise InputError if all profiles are by another model; warn if some are."""
        counts = self.profiles.groupBy("model_version").count().collect()
        n_profiles = {row["model_version"]: row["count"] for row in counts}
        if n_profiles and self.model_version not in n_profiles:
            raise InputError(
                f"{self.folder}: fitted to profiles by {self.model_version}, but user_profiles are "
                f"by {', '.join(sorted(n_profiles))}, whose interest vectors are not comparable; "
                "run python jobs/fit_recommender.py --config FILE"
            )
        n_others = sum(n for version, n in n_profiles.items() if version != self.model_version)
        if n_others:
            log.warning(
                "recommend_items: %s profiles are by another model; their interest vectors are not "
                "read",
                f"{n_others:,}",
            )
