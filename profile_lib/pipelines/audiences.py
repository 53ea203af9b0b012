"""Rules and lists of users → who is in each audience, as a table and as files of pseudonyms."""

from contextlib import ExitStack
from datetime import datetime
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.segmentation import SegmentSettings
from profile_lib.delta.store import Store
from profile_lib.segmentation.audiences import select_members
from profile_lib.segmentation.export import write_pseudonyms
from profile_lib.segmentation.lookalikes import (
    find_lookalikes,
    fit_lookalike_model,
    read_seeds,
    select_seeds_with_profile,
)
from profile_lib.spark.session import cached
from profile_lib.spark.sql_rules import check_rule, describe_rule_errors
from profile_lib.tables import AUDIENCES, USER_PROFILES, USER_SEGMENTS

SEGMENT_COLUMNS = [
    name for name in USER_SEGMENTS.column_names() if name not in USER_PROFILES.column_names()
]


class Audiences:
    """Those of the settings, by profiles of one version.

    Raises InputError where a rule or a list of users cannot be used.
    """

    def __init__(self, store: Store, config: SegmentSettings, profiles: DataFrame) -> None:
        self.store, self.config, self.profiles = store, config, profiles
        columns = USER_PROFILES.column_names() + SEGMENT_COLUMNS
        for name, rule in config.audiences.items():
            check_rule(rule, columns, _rule_setting(name), "user_profiles and user_segments")
        self.seeds = {
            name: select_seeds_with_profile(
                read_seeds(store.spark, like.seeds, _seeds_setting(name)),
                profiles,
                _seeds_setting(name),
            )
            for name, like in config.lookalikes.items()
        }

    def fill(self) -> None:
        """Write who is in each, all at once, and then a file of each where these are wanted.

        A user who was in one before keeps the time since when. Audiences that are no more in the
        settings go from the table. Raises InputError where a rule cannot be computed.
        """
        segments = self.store.read(USER_SEGMENTS)
        as_of = segments.agg(F.max("as_of_ts")).collect()[0][0]
        told = self.profiles.join(segments.select("user_id", *SEGMENT_COLUMNS), "user_id")
        with ExitStack() as stack:
            filled: dict[str, DataFrame] = {}
            for name, rule in self.config.audiences.items():
                with describe_rule_errors(rule, _rule_setting(name)):
                    found = stack.enter_context(
                        cached(select_members(told, rule, _rule_setting(name)))
                    )
                    print(f"  {name}: {found.count():,} users", flush=True)
                filled[name] = _rows(name, found.withColumn("score", F.lit(None)), rule)
            for name in self.config.lookalikes:
                found = stack.enter_context(cached(self._find_lookalikes(name)))
                filled[name] = _rows(name, found, f"like {self.config.lookalikes[name].seeds}")
            self._write(filled, as_of)

    def _find_lookalikes(self, name: str) -> DataFrame:
        seeds, config = self.seeds[name], self.config
        lookalike_model = fit_lookalike_model(
            self.profiles,
            seeds,
            n_sample=config.sample_users,
            seed=config.seed,
            setting=_seeds_setting(name),
        )
        n_users = config.lookalikes[name].n_users
        auc = "not known of so few" if lookalike_model.auc is None else f"{lookalike_model.auc:.3f}"
        print(
            f"  {name}: {n_users:,} users like {lookalike_model.n_seeds:,}, ROC-AUC {auc}",
            flush=True,
        )
        return find_lookalikes(self.profiles, seeds, lookalike_model, n_users)

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
        if self.config.export_folder is not None:
            for name, users in filled.items():
                write_pseudonyms(users, f"{self.config.export_folder}/{name}.csv")


def _rows(name: str, users: DataFrame, rule: str) -> DataFrame:
    return users.select(
        F.lit(name).alias("audience"),
        "user_id",
        F.lit(rule).alias("rule"),
        F.col("score").cast("double").alias("score"),
    )


def _rule_setting(name: str) -> str:
    return f"segments.audiences.{name}"


def _seeds_setting(name: str) -> str:
    return f"segments.lookalikes.{name}"
