"""Draft the mapping of files that nobody has described yet."""

import logging
import re
from pathlib import Path

import yaml
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.config.events import DraftSettings
from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.events.drafting.draft import NOTHING, draft_mapping
from profile_lib.events.drafting.heads import read_head
from profile_lib.events.drafting.samples import Sample, read_sample, sample_rows
from profile_lib.events.files.inspection import list_files
from profile_lib.events.input_plan import plan_events
from profile_lib.events.mapping import SourceMapping
from profile_lib.events.read_errors import explain_read_errors
from profile_lib.spark.column_shapes import quote_name

log = logging.getLogger(__name__)


def run(store: Store, settings: Settings) -> None:
    """Look at the files of `draft.path` and write a draft of their mapping to `draft.output`.

    Only the heads of a few files are read. Raises InputError if the path is missing or cannot be
    read, or if the output exists: a person may have finished it.
    """
    draft = settings.draft
    if draft.path is None:
        raise InputError(
            "draft.path: null, wanted the path of the files to describe, such as "
            "--set draft.path=data/my_shop/events.csv"
        )
    output = Path(draft.output)
    if output.exists():
        raise InputError(f"draft.output: {output} exists; move it, or set another path")
    with explain_read_errors("draft.path", draft.path):
        sample = look_at(store.spark, draft, draft.path)
    text = draft_mapping(draft.name or name_of(draft.path), draft.path, sample)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    mapping = SourceMapping.model_validate(yaml.safe_load(text))
    for name in mapping.event_columns:
        plan_events(store.spark, mapping, name)
    if missing := [name for name, sql in mapping.columns.items() if sql == NOTHING]:
        log.warning(
            f"{draft.path}: found no column for {', '.join(missing)}; if these are events, name it "
            f"in {output}"
        )
    log.info(f"wrote {output} from {sample.nested.n_rows:,} rows; now check each line")


def look_at(spark: SparkSession, draft: DraftSettings, path: str) -> Sample:
    """Read a sample of a Delta table or of the first files."""
    from delta.tables import DeltaTable

    if DeltaTable.isDeltaTable(spark, path):
        table = spark.read.format("delta").load(path).limit(draft.max_rows)
        rows = table.select(*map(_with_zone, table.schema.fields)).collect()
        return sample_rows("delta", [row.asDict(recursive=True) for row in rows])
    files = list_files(spark, path).where(F.col("n_bytes") > 0)
    first = files.select("path").orderBy("path").limit(draft.max_files).collect()
    return read_sample([read_head(file, draft.max_bytes) for (file,) in first], draft.max_rows)


def _with_zone(field: T.StructField) -> Column:
    """Return a column, a timestamp as a text with its zone."""
    column = F.col(quote_name(field.name))
    if isinstance(field.dataType, T.TimestampType):
        column = F.date_format(column, "yyyy-MM-dd HH:mm:ss.SSSXXX")
    return column.alias(field.name)


def name_of(path: str) -> str:
    """Return a name for a source, from the name of its file or folder.

    >>> name_of("s3://bucket/My Shop/"), name_of("data/events_2016-08.csv.gz")
    ('my_shop', 'events_2016_08')
    """
    last = path.rstrip("/").rpartition("/")[2].lower()
    return re.sub(r"[^a-z0-9]+", "_", last.partition(".")[0]).strip("_") or "source"
