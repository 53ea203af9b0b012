"""Open the source of events that ingestion reads, in files or as a stream."""

import logging
import os
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from profile_lib.config.events import IngestSettings
from profile_lib.config.people import PeopleSettings
from profile_lib.errors import InputError
from profile_lib.events.cleaning import Limits, clean_rows
from profile_lib.events.column_mapping import compute_columns, map_rows
from profile_lib.events.currencies import convert_prices, read_rates
from profile_lib.events.dimensions import (
    clean_ids,
    declared_items,
    declared_users,
    item_expressions,
    user_expressions,
)
from profile_lib.events.formats.registry import ARRIVAL, PROBLEM
from profile_lib.events.identity import Pseudonyms, read_pseudonyms
from profile_lib.events.identity_links import (
    clean_link_ids,
    declared_links,
    link_expressions,
)
from profile_lib.events.input_plan import InputPlan, plan_events, plan_input, plan_lookups
from profile_lib.events.keyed_ids import hash_person_id, id_space, key_ids
from profile_lib.events.mapping import SourceMapping, check_paths, read_mapping
from profile_lib.events.read_errors import explain_read_errors
from profile_lib.events.readers import read_input
from profile_lib.events.suppression import ID_SPACE, select_suppressed_ids
from profile_lib.events.validation import reject_robots
from profile_lib.spark.time_zones import check_time_zone
from profile_lib.spark.timestamps import midnight
from profile_lib.tables.people import USER

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A source's mapping, its settings (paths and limits), its keys and its checked expressions."""

    mapping: SourceMapping
    settings: IngestSettings
    pseudonyms: Pseudonyms
    event_plans: tuple[InputPlan, ...]
    lookup_plans: tuple[InputPlan, ...]
    people: PeopleSettings | None = None  # None: links between ids are not collected

    @property
    def links_ids(self) -> bool:
        """Return whether the source says, or a rule finds, which ids are one person."""
        if self.people is None:
            return False
        mapping = self.mapping
        return mapping.has_carriers or mapping.links is not None or bool(self.people.rules)

    def read_lookups(self, spark: SparkSession) -> dict[str, DataFrame]:
        """Read the rows of each lookup."""
        return {plan.name: self._read_rows(spark, plan) for plan in self.lookup_plans}

    def select_suppressed_ids(self, raw_ids: DataFrame, tokens: DataFrame) -> DataFrame:
        """Select the distinct raw ids, in the first column, that the suppress list holds."""
        return select_suppressed_ids(raw_ids, self.mapping.user_space, self.pseudonyms, tokens)

    def read_declared_users(
        self, spark: SparkSession, tokens: DataFrame | None = None
    ) -> DataFrame | None:
        """Return the latest facts that the source declares about users; None if it has none.

        People whose `tokens` are on the suppress list are left out.
        """
        users = self.mapping.users
        if users is None:
            return None
        plan = plan_input(spark, self.mapping, users.input, user_expressions(users), "users")
        rows = self._read_rows(spark, plan, "user_id")
        if tokens is not None:
            suppressed = self.select_suppressed_ids(rows.select("user_id"), tokens)
            rows = rows.join(suppressed, "user_id", "left_anti")
        rows = self.pseudonyms.join_key(rows)
        return declared_users(rows, users, self.mapping.times, self._hash_user, ARRIVAL)

    def read_declared_items(self, spark: SparkSession) -> DataFrame | None:
        """Return the catalog that the source declares; None if it has none."""
        items = self.mapping.items
        if items is None:
            return None
        plan = plan_input(spark, self.mapping, items.input, item_expressions(items), "items")
        rows = self._read_rows(spark, plan, "item_id")
        return declared_items(rows, items, self.mapping.decimal_sign, ARRIVAL)

    def read_links(self, spark: SparkSession, tokens: DataFrame | None = None) -> DataFrame | None:
        """Return the links between ids that the source declares; None if it has none.

        Links of an id whose token is among `tokens`, the suppress list, are left out.
        """
        links = self.mapping.links
        if links is None:
            return None
        plan = plan_input(spark, self.mapping, links.input, link_expressions(links), "links")
        rows = clean_link_ids(self._read_rows(spark, plan), self.settings.placeholder_ids)
        if tokens is not None:
            for column, kind in (("user_id", links.user_kind), ("other_id", links.other_kind)):
                space = F.lit(id_space(self.mapping.user_space, kind)).alias(ID_SPACE)
                suppressed = self.select_suppressed_ids(rows.select(column, space), tokens)
                rows = rows.join(suppressed.select(column), column, "left_anti")
        keyed = self.pseudonyms.join_key(rows)
        name, times = self.mapping.name, self.mapping.times
        return declared_links(keyed, links, times, self._hash_id, name, ARRIVAL)

    def _read_rows(
        self, spark: SparkSession, plan: InputPlan, id_column: str | None = None
    ) -> DataFrame:
        """Read the columns of a plan and ARRIVAL.

        Rows that cannot be read, or have no valid id, are left out; a warning counts them.
        """
        path, where = self.settings.inputs[plan.name], plan.spec.where
        with explain_read_errors(plan.label, path):
            # The condition is null for a row that cannot be read, which would not be counted.
            unfiltered = replace(plan, spec=plan.spec.model_copy(update={"where": None}))
            rows = read_input(spark, unfiltered, path)
            if where is not None:
                rows = rows.where(F.col(PROBLEM).isNotNull() | F.expr(where))
            rows = compute_columns(rows, plan, {}, [ARRIVAL, PROBLEM])
            if id_column is not None:
                rows = clean_ids(rows, id_column, self.settings.placeholder_ids)
            has_id = F.lit(True) if id_column is None else F.col(id_column).isNotNull()
            return _select_usable(rows, has_id, plan.label)

    def _hash_user(self, raw_id: Column) -> Column:
        return self._hash_id(USER, raw_id)

    def _hash_id(self, kind: str, raw_id: Column) -> Column:
        return hash_person_id(self.pseudonyms, self.mapping, kind, raw_id)

    def judge_rows(
        self, rows: DataFrame, plan: InputPlan, lookups: dict[str, DataFrame], latest: datetime
    ) -> DataFrame:
        """Map and clean the rows of an input, and replace their ids by keyed hashes.

        `latest` is the moment from which events count as in the future.
        """
        settings = self.settings
        limits = Limits(
            midnight(settings.earliest), latest, settings.max_text_chars, settings.placeholder_ids
        )
        mapped = map_rows(rows, plan, self.mapping, lookups, settings.placeholder_ids)
        cleaned = clean_rows(mapped, self.mapping, limits)
        path = settings.rates
        rates = None if path is None else read_rates(rows.sparkSession, path)
        priced = convert_prices(cleaned, settings.base_currency, rates, settings.max_price)
        keyed = key_ids(priced, self.mapping, self.pseudonyms)
        return reject_robots(keyed, settings.bot_agents).drop("user_agent")


