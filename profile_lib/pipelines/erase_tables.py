"""Erase people from all tables, and remove the files that held them."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.delta.erasing import (
    clear_ids,
    delete_rows,
    find_rows,
    first_commit_time,
    purge_deleted_rows,
    remove_history,
)
from profile_lib.delta.store import VACUUM_CONF, Store
from profile_lib.errors import ConcurrentWriteError
from profile_lib.pipelines.erasure_receipts import write_receipts
from profile_lib.progress import Progress
from profile_lib.spark.frames import union_all
from profile_lib.spark.session import session_conf
from profile_lib.tables import ERASURES, SUPPRESSED_IDS, TABLES, Table
from profile_lib.tables.owners import mentions, row_owners

MAX_PASSES = 5
N_THREADS = 4  # most of the time of a small table goes to planning and commits
OWN_TABLES = (ERASURES, SUPPRESSED_IDS)  # hold the ids that this job needs

log = logging.getLogger(__name__)


def owned_tables(store: Store) -> Iterator[tuple[Table, list[Column]]]:
    """Yield each stored table with rows about people, and the pseudonyms of a row's people.

    The order is that of TABLES, so that sources come before what is computed from them.
    """
    for table in TABLES:
        owners = [] if table in OWN_TABLES else row_owners(table)
        if owners and store.exists(table):
            yield table, owners


def erase_rows(store: Store, people: DataFrame) -> int:
    """Delete the rows of people from all tables, until none is found.

    `people` has the columns request and user_id. The files that held rows are added to the receipts
    before. Returns the number of rows. Raises ConcurrentWriteError if other jobs keep adding rows.
    """
    n_erased = 0
    for _ in range(MAX_PASSES):
        n_rows = _erase_once(store, people)
        n_erased += n_rows
        if not n_rows:
            break
    else:
        raise ConcurrentWriteError(
            f"erase_users: another job added rows of erased people in each of {MAX_PASSES} passes; "
            "run this again when the other job is done"
        )
    for table, _ in owned_tables(store):
        purge_deleted_rows(store, table)
    return n_erased


def _erase_once(store: Store, people: DataFrame) -> int:
    """Delete the rows that the tables hold now; return their number.

    A row of others that names an erased id, such as that of a browser, loses the id.
    """
    tables = {table.name: (table, owners) for table, owners in owned_tables(store)}
    if not tables:
        return 0
    frames = (
        find_rows(store, table, [*owners, *(mention.id for mention in mentions(table))], people)
        for table, owners in tables.values()
    )
    found = union_all(list(frames)).localCheckpoint()
    counts = {row["table"]: row["n"] for row in _count_rows(found).collect()}
    if not counts:
        return 0
    # Until the rows are deleted and a pass finds none, no time is known from which they are gone. A
    # run that is killed here is continued by the next one.
    _forget_time(store, found)
    place = F.concat_ws("/", "table", "file").alias("place")
    write_receipts(
        store, found.select("request", place, F.lit("file").alias("kind"), "n_rows", "n_bytes")
    )
    for name, (table, owners) in tables.items():
        if name in counts:
            delete_rows(store, table, owners, people)
            for mention in mentions(table):
                clear_ids(store, table, mention, people)
            log.info(f"{name}: {counts[name]:,} rows erased")
    return sum(counts.values())


def _count_rows(found: DataFrame) -> DataFrame:
    """Count the rows per table, those of a person with several requests once."""
    n_rows = F.max("n_rows").alias("n_rows")
    by_file = found.groupBy("table", "file").agg(n_rows)
    return by_file.groupBy("table").agg(F.sum("n_rows").alias("n"))


def _forget_time(store: Store, found: DataFrame) -> None:
    pending = store.read(ERASURES).where("found_ts IS NOT NULL")
    again = pending.join(found.select("request").distinct(), "request", "left_semi")
    store.upsert(ERASURES, again.withColumn("found_ts", F.lit(None).cast("timestamp")))


def remove_histories(store: Store, retention_hours: float) -> None:
    """Remove versions older than the retention from all tables with rows about users."""
    tables = [table for table, _ in owned_tables(store)]
    progress = Progress(log, "tables", len(tables))
    # The threads share the session, so its configuration is the same until all have ended.
    with session_conf(store.spark, VACUUM_CONF), ThreadPoolExecutor(N_THREADS) as pool:
        for _ in pool.map(lambda table: remove_history(store, table, retention_hours), tables):
            progress.advance()


def find_tables_with_history(store: Store, since: datetime) -> list[str]:
    """Return the names of tables whose log still holds a commit from before `since`."""
    return [
        table.name for table, _ in owned_tables(store) if first_commit_time(store, table) < since
    ]
