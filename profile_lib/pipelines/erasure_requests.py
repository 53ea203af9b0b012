"""Read requests for erasure, and put their people on the suppress list."""

from datetime import datetime
from pathlib import PurePosixPath

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.events.identity import Pseudonyms
from profile_lib.events.keyed_ids import parse_id_space
from profile_lib.events.raw_ids import to_text, trim_text
from profile_lib.events.suppression import build_tokens
from profile_lib.pipelines.linked_ids import find_linked_ids
from profile_lib.tables import ERASURES, SUPPRESSED_IDS

SETTING = "erase.requests"
WANTED = "wanted a column user_id with pseudonyms, or the columns raw_id and space"
PSEUDONYM = "^[0-9a-f]{64}$"
COLUMNS = ("user_id", "raw_id", "space")
KINDS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}


def register_requests(store: Store, file: str, pseudonyms: Pseudonyms, now: datetime) -> int:
    """Add the people of a file to the suppress list and to the pending erasures.

    Returns the number of ids. The same people are the same request, also if a run was killed.
    Raises InputError if the file is missing, is of another kind, or has rows without an id.
    """
    requested = _hash_ids(_read_file(store.spark, file), file, pseudonyms)
    people = find_linked_ids(store, requested).localCheckpoint()
    tokens = build_tokens(people, pseudonyms).localCheckpoint()
    # By the requested ids: their links are gone once the request was carried out.
    name, n_people = _name_request(build_tokens(requested, pseudonyms)), people.count()
    if not n_people:
        return 0
    # The suppress list first: from now on, ingestion adds nothing that has to be removed again.
    store.upsert(SUPPRESSED_IDS, tokens, update=False)
    values = {
        "request": F.lit(name),
        "requested_ts": F.lit(now),
        "found_ts": F.lit(None).cast("timestamp"),
    }
    store.upsert(ERASURES, people.withColumns(values), update=False)
    return n_people


def _name_request(tokens: DataFrame) -> str:
    """Return a name that is the same for the same people."""
    number = tokens.agg(F.bit_xor(F.xxhash64("token"))).collect()[0][0]
    return f"{(number or 0) % 2**64:016x}"


def _read_file(spark: SparkSession, file: str) -> DataFrame:
    """Return the columns of a file as trimmed texts; null: missing."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(file).suffixes]
    kind = next((KINDS[suffix] for suffix in reversed(suffixes) if suffix in KINDS), None)
    if kind is None:
        raise InputError(f"{SETTING}: found {file}, wanted a file ending in {', '.join(KINDS)}")
    reader = spark.read.option("header", True).option("primitivesAsString", True)
    try:
        rows = reader.format(kind).load(file)
    except AnalysisException as error:
        raise InputError(f"{SETTING}: {file} is missing or is no {kind} file; {WANTED}") from error
    names = set(rows.columns)
    if not ("user_id" in names or {"raw_id", "space"} <= names):
        # Without a header the names are ids, which no message may show.
        found = ", ".join(sorted(names & set(COLUMNS))) or "none of them"
        raise InputError(
            f"{SETTING}: {file} has {len(names)} columns, of the wanted ones {found}; {WANTED}; "
            "the first line of a CSV has to name them"
        )
    return rows.select(*[_text_or_null(rows, name).alias(name) for name in COLUMNS])


def _text_or_null(rows: DataFrame, name: str) -> Column:
    if name not in rows.columns:
        return F.lit(None).cast("string")
    return F.nullif(trim_text(to_text(F.col(name), rows.schema[name].dataType)), F.lit(""))


def _hash_ids(rows: DataFrame, file: str, pseudonyms: Pseudonyms) -> DataFrame:
    """Return the pseudonyms, in the column user_id.

    Raises InputError if a row has no id, or something else than a pseudonym as its user_id.
    """
    kind, space = parse_id_space(F.col("space"))
    hashed = pseudonyms.hash_id(kind, space, F.col("raw_id"))
    keyed = pseudonyms.join_key(rows).select(F.coalesce("user_id", hashed).alias("user_id"))
    ids = keyed.localCheckpoint()
    is_valid = F.coalesce(F.col("user_id").rlike(PSEUDONYM), F.lit(False))
    n_rows, n_invalid = ids.agg(F.count("*"), F.count_if(~is_valid)).collect()[0]
    if n_invalid:
        raise InputError(
            f"{SETTING}: {n_invalid:,} of {n_rows:,} rows of {file} have no id, or a user_id that "
            f"is no pseudonym of 64 hexadecimal digits; {WANTED}; nothing was erased"
        )
    return ids
