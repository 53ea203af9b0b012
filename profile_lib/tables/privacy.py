"""Declare the table of the versions of the pseudonym key."""

from profile_lib.tables.table import BOOLEAN, INT, STRING, Table, required

PSEUDONYM_VERSIONS = Table(
    "pseudonym_versions",
    "Versions of the pseudonym key that the tables have had; the highest is that of all tables",
    key=("version",),
    rebuild_instructions="move {path} away: the next ingestion then begins it again",
    columns=(
        required("version", INT, "number of the version, from 1"),
        required("fingerprint", STRING, "keyed hash by which the key of the version is recognised"),
        required(
            "is_complete", BOOLEAN, "whether all tables have it; false while the key is rotated"
        ),
    ),
)
