"""Open the source that ingestion reads, at once or as a stream."""

import os
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from profile_lib.config.events import IngestSettings
from profile_lib.events.identity import read_pseudonym_key
from profile_lib.events.mapping import SourceMapping, check_paths, read_mapping
from profile_lib.spark.moments import midnight


@dataclass(frozen=True)
class Source:
    """A source's mapping, its settings (paths and limits) and the pseudonym key."""

    mapping: SourceMapping
    settings: IngestSettings
    key: bytes


def open_source(settings: IngestSettings) -> Source:
    """Read the key and the mapping.

    Raises InputError if one of them is missing, or if the paths are not those of its inputs.
    """
    key = read_pseudonym_key(settings.pseudonym_key, settings.pseudonym_key_env, os.environ)
    mapping = read_mapping(settings.mapping)
    check_paths(mapping, settings.inputs)
    return Source(mapping, settings, key)


def find_latest_time(settings: IngestSettings, day: date | None, now: datetime) -> datetime:
    """Return the time from which an event is in the future.

    It is the end of `day` or, without one, `ingest.latest` or else the end of the date of `now`.
    """
    if day is None and settings.latest is not None:
        return midnight(settings.latest)
    return midnight((day or now.date()).isoformat()) + timedelta(days=1)
