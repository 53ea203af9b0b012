"""Replace raw user ids by keyed pseudonyms.

A pseudonym is the HMAC-SHA-256 (RFC 2104) of the id. It is composed of Spark's own functions, so
that the JVM computes it.
"""

import hashlib
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.errors import InputError

SHA256_BLOCK_BYTES = 64


def pseudonymise(raw_id: Column, key: bytes) -> Column:
    """Compute the HMAC-SHA-256 of an id's UTF-8 bytes, in hex.

    >>> spark.range(1).select(pseudonymise(F.lit("ann"), b"key")).first()[0][:16]
    '9d77c3180ff81edf'
    """
    block = (hashlib.sha256(key).digest() if len(key) > SHA256_BLOCK_BYTES else key).ljust(
        SHA256_BLOCK_BYTES, b"\0"
    )
    inner, outer = (F.lit(bytes(b ^ pad for b in block)) for pad in (0x36, 0x5C))
    digest = F.unhex(F.sha2(F.concat(inner, F.encode(raw_id, "UTF-8")), 256))
    return F.sha2(F.concat(outer, digest), 256)


def build_event_id(mapped: DataFrame, source: str) -> Column:
    """Return the source's event id, else a hash of source and mapped row."""
    parts = [F.coalesce(F.col(c).cast("string"), F.lit("\0")) for c in sorted(mapped.columns)]
    row_hash = F.sha2(F.concat_ws("\x1f", F.lit(source), *parts), 256)
    if "event_id" not in mapped.columns:
        return row_hash
    return F.coalesce(F.col("event_id").cast("string"), row_hash)


def read_pseudonym_key(
    configured: str | None, variable: str, environment: Mapping[str, str]
) -> bytes:
    """Return the configured key, else the value of the environment variable `variable`.

    Raises InputError if neither is set, so that no id is read without a key.
    """
    key = configured if configured is not None else environment.get(variable)
    if not key:
        raise InputError(
            f"ingest.pseudonym_key_env: the environment variable {variable} is not set; "
            "wanted the secret key that turns user ids into pseudonyms; set it, and always to the "
            "same key, because another key gives each user another pseudonym"
        )
    return key.encode()
