"""Open the source of events that ingestion reads, in files or as a stream."""

import os
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from profile_lib.config.events import IngestSettings
from profile_lib.events.identity import read_pseudonym_key
from profile_lib.events.mapping import SourceMapping, check_paths, read_mapping
from profile_lib.spark.timestamps import midnight


@dataclass(frozen=True)
class Source:
    """A source's mapping, its settings (paths and limits) and the pseudonym key."""

    mapping: SourceMapping
    settings: IngestSettings
    key: bytes


def open_source(settings: IngestSettings) -> Source:
    """Read the pseudonym key and the mapping of the source.

    Raises InputError if one of them is missing or invalid, or if `ingest.inputs` does not have a
    path for each input of the mapping.
    """
    key = read_pseudonym_key(settings.pseudonym_key, settings.pseudonym_key_env, os.environ)
    mapping = read_mapping(settings.mapping)
    check_paths(mapping, settings.inputs)
    return Source(mapping, settings, key)


def find_latest_time(settings: IngestSettings, day: date | None, now: datetime) -> datetime:
    """Return the moment from which events count as in the future.

    It is the end of `day`; without a `day` it is `ingest.latest` or, without that, the end of the
    date of `now`.
    """
    if day is None and settings.latest is not None:
        return midnight(settings.latest)
    return midnight((day or now.date()).isoformat()) + timedelta(days=1)
