"""Remove rows from the files, earlier versions and log of a table.

Delta hides deleted rows before it removes them. They stay in files under deletion vectors, in files
of earlier versions and of the change feed, and the smallest and largest values of each file stay in
the commits, checkpoints and checksums of the log.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.delta.file_list import LOG_FOLDER
from profile_lib.delta.retry import commit_with_retries
from profile_lib.delta.store import Store
from profile_lib.spark.hadoop_files import find_jvm, list_files, remove_path
from profile_lib.tables import Table
from profile_lib.tables.owners import Mention

LOG_FILE = re.compile(r"(\d{20})\.(?:json|crc|checkpoint\..*|\d{20}\.compacted\.json)")
COMMIT_FILE = re.compile(r"\d{20}\.json")
COMMIT, CHECKPOINT = ".json", ".checkpoint.parquet"
NEVER = datetime.max.replace(tzinfo=UTC)


def find_rows(store: Store, table: Table, owners: Sequence[Column], users: DataFrame) -> DataFrame:
    """Count the rows of users per file: request, table, file, n_bytes and n_rows.

    `owners` are the pseudonyms of a row's people; `users` has the columns request and user_id.
    `file` is the path below that of the table.
    """
    from delta.tables import DeltaTable

    path = store.path(table)
    rows = DeltaTable.forPath(store.spark, path).toDF()
    files = rows.select(
        F.explode(F.array_distinct(F.array(*owners))).alias("user_id"),
        F.struct(*table.key).alias("key"),
        F.substring_index("_metadata.file_path", f"/{table.name}/", -1).alias("file"),
        F.col("_metadata.file_size").alias("n_bytes"),
    )
    found = files.join(F.broadcast(users.select("request", "user_id")), "user_id")
    name = F.lit(table.name).alias("table")
    if len(owners) > 1:  # several of a row's people may be erased
        found = found.dropDuplicates(["request", "key"])
    return found.groupBy("request", name, "file", "n_bytes").agg(F.count("*").alias("n_rows"))


def delete_rows(store: Store, table: Table, owners: Sequence[Column], users: DataFrame) -> None:
    """Delete the rows with an owner in the column `user_id` of `users`.

    There is a commit per owner.
    """
    for owner in owners:
        _merge(store, table, owner, users, lambda merge: merge.whenMatchedDelete())


def clear_ids(store: Store, table: Table, mention: Mention, users: DataFrame) -> None:
    """Clear an id that rows mention where it is one of `users`.

    These are in the column `user_id`.
    """
    cleared = {mention.column: mention.cleared}
    _merge(store, table, mention.id, users, lambda merge: merge.whenMatchedUpdate(set=cleared))


def purge_deleted_rows(store: Store, table: Table) -> None:
    """Rewrite the files that hold deleted rows under deletion vectors."""
    if table.deletion_vectors:
        statement = f"REORG TABLE delta.`{store.path(table)}` APPLY (PURGE)"

        def write() -> None:
            store.spark.sql(statement).collect()

        _commit(store, table, write)


def remove_history(store: Store, table: Table, retention_hours: float) -> None:
    """Remove the files and log entries of versions older than `retention_hours`.

    A checkpoint of the latest version is written first. The log begins afterwards with the newest
    checkpoint of that age, or the latest if the retention is 0: earlier versions can no longer be
    read, and change feeds begin there.
    """
    store.vacuum(table, retention_hours)  # its commits name no value of a row
    log = _open_log(store.spark, store.path(table))
    log.checkpoint()
    folder = f"{store.path(table)}/{LOG_FOLDER}"
    files = {file.name: file.modified_ts for file in list_files(store.spark, folder)}
    versions = {name: match[1] for name in files if (match := LOG_FILE.fullmatch(name))}
    expired_ts = _jvm_time(log) - timedelta(hours=retention_hours)
    expired = [
        version
        for name, version in versions.items()
        if name.endswith(CHECKPOINT) and files.get(version + COMMIT, NEVER) <= expired_ts
    ]
    first = max(expired, default="")
    for name in sorted(name for name, version in versions.items() if version < first):
        remove_path(store.spark, f"{folder}/{name}")


def first_commit_time(store: Store, table: Table) -> datetime:
    """Return the time, in UTC, of the first commit that the log holds."""
    files = list_files(store.spark, f"{store.path(table)}/{LOG_FOLDER}")
    return min(f.modified_ts for f in files if COMMIT_FILE.fullmatch(f.name))


def version_at(store: Store, table: Table, ts: datetime) -> int:
    """Return the last version that was committed by `ts`; -1 if the log begins later."""
    files = list_files(store.spark, f"{store.path(table)}/{LOG_FOLDER}")
    commits = (f for f in files if COMMIT_FILE.fullmatch(f.name))
    return max((int(f.name[:20]) for f in commits if f.modified_ts <= ts), default=-1)


def _merge(
    store: Store,
    table: Table,
    owner: Column,
    users: DataFrame,
    add_clause: Callable[[Any], Any],
) -> None:
    """Change the rows whose `owner` is in the column `user_id` of `users`, in one commit."""
    from delta.tables import DeltaTable

    erased = users.select(F.col("user_id").alias("erased_id")).distinct()

    def write() -> None:
        target = DeltaTable.forPath(store.spark, store.path(table))
        add_clause(target.merge(erased, owner == F.col("erased_id"))).execute()

    _commit(store, table, write)


def _commit(store: Store, table: Table, write: Callable[[], None]) -> None:
    commit_with_retries(
        table,
        write,
        max_attempts=store.max_attempts,
        first_wait_seconds=store.first_wait_seconds,
    )


def _open_log(spark: SparkSession, path: str):  # type: ignore[no-untyped-def]  # of the JVM
    """Return Delta's own log of a table, which alone can write a checkpoint on demand."""
    delta = find_jvm(spark).org.apache.spark.sql.delta
    return delta.DeltaLog.forTable(spark._jsparkSession, path)


def _jvm_time(log) -> datetime:  # type: ignore[no-untyped-def]  # of the JVM
    """Return the time by the clock with which Delta compares the age of files."""
    return datetime.fromtimestamp(log.clock().getTimeMillis() / 1000, UTC)
