"""Find the files of a source that are new, and record ingested ones."""

import logging
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.delta.store import Store
from profile_lib.events.files.inspection import inspect_files, list_files
from profile_lib.events.formats.registry import FORMATS
from profile_lib.events.input_plan import InputPlan
from profile_lib.events.read_errors import explain_read_errors
from profile_lib.events.readers import check_files, table_version
from profile_lib.spark.frames import union_all
from profile_lib.tables import INGESTED_FILES

READ, CHANGED, COPY = "read", "changed", "copy"

log = logging.getLogger(__name__)


class NewFiles(NamedTuple):
    """Files of an input that are not in the ledger; `files` has a column status."""

    plan: InputPlan
    files: DataFrame
    n_files: int  # files to read
    n_copies: int  # files that are recorded, but not read

    def to_read(self) -> DataFrame:
        """Return the files to read."""
        return self.files.where(F.col("status") != COPY)


def find_new_files(
    store: Store, source: str, plan: InputPlan, path: str, day: date | None
) -> NewFiles:
    """Find the files of an input whose content has not been ingested.

    With a `day`, only files that were last changed on it count. A copy of another file is recorded,
    but not read. Files that changed since they were ingested are reported and read again. Raises
    InputError if a file cannot be read or lacks columns that the mapping needs.
    """
    with explain_read_errors(plan.label, path):
        if FORMATS.get(plan.spec.format).is_table:
            listed = table_version(store.spark, path)
        else:
            listed = list_files(store.spark, path)
        if day is not None:
            listed = listed.where(F.to_date("modified_ts") == F.lit(day))
        return inspect_new_files(store, source, plan, listed)


def inspect_new_files(store: Store, source: str, plan: InputPlan, listed: DataFrame) -> NewFiles:
    """Inspect the listed files that are not in the ledger."""
    ledger = store.read_or_empty(INGESTED_FILES).where(F.col("source") == source)
    same_file = ["path", "modified_ts", "n_bytes"]
    unseen = listed.join(ledger.select(*same_file), same_file, "left_anti")
    inspected = unseen if "content_hash" in listed.columns else inspect_files(unseen, plan.spec)
    files = _add_status(inspected, ledger).localCheckpoint()
    counts = {row["status"]: row["count"] for row in files.groupBy("status").count().collect()}
    for sentence in check_files(plan, files):
        log.warning(sentence)
    n_copies = counts.pop(COPY, 0)
    if n_copies:
        log.info(f"{plan.label}: {n_copies} files are copies of others; not read again")
    if n_changed := counts.get(CHANGED):
        paths = files.where(F.col("status") == CHANGED).select("path").orderBy("path").limit(3)
        names = ", ".join(path for (path,) in paths.collect())
        log.warning(
            f"{plan.label}: {n_changed} files changed after they were ingested, and are read "
            f"again: {names}"
        )
    return NewFiles(plan, files, sum(counts.values()), n_copies)


def _add_status(files: DataFrame, ledger: DataFrame) -> DataFrame:
    same_content = Window.partitionBy("content_hash").orderBy("path")
    hashes = ledger.select("content_hash", F.lit(True).alias("is_known")).distinct()
    paths = ledger.select("path", F.lit(True).alias("is_old_path")).distinct()
    joined = files.join(hashes, "content_hash", "left").join(paths, "path", "left")
    is_copy = F.coalesce("is_known", F.row_number().over(same_content) > 1)
    is_copy = is_copy & (F.col("content_hash") != "")  # unreadable files have no hash
    status = F.when(is_copy, COPY).when(F.col("is_old_path"), CHANGED).otherwise(READ)
    return joined.withColumn("status", status).drop("is_known", "is_old_path")


def identify_batch(new_files: Sequence[NewFiles]) -> str:
    """Return the batch's id: a hash of the contents of its files."""
    hashes = union_all([new.to_read().select("content_hash") for new in new_files])
    joined = F.array_join(F.sort_array(F.collect_list("content_hash")), ",")
    return str(hashes.agg(F.sha2(joined, 256)).collect()[0][0])


def record_files(
    store: Store, source: str, new_files: Sequence[NewFiles], batch_id: str, load_date: date
) -> None:
    """Add the files of a batch to the ledger."""
    rows = union_all([new.files.withColumn("input", F.lit(new.plan.name)) for new in new_files])
    values = {
        "source": F.lit(source),
        "batch_id": F.lit(batch_id),
        "load_date": F.lit(load_date),
    }
    store.upsert(INGESTED_FILES, rows.withColumns(values).select(*INGESTED_FILES.column_names()))
