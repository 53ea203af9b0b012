"""user_profiles and a recommender → recommendations: of whom something changed, or of all."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.command import main
from jobs.offering import offers_of
from profile_lib.config import Settings
from profile_lib.errors import InputError
from profile_lib.merge import IS_DELETED, deletions
from profile_lib.model.about import check_model
from profile_lib.profiles.refresh import users_in
from profile_lib.profiles.standing import (
    Standing,
    buckets_behind,
    buckets_to_compute,
    definition_of,
    noted,
)
from profile_lib.recommend.learned import load_reader
from profile_lib.recommend.listing import LEARNED, list_items
from profile_lib.recommend.recommender import Rules
from profile_lib.spark import kept
from profile_lib.store import Store
from profile_lib.tables import RECOMMENDATION_REFRESHES, RECOMMENDATIONS, USER_PROFILES

KEYS = ["user_id", "user_bucket", "rank"]
GUARD = "source.profiles_version >= target.profiles_version"  # lists that know more stay


def run(store: Store, settings: Settings, day: date | None) -> None:
    """Bring the lists to what the profiles say now.

    Listed are the users whose profile changed since the last run, and those who were listed what is
    no longer offered. A new recommender or other rules list all, some buckets at a time: a run that
    was broken off goes on with those that are left. Raises InputError where a day is given, the
    recommender is not whole or learned of another model than the profiles are by, and where a rule
    cannot be computed.
    """
    if day is not None:
        raise InputError("--date: recommend_items takes the profiles as they are now")
    listing = Listings(store, settings)
    listing.catch_up()
    print(f"recommend_items: {listing.n_users:,} users listed")


class Listings:
    """The profiles as they are now, the recommender, and how far lists are."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store, self.settings, given = store, settings, settings.recommend
        self.folder = f"{settings.paths.models}/{given.name}"
        about = check_model(self.folder)
        self.recommender = f"{given.name}-{hash_of(about.files)}"
        reader = load_reader(Path(self.folder) / LEARNED)
        self.model_version, self.item_ids = reader.model_version, reader.items
        self.version = store.version(USER_PROFILES)
        self.profiles = store.read(USER_PROFILES, self.version)
        self._check_model()
        self.offers = offers_of(store, given, self.item_ids)
        told = given.model_dump(include={"lists", "worth", "stock", "offered", "boost"})
        told["profiles"] = store.table_id(USER_PROFILES)
        self.definition = definition_of(self.recommender, told)
        self.n_buckets = settings.refresh.user_buckets
        self.standing = self._noted()
        self.n_users = 0

    def catch_up(self) -> None:
        """List who is missing or changed of every bucket, and note how far each is."""
        whole = buckets_to_compute(self.standing, self.definition, self.n_buckets)
        others = sorted(set(range(self.n_buckets)) - set(whole))
        if others:
            self.list_users(users_in(self._listed_what_is_gone(), others, self.n_buckets))
        for (version,), buckets in buckets_behind(self.standing, others, (self.version,)).items():
            changed = self.store.changes(USER_PROFILES, version, self.version)
            if changed is None:
                whole += buckets
                continue
            self.list_users(users_in(changed, buckets, self.n_buckets))
            self._note(buckets)
        size = self.settings.refresh.buckets_a_chunk
        for first in range(0, len(whole), size):
            chunk = whole[first : first + size]
            stored = self.store.read_or_empty(RECOMMENDATIONS)
            both = self.profiles.select("user_id").union(stored.select("user_id"))
            self.list_users(users_in(both, chunk, self.n_buckets))
            self._note(chunk)
            print(f"  {first + len(chunk)} of {len(whole)} buckets listed whole", flush=True)

    def list_users(self, users: DataFrame) -> None:
        """Write the lists of (user_id), and take out what they had beyond them."""
        with kept(users) as users:
            if not (n := users.count()):
                return
            with kept(self._lists(self.profiles.join(users, "user_id", "left_semi"))) as lists:
                stored = self.store.read_or_empty(RECOMMENDATIONS)
                before = stored.join(users, "user_id", "left_semi").select(*KEYS)
                gone = before.join(lists.select(*KEYS), KEYS, "left_anti")
                changes = lists.withColumn(IS_DELETED, F.lit(False)).unionByName(
                    deletions(RECOMMENDATIONS, self._stamped(gone))
                )
                self.store.upsert(RECOMMENDATIONS, changes, guard=GUARD)
        self.n_users += n

    def _lists(self, profiles: DataFrame) -> DataFrame:
        given = self.settings.recommend
        rules = Rules(**given.lists.model_dump())
        lists = list_items(profiles, self.folder, self.recommender, given.worth, rules, self.offers)
        return self._stamped(lists).select(*RECOMMENDATIONS.names())

    def _stamped(self, rows: DataFrame) -> DataFrame:
        return rows.withColumns(
            {
                "recommender_version": F.lit(self.recommender),
                "model_version": F.lit(self.model_version),
                "profiles_version": F.lit(self.version).cast("long"),
            }
        )

    def _listed_what_is_gone(self) -> DataFrame:
        """(user_id) of those whose lists hold an item that is not offered now."""
        gone = self.item_ids.filter(pa.array(~self.offers.is_offered))
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

    def _noted(self) -> dict[int, Standing]:
        rows = self.store.read_or_empty(RECOMMENDATION_REFRESHES).collect()  # one row a bucket
        return {bucket: Standing(by, (version,)) for bucket, by, version in rows}

    def _note(self, buckets: Sequence[int]) -> None:
        """Write how far these buckets are."""
        here = dict.fromkeys(buckets, Standing(self.definition, (self.version,)))
        self.standing = noted(self.standing, self._noted(), here, self.n_buckets)
        rows = [(bucket, by, *at) for bucket, (by, at) in sorted(self.standing.items())]
        frame = self.store.spark.createDataFrame(rows, RECOMMENDATION_REFRESHES.schema)
        self.store.replace(RECOMMENDATION_REFRESHES, frame.coalesce(1))


def hash_of(files: Mapping[str, str]) -> str:
    """A hash of the checksums of files by their names."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:12]


if __name__ == "__main__":
    main("recommend_items", run, __doc__)
