"""Write the links between ids, and the people that follow from them."""

import logging

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.people import PeopleSettings
from profile_lib.delta.merge import add_deletions
from profile_lib.delta.store import Store
from profile_lib.events.identity_links import (
    IS_NEW_EVIDENCE,
    Rule,
    link_events,
    link_facts,
    link_orders,
    make_rule,
    merged_evidence,
    supersede_facts,
    withdraw_facts,
)
from profile_lib.fingerprint import hash_json
from profile_lib.people.evidence import PeopleLimits
from profile_lib.people.resolve import LEFT_OUT, resolve_people
from profile_lib.people.touched import find_touched_ids, select_links_of
from profile_lib.pipelines.code_version import find_code_version
from profile_lib.pipelines.event_source import Source
from profile_lib.spark.frames import union_all
from profile_lib.tables import IDENTITY_LINKS, PEOPLE, PEOPLE_STATE
from profile_lib.tables.people import PROBABLE, RULE

PEOPLE_CODE = ("profile_lib.people",)

log = logging.getLogger(__name__)


def write_links(
    store: Store, source: Source, events: DataFrame | None, tokens: DataFrame | None
) -> None:
    """Add the evidence of a batch of events, and the source's own links, to `identity_links`.

    Evidence is merged by the earliest and the latest time, so batches may come in any order and be
    repeated. No link names an id of an erased person; `tokens` is the suppress list.
    """
    assert source.people is not None
    rules = make_rules(source.people)
    links = []
    if events is not None and source.mapping.has_carriers:
        links.append(link_events(events, source.mapping.name))
    if events is not None:
        links += [link_orders(events, rule) for rule in rules if rule.fact is None]
    _merge_links(store, links)
    if (declared := source.read_links(store.spark, tokens)) is not None:
        _merge_links(store, [_select_new(store, declared)])
    facts = [rule for rule in rules if rule.fact is not None]
    users = source.read_declared_users(store.spark, tokens) if facts else None
    if users is not None:
        for rule in facts:
            _write_facts(store, source, users, rule)


def _write_facts(store: Store, source: Source, users: DataFrame, rule: Rule) -> None:
    keyed = source.pseudonyms.join_key(users)
    fact = F.lit(f"fact {rule.fact}")
    new = link_facts(keyed, rule, lambda value: source.pseudonyms.hash_id(fact, value))
    _merge_links(store, [_select_new(store, new)])
    of_rule = store.read_or_empty(IDENTITY_LINKS).where(F.col("source") == rule.name)
    of_rule = of_rule.where(F.col("kind").isin(RULE, PROBABLE))  # a rule may have changed its kind
    stored = of_rule.join(users.select("user_id").distinct(), "user_id", "left_semi")
    for undone in (supersede_facts(stored), withdraw_facts(stored, users, rule)):
        _merge_links(store, [_select_new(store, undone)])


def _select_new(store: Store, links: DataFrame) -> DataFrame:
    """Select the links that say something new."""
    stored = store.read_or_empty(IDENTITY_LINKS).alias("target")
    joined = links.alias("source").join(stored, [*IDENTITY_LINKS.key], "left")
    is_new = F.col("target.user_kind").isNull() | F.expr(IS_NEW_EVIDENCE)
    keys = [name for name in IDENTITY_LINKS.column_names() if name in IDENTITY_LINKS.key]
    rest = [f"source.{n}" for n in IDENTITY_LINKS.column_names() if n not in keys]
    return joined.where(is_new).select(*keys, *rest).select(*IDENTITY_LINKS.column_names())


def _merge_links(store: Store, links: list[DataFrame]) -> None:
    if links:
        store.upsert(
            IDENTITY_LINKS, union_all(links), guard=IS_NEW_EVIDENCE, update_values=merged_evidence()
        )