def _select_usable(rows: DataFrame, has_id: Column, label: str) -> DataFrame:
    """Return the usable rows; a warning counts the others."""
    observation, is_readable = Observation(), F.col(PROBLEM).isNull()
    counts = {
        "n_rows": F.count(F.lit(1)),
        "n_unreadable": F.count_if(~is_readable),
        "n_without_id": F.count_if(is_readable & ~has_id),
        "example": F.min(PROBLEM),
    }
    observed = rows.observe(observation, *[count.alias(name) for name, count in counts.items()])
    # Filters follow later: an optimiser that finds no rows to read would drop the observation.
    computed = observed.localCheckpoint()
    found = observation.get
    sentences = []
    if found["n_unreadable"]:
        sentences.append(f"{found['n_unreadable']:,} cannot be read, such as {found['example']}")
    if found["n_without_id"]:
        sentences.append(f"{found['n_without_id']:,} have no valid id")
    if sentences:
        log.warning(
            f"{label}: of {found['n_rows']:,} rows, {', and '.join(sentences)}; they are left out; "
            "fix the input or its mapping"
        )
    return computed.where(is_readable & has_id).drop(PROBLEM)


def open_source(
    spark: SparkSession, settings: IngestSettings, people: PeopleSettings | None = None
) -> Source:
    """Read the pseudonym key and the mapping, and check the mapping.

    With `people`, the source also collects which ids are one person.
    Raises InputError if one of them is missing or invalid, if `ingest.inputs` does not have a path
    for each input of the mapping, or if an expression is not safe.
    """
    pseudonyms = read_key(settings)
    mapping = read_mapping(settings.mapping)
    check_paths(mapping, settings.inputs)
    check_time_zone(spark, mapping.times.time_zone, f"{mapping.name}.times.time_zone")
    plans = tuple(plan_events(spark, mapping, name) for name in mapping.event_columns)
    if settings.base_currency is None and any("currency" in plan.columns for plan in plans):
        raise InputError(
            f"ingest.base_currency: null, but the mapping {mapping.name} maps the currency; wanted "
            "the currency of all stored prices, such as EUR, and ingest.rates for the others"
        )
    return Source(mapping, settings, pseudonyms, plans, tuple(plan_lookups(spark, mapping)), people)


def read_key(settings: IngestSettings) -> Pseudonyms:
    """Read the versions of the pseudonym key. Raises InputError as `read_pseudonyms` does."""
    key = settings.pseudonym_key
    text = None if key is None else key.get_secret_value()
    return read_pseudonyms(text, settings.pseudonym_key_env, os.environ)


def find_latest_time(settings: IngestSettings, day: date | None, now: datetime) -> datetime:
    """Return the moment from which events count as in the future.

    It is the end of `day`; without a `day` it is `ingest.latest` or, without that, the end of the
    date of `now`.
    """
    if day is None and settings.latest is not None:
        return midnight(settings.latest)
    return midnight((day or now.date()).isoformat()) + timedelta(days=1)
