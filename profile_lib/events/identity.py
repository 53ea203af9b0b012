"""Replace ids of a source by keyed hashes.

A hash is the HMAC-SHA-256 (RFC 2104) of the id with its kind and space, composed of Spark's own
functions. The key reaches the workers as a row of data that is joined to the events, so that no
plan, log or error holds it.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.errors import InputError

SHA256_BLOCK_BYTES = 64
SEPARATOR = "\x1f"  # between the parts of an id; parts are trimmed, and none contains it
KEY_SEPARATOR = ","  # between the versions of the key, oldest first
INNER, OUTER = 0x36, 0x5C  # pads of RFC 2104
FINGERPRINT_MESSAGE, FINGERPRINT_DIGITS = "fingerprint", 16


class Pseudonyms:
    """The versions of the pseudonym key, oldest first.

    A hash under version n is the hash of the hash under version n - 1, so that a new version needs
    no raw id. `repr` and `str` do not show a key.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    @property
    def version(self) -> int:
        """The number of versions."""
        return len(self._keys)

    @property
    def fingerprints(self) -> list[str]:
        """A hash per version, by which its key is recognised without being shown."""
        chain, message = [], FINGERPRINT_MESSAGE
        for key in self._keys:
            message = hmac.new(key, message.encode(), hashlib.sha256).hexdigest()
            chain.append(message[:FINGERPRINT_DIGITS])
        return chain

    def join_key(self, frame: DataFrame) -> DataFrame:
        """Add the columns from which `hash_id` takes the key; `drop_key` removes them."""
        return frame.crossJoin(F.broadcast(self._key_row(frame.sparkSession)))

    def hash_id(self, *parts: Column) -> Column:
        """Return the keyed hash, in hex, of parts; null if one is null.

        The frame needs the columns of `join_key`.
        """
        message = F.concat(*_with_separators(parts))
        return reduce(self._apply_version, range(self.version), message)

    def hash_pseudonym(self, kind: str, pseudonym: Column) -> Column:
        """Return a keyed hash, of another kind, of a pseudonym under the last version."""
        return self._hash_kind(kind, pseudonym, self.version - 1)

    def hash_pseudonyms(self, kind: str, *parts: Column) -> Column:
        """Return an array of all hashes that `hash_pseudonym` may have made of an id.

        It had the pseudonym of these parts under some version, and its result was renewed with each
        later version.
        """
        message, hashes = F.concat(*_with_separators(parts)), []
        for version in range(self.version):
            message = self._apply_version(message, version)
            hashed = self._hash_kind(kind, message, version)
            hashes.append(reduce(self._apply_version, range(version + 1, self.version), hashed))
        return F.array(*hashes)

    def renew(self, hashed: Column) -> Column:
        """Return the hash under the last version of a hash under the version before it."""
        return self._apply_version(hashed, self.version - 1)

    def drop_key(self, frame: DataFrame) -> DataFrame:
        """Drop the columns of `join_key`."""
        return frame.drop(*_key_columns(self.version))

    def _apply_version(self, message: Column, version: int) -> Column:
        inner, outer = (F.col(name) for name in _key_columns(self.version)[2 * version :][:2])
        digest = F.unhex(F.sha2(F.concat(inner, F.encode(message, "UTF-8")), 256))
        return F.sha2(F.concat(outer, digest), 256)

    def _hash_kind(self, kind: str, hashed: Column, version: int) -> Column:
        return self._apply_version(F.concat(F.lit(kind + SEPARATOR), hashed), version)

    def _key_row(self, spark: SparkSession) -> DataFrame:
        """Return one row with the padded keys, two binary columns per version."""
        pads = [bytes(b ^ pad for b in _block(key)) for key in self._keys for pad in (INNER, OUTER)]
        schema = ", ".join(f"{name} binary" for name in _key_columns(self.version))
        # An RDD, whose rows no plan shows; Spark would print the rows of a local relation.
        rows = spark.sparkContext.parallelize([tuple(map(bytearray, pads))], 1)
        return spark.createDataFrame(rows, schema, verifySchema=False)


def _block(key: bytes) -> bytes:
    short = hashlib.sha256(key).digest() if len(key) > SHA256_BLOCK_BYTES else key
    return short.ljust(SHA256_BLOCK_BYTES, b"\0")


def _key_columns(n_versions: int) -> list[str]:
    return [f"_{pad}_{n}" for n in range(n_versions) for pad in ("inner", "outer")]


def _with_separators(parts: Sequence[Column]) -> list[Column]:
    separated = [c for part in parts for c in (F.lit(SEPARATOR), part)]
    return separated[1:]


def read_pseudonyms(
    configured: str | None, variable: str, environment: Mapping[str, str]
) -> Pseudonyms:
    """Return the configured keys, else those in the environment variable `variable`.

    Several versions are separated by commas, the oldest first. Raises InputError if there is none,
    so that no id is read without a key.
    """
    text = configured if configured is not None else environment.get(variable, "")
    keys = [key.strip().encode() for key in text.split(KEY_SEPARATOR) if key.strip()]
    if not keys:
        raise InputError(
            f"ingest.pseudonym_key_env: the environment variable {variable} is not set; "
            "wanted the secret key that turns user ids into pseudonyms; set it, and always to the "
            "same key, because another key gives each user another pseudonym"
        )
    return Pseudonyms(keys)
