"""Write the members of the audiences to a table, and as pseudonyms to files."""

import logging
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

log = logging.getLogger(__name__)


class Audiences:
    """The audiences that the settings define, over one version of the profiles.

    Raises InputError if a rule is not a safe expression of the columns, or if a list of seeds
    cannot be read or names no user with a profile.
    """

    def __init__(self, store: Store, config: SegmentSettings, profiles: DataFrame) -> None:
        self.store, self.config, self.profiles = store, config, profiles
        columns = USER_PROFILES.column_names() + SEGMENT_COLUMNS
        for name, rule in config.audiences.items():
            check_rule(rule, columns, _rule_setting(name), "user_profiles and user_segments")
        self.seeds = {
            name: select_seeds_with_profile(
                read_seeds(store.spark, lookalike.seeds, _seeds_setting(name)),
                profiles,
                _seeds_setting(name),
            )
            for name, lookalike in config.lookalikes.items()
        }

    def fill(self) -> None:
        """Write the members of all audiences at once, then a file per audience if requested.

        The row of a user who stays in an audience retains its `added_ts`. Audiences that are no
        longer in the settings are removed from the table. Raises InputError if a rule cannot be
        computed.
        """
        segments = self.store.read(USER_SEGMENTS)
        as_of = segments.agg(F.max("as_of_ts")).collect()[0][0]
        users = self.profiles.join(segments.select("user_id", *SEGMENT_COLUMNS), "user_id")
        with ExitStack() as stack:
            audiences: dict[str, DataFrame] = {}
            for name, rule in self.config.audiences.items():
                with describe_rule_errors(rule, _rule_setting(name)):
                    selected = select_members(users, rule, _rule_setting(name))
                    members = stack.enter_context(cached(selected))
                    log.info(f"  {name}: {members.count():,} users")
                audiences[name] = _audience_rows(
                    name, members.withColumn("score", F.lit(None)), rule
                )
            for name, lookalike in self.config.lookalikes.items():
                members = stack.enter_context(cached(self._find_lookalikes(name)))
                audiences[name] = _audience_rows(name, members, f"like {lookalike.seeds}")
            self._write(audiences, as_of)

    def _find_lookalikes(self, name: str) -> DataFrame:
        seeds, config = self.seeds[name], self.config
        model = fit_lookalike_model(
            self.profiles,
            seeds,
            n_sample=config.sample_users,
            random_seed=config.seed,
            setting=_seeds_setting(name),
        )
        n_users = config.lookalikes[name].n_users
        auc = "unknown with so few" if model.auc is None else f"{model.auc:.3f}"
        log.info(f"  {name}: {n_users:,} users like {model.n_seeds:,} seeds, ROC-AUC {auc}")
        return find_lookalikes(self.profiles, seeds, model, n_users)

    def _write(self, audiences: dict[str, DataFrame], as_of: datetime) -> None:
        if not audiences and not self.store.exists(AUDIENCES):
            return
        previous = self.store.read_or_empty(AUDIENCES)
        no_rows = previous.drop("added_ts").limit(0)
        current = reduce(DataFrame.unionByName, audiences.values(), no_rows)
        added = previous.select("audience", "user_id", "added_ts")
        rows = current.join(added, ["audience", "user_id"], "left")
        added_ts = F.coalesce("added_ts", F.lit(as_of))
        self.store.replace(AUDIENCES, rows.withColumn("added_ts", added_ts))
        if self.config.export_folder is not None:
            for name, members in audiences.items():
                write_pseudonyms(members, f"{self.config.export_folder}/{name}.csv")


def _audience_rows(name: str, users: DataFrame, rule: str) -> DataFrame:
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
