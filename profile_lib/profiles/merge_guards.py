"""Define when a MERGE may overwrite a stored profile, as SQL on `source` and `target`.

A profile computed from a newer version of events always overwrites. A refresh also overwrites a
profile of the same version, because its model may be newer, except if the refresh's row has pending
input and the stored one has none. A stream overwrites a profile of the same version only if the
stored one has pending input.
"""

_IS_NEWER = "source.events_version > target.events_version"
_IS_SAME_VERSION = "source.events_version = target.events_version"
_TARGET_IS_PENDING = "target.pending_input IS NOT NULL"

REFRESH_GUARD = (
    f"{_IS_NEWER} OR "
    f"({_IS_SAME_VERSION} AND (source.pending_input IS NULL OR {_TARGET_IS_PENDING}))"
)
STREAM_GUARD = f"{_IS_NEWER} OR ({_IS_SAME_VERSION} AND {_TARGET_IS_PENDING})"