def update_people(store: Store, settings: PeopleSettings) -> dict[str, int]:
    """Bring `people` to the latest version of `identity_links`; count the ids left out by rule.

    Only the ids that changed links lead to are computed again, and only rows that differ are
    written. All are, if the settings or the code changed, or the change feed does not reach back.
    Another writer may add links in the meantime; then this is repeated.
    """
    counts: dict[str, int] = {}
    if not store.exists(IDENTITY_LINKS):
        return counts
    definition = _definition(settings)
    version = _read_state(store, definition)
    while True:
        latest = store.version(IDENTITY_LINKS)
        changes = None if version is None else store.changes(IDENTITY_LINKS, version, latest)
        if changes is None or version is None:
            counts |= rebuild_people(store, settings)
        elif not changes.isEmpty():
            links, old_links = (store.read(IDENTITY_LINKS, v) for v in (latest, version))
            counts |= _update_touched(store, settings, links, old_links, changes)
        if version != latest:
            row = (IDENTITY_LINKS.name, latest, store.table_id(IDENTITY_LINKS), definition)
            store.upsert(PEOPLE_STATE, store.spark.createDataFrame([row], PEOPLE_STATE.schema))
        if store.version(IDENTITY_LINKS) == latest:
            return counts
        version = latest


def rebuild_people(store: Store, settings: PeopleSettings) -> dict[str, int]:
    """Compute `people` from all links; count the ids left out by rule.

    Rows that are right already stay.
    """
    people = resolve_people(store.read(IDENTITY_LINKS), to_limits(settings))
    return _write_people(store, people, store.read_or_empty(PEOPLE))


def _update_touched(
    store: Store,
    settings: PeopleSettings,
    links: DataFrame,
    old_links: DataFrame,
    changes: DataFrame,
) -> dict[str, int]:
    limits = to_limits(settings)
    ends = changes.select(F.explode(F.array("user_id", "other_id")).alias("id"))
    touched = find_touched_ids(links, old_links, ends, limits)
    ids = touched.withColumnRenamed("id", "user_id")
    # A kiosk links nobody, but it takes all of its links to see that.
    people = resolve_people(select_links_of(links, touched), limits)
    stored = store.read_or_empty(PEOPLE).join(ids, "user_id", "left_semi")
    return _write_people(store, people.join(ids, "user_id", "left_semi"), stored)


def _write_people(store: Store, resolved: DataFrame, stored: DataFrame) -> dict[str, int]:
    """Write the rows that differ from the stored ones.

    Stored rows that are not among them are removed. Returns the number of ids left out by rule.
    """
    resolved, names = resolved.localCheckpoint(), PEOPLE.column_names()
    people = resolved.where(F.col(LEFT_OUT).isNull())
    changed = people.select(*names).subtract(stored.select(*names))
    outdated = stored.join(people, [*PEOPLE.key], "left_anti").select(*PEOPLE.key)
    store.upsert(PEOPLE, add_deletions(PEOPLE, changed, outdated))
    counts = resolved.where(F.col(LEFT_OUT).isNotNull()).groupBy(LEFT_OUT).count().collect()
    return {row[0]: row[1] for row in counts}


def find_people_changes(
    store: Store, after_version: int, until_version: int | None = None
) -> DataFrame | None:
    """Return the people whose ids changed after a version of `people`: person_id.

    A person who lost an id is among them, and so is the id, which is a person of its own then.
    Returns None if the change feed does not reach back that far: anybody may have changed.
    """
    changes = store.changes(PEOPLE, after_version, until_version)
    if changes is None:
        return None
    return changes.select(F.explode(F.array("person_id", "user_id")).alias("person_id")).distinct()


def to_limits(settings: PeopleSettings) -> PeopleLimits:
    """Return the rules of the settings."""
    rules = [(rule.name, rule.kind) for rule in make_rules(settings)]
    return PeopleLimits(
        max_ids=settings.max_ids,
        max_users_per_device=settings.max_users_per_device,
        shared_window_seconds=round(60 * settings.shared_window_minutes),
        rules=tuple(r for r in sorted(rules) if settings.use_probable or r[1] != PROBABLE),
    )


def make_rules(settings: PeopleSettings) -> list[Rule]:
    """Return the rules by which equal values link ids."""
    return [make_rule(n, rule.fact, rule.is_probable) for n, rule in settings.rules.items()]


def _definition(settings: PeopleSettings) -> str:
    return hash_json([list(to_limits(settings)), find_code_version(PEOPLE_CODE)], 12)


def _read_state(store: Store, definition: str) -> int | None:
    """Return the version of links that `people` follows from; None: unknown."""
    if not store.exists(PEOPLE):
        return None
    row = store.read_or_empty(PEOPLE_STATE).first()
    if row is None or row["definition"] != definition:
        return None
    return int(row["version"]) if row["delta_table"] == store.table_id(IDENTITY_LINKS) else None
