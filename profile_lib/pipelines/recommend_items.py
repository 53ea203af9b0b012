"""user_profiles and a recommender → recommendations: of whom something changed, or of all."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.merge import IS_DELETED, deletion_rows
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.fingerprint import hash_json
from profile_lib.model.manifest import check_model
from profile_lib.pipelines.eligibility import apply_eligibility
from profile_lib.profiles.changed_users import select_users_in_buckets
from profile_lib.profiles.refresh_state import (
    RefreshState,
    find_buckets_to_rebuild,
    group_outdated_buckets,
    hash_definition,
    merge_refresh_states,
)
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


class ListRefresh:
    """The profiles as they are now, the recommender, and how far lists are."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store, self.settings, given = store, settings, settings.recommend
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
        self.definition = hash_definition(self.recommender, told)
        self.n_buckets = settings.refresh.user_buckets
        self.refresh_states = self._read_refresh_states()
        self.n_users = 0

    def catch_up(self) -> None:
        """List who is missing or changed of every bucket, and note how far each is."""
        whole = find_buckets_to_rebuild(self.refresh_states, self.definition, self.n_buckets)
        others = sorted(set(range(self.n_buckets)) - set(whole))
        if others:
            self.list_users(
                select_users_in_buckets(self._users_with_ineligible_items(), others, self.n_buckets)
            )
        for (version,), buckets in group_outdated_buckets(
            self.refresh_states, others, (self.version,)
        ).items():
            changed = self.store.changes(USER_PROFILES, version, self.version)
            if changed is None:
                whole += buckets
                continue
            self.list_users(select_users_in_buckets(changed, buckets, self.n_buckets))
            self._write_refresh_states(buckets)
        size = self.settings.refresh.buckets_per_chunk
        for first in range(0, len(whole), size):
            chunk = whole[first : first + size]
            stored = self.store.read_or_empty(RECOMMENDATIONS)
            both = self.profiles.select("user_id").union(stored.select("user_id"))
            self.list_users(select_users_in_buckets(both, chunk, self.n_buckets))
            self._write_refresh_states(chunk)
            print(f"  {first + len(chunk)} of {len(whole)} buckets listed whole", flush=True)

    def list_users(self, users: DataFrame) -> None:
        """Write the lists of (user_id), and take out what they had beyond them."""
        with cached(users) as users:
            if not (n := users.count()):
                return
            with cached(self._lists(self.profiles.join(users, "user_id", "left_semi"))) as lists:
                stored = self.store.read_or_empty(RECOMMENDATIONS)
                before = stored.join(users, "user_id", "left_semi").select(*KEYS)
                gone = before.join(lists.select(*KEYS), KEYS, "left_anti")
                changes = lists.withColumn(IS_DELETED, F.lit(False)).unionByName(
                    deletion_rows(RECOMMENDATIONS, self._add_versions(gone))
                )
                self.store.upsert(RECOMMENDATIONS, changes, guard=GUARD)
        self.n_users += n

    def _lists(self, profiles: DataFrame) -> DataFrame:
        given = self.settings.recommend
        rules = ListRules(**given.lists.model_dump())
        lists = list_items(
            profiles, self.folder, self.recommender, given.task_weights, rules, self.eligibility
        )
        return self._add_versions(lists).select(*RECOMMENDATIONS.column_names())

    def _add_versions(self, rows: DataFrame) -> DataFrame:
        return rows.withColumns(
            {
                "recommender_version": F.lit(self.recommender),
                "model_version": F.lit(self.model_version),
                "profiles_version": F.lit(self.version).cast("long"),
            }
        )

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

    def _read_refresh_states(self) -> dict[int, RefreshState]:
        rows = self.store.read_or_empty(RECOMMENDATION_REFRESH_STATE).collect()  # one row a bucket
        return {bucket: RefreshState(by, (version,)) for bucket, by, version in rows}

    def _write_refresh_states(self, buckets: Sequence[int]) -> None:
        """Write how far these buckets are."""
        here = dict.fromkeys(buckets, RefreshState(self.definition, (self.version,)))
        self.refresh_states = merge_refresh_states(
            self.refresh_states, self._read_refresh_states(), here, self.n_buckets
        )
        rows = [(bucket, by, *at) for bucket, (by, at) in sorted(self.refresh_states.items())]
        frame = self.store.spark.createDataFrame(rows, RECOMMENDATION_REFRESH_STATE.schema)
        self.store.replace(RECOMMENDATION_REFRESH_STATE, frame.coalesce(1))
