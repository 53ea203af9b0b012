"""Write small source files and the mappings that read them."""

import gzip
from pathlib import Path

import yaml

from profile_lib.events.mapping import SourceMapping, read_mapping

COLUMNS = {"user_id": "who", "event_ts": "when", "event_type": "upper(what)"}
CSV_LINES = "who,when,what\nann,2026-01-02 03:04:05,look\nbob,2026-01-02 03:05:00,buy\n"
MAPPED_ROWS = [("ann", "2026-01-02 03:04:05", "LOOK"), ("bob", "2026-01-02 03:05:00", "BUY")]


def write_mapping(folder: Path, **changes: object) -> SourceMapping:
    """Write and read a mapping of COLUMNS from a CSV file, with these keys changed."""
    values = {
        "name": "shop",
        "inputs": {"events": {"format": "csv"}},
        "columns": COLUMNS,
        "event_types": {"LOOK": "view", "BUY": "purchase"},
    }
    file = folder / "shop.yaml"
    file.write_text(yaml.safe_dump(values | changes, sort_keys=False), encoding="utf-8")
    return read_mapping(str(file))


def write_file(folder: Path, name: str, text: str) -> str:
    """Write a text, compressed if its name ends with gz, and return its path."""
    file = folder / name
    content = text.encode()
    file.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    return str(file)
