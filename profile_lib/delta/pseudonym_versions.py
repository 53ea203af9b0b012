"""Record the tables' version of the pseudonym key, and refuse another one.

A fingerprint is a hash by which the key of a version is recognised. Functions take those of all
versions that a job has, oldest first.
"""

from collections.abc import Sequence

from pyspark.sql import Row

from profile_lib.delta.reader import TableReader
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.tables import PSEUDONYM_VERSIONS

ROTATE = "python jobs/rotate_pseudonyms.py --config FILE"


def read_versions(store: TableReader) -> list[Row]:
    """Return the rows of pseudonym_versions in order; none if nothing was ingested yet."""
    if not store.exists(PSEUDONYM_VERSIONS):
        return []
    return store.read(PSEUDONYM_VERSIONS).orderBy("version").collect()


def read_complete_version(store: TableReader) -> int | None:
    """Return the version that all tables have; None if nothing was ingested yet.

    Raises InputError while the key is rotated, because some tables have another version then.
    """
    return _find_complete_version(read_versions(store))


def _find_complete_version(versions: Sequence[Row]) -> int | None:
    if not versions:
        return None
    last = versions[-1]
    if not last["is_complete"]:
        raise InputError(
            f"{PSEUDONYM_VERSIONS.name}: found version {last['version']} in some tables only, "
            f"because a rotation of the pseudonym key has not ended; run {ROTATE} until it is "
            "done, then this again"
        )
    return int(last["version"])


def check_key(store: Store, fingerprints: Sequence[str]) -> None:
    """Check that the tables have the last version of the job's key.

    The tables of a new shop get it. Raises InputError if they have another one, or while the key is
    rotated.
    """
    versions = read_versions(store)
    version = _find_complete_version(versions)
    if version is None:
        write_version(store, fingerprints, is_complete=True)
        return
    if version != len(fingerprints):
        action = (
            f"run {ROTATE}, which brings the tables to a new version"
            if len(fingerprints) > version
            else "give all versions, oldest first, separated by commas"
        )
        raise InputError(
            f"ingest.pseudonym_key_env: found {len(fingerprints)} versions of the pseudonym key, "
            f"wanted {version} as in the tables; {action}"
        )
    check_same_keys(versions, fingerprints)


def check_same_keys(versions: Sequence[Row], fingerprints: Sequence[str]) -> None:
    """Raise InputError unless the stored versions are of the job's keys."""
    for row in versions:
        if row["fingerprint"] != fingerprints[row["version"] - 1]:
            raise InputError(
                f"ingest.pseudonym_key_env: version {row['version']} of the pseudonym key is not "
                "the one that the tables were written with; wanted the same key, because with "
                "another one each user would get another pseudonym"
            )


def write_version(store: Store, fingerprints: Sequence[str], is_complete: bool) -> None:
    """Record that all or some tables have the last version of the key."""
    row = (len(fingerprints), fingerprints[-1], is_complete)
    store.upsert(PSEUDONYM_VERSIONS, store.spark.createDataFrame([row], PSEUDONYM_VERSIONS.schema))
