"""Rules and lists of users → who is in each audience, as a table and as files of pseudonyms."""

from contextlib import ExitStack
from datetime import datetime
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.rules import check_rule, told_of
from profile_lib.sections.uses import SegmentSettings
from profile_lib.segmentation.audience import members
from profile_lib.segmentation.export import write_pseudonyms
from profile_lib.segmentation.lookalikes import (
    known_seeds,
    learn_likeness,
    most_alike,
    read_seeds,
)
from profile_lib.spark import kept
from profile_lib.store import Store
from profile_lib.tables import AUDIENCES, USER_PROFILES, USER_SEGMENTS

OF_SEGMENTS = [name for name in USER_SEGMENTS.names() if name not in USER_PROFILES.names()]


class Audiences:
    """Those of the settings, by profiles of one version.

    Raises InputError where a rule or a list of users cannot be used.
    """

    def __init__(self, store: Store, given: SegmentSettings, profiles: DataFrame) -> None:
        self.store, self.given, self.profiles = store, given, profiles
        columns = USER_PROFILES.names() + OF_SEGMENTS
        for name, rule in given.audiences.items():
            check_rule(rule, columns, _rule_at(name), "user_profiles and user_segments")
        self.seeds = {
            name: known_seeds(
                read_seeds(store.spark, like.seeds, _list_at(name)), profiles, _list_at(name)
            )
            for name, like in given.lookalikes.items()
        }

    def fill(self) -> None:
        """Write who is in each, all at once, and then a file of each where these are wanted.

        A user who was in one before keeps the time since when. Audiences that are no more in the
        settings go from the table. Raises InputError where a rule cannot be computed.
        """
        segments = self.store.read(USER_SEGMENTS)
        as_of = segments.agg(F.max("as_of_ts")).collect()[0][0]
        told = self.profiles.join(segments.select("user_id", *OF_SEGMENTS), "user_id")
        with ExitStack() as stack:
            filled: dict[str, DataFrame] = {}
            for name, rule in self.given.audiences.items():
                with told_of(rule, _rule_at(name)):
                    found = stack.enter_context(kept(members(told, rule, _rule_at(name))))
                    print(f"  {name}: {found.count():,} users", flush=True)
                filled[name] = _rows(name, found.withColumn("score", F.lit(None)), rule)
            for name in self.given.lookalikes:
                found = stack.enter_context(kept(self._alike(name)))
                filled[name] = _rows(name, found, f"like {self.given.lookalikes[name].seeds}")
            self._write(filled, as_of)

    def _alike(self, name: str) -> DataFrame:
        seeds, given = self.seeds[name], self.given
        likeness = learn_likeness(
            self.profiles, seeds, n_sample=given.sample_users, seed=given.seed, where=_list_at(name)
        )
        n_users = given.lookalikes[name].n_users
        auc = "not known of so few" if likeness.auc is None else f"{likeness.auc:.3f}"
        print(f"  {name}: {n_users:,} users like {likeness.n_seeds:,}, ROC-AUC {auc}", flush=True)
        return most_alike(self.profiles, seeds, likeness, n_users)

    def _write(self, filled: dict[str, DataFrame], as_of: datetime) -> None:
        if not filled and not self.store.exists(AUDIENCES):
            return
        before = self.store.read_or_empty(AUDIENCES)
        nobody = before.drop("added_ts").limit(0)
        now = reduce(DataFrame.unionByName, filled.values(), nobody)
        since_when = before.select("audience", "user_id", "added_ts")
        rows = now.join(since_when, ["audience", "user_id"], "left")
        added = F.coalesce("added_ts", F.lit(as_of))
        self.store.replace(AUDIENCES, rows.withColumn("added_ts", added))
        if self.given.export is not None:
            for name, users in filled.items():
                write_pseudonyms(users, f"{self.given.export}/{name}.csv")


def _rows(name: str, users: DataFrame, rule: str) -> DataFrame:
    return users.select(
        F.lit(name).alias("audience"),
        "user_id",
        F.lit(rule).alias("rule"),
        F.col("score").cast("double").alias("score"),
    )


def _rule_at(name: str) -> str:
    return f"segments.audiences.{name}"


def _list_at(name: str) -> str:
    return f"segments.lookalikes.{name}"
