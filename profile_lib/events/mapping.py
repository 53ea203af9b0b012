"""Declare how the files, columns and event types of a source map to `events`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from profile_lib.errors import InputError, describe_invalid_keys, wanted_one_of
from profile_lib.events.formats.registry import FORMATS


class _MappingPart(BaseModel):
    """A part of a mapping file, which must not hold unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class InputSpec(_MappingPart):
    """A file, folder or glob of one format."""

    format: str  # a name of the format registry
    where: str | None = None  # SQL condition on the rows to read; null: all
    # Column name → type, for nested JSON lines; null: Spark infers the types.
    column_types: dict[str, str] | None = None

    @field_validator("format")
    @classmethod
    def _check_format(cls, name: str) -> str:
        if name not in (names := FORMATS.names()):
            wanted = wanted_one_of(names, name)
            raise PydanticCustomError("source_format", "{wanted}", {"wanted": wanted})
        return name


class Lookup(_MappingPart):
    """An input whose columns are joined to the events."""

    input: str
    join_keys: list[str]
    columns: list[str]


class ItemColumns(_MappingPart):
    """The catalog that the source publishes: SQL expressions over the columns of `input`."""

    input: str
    item_id: str
    title: str
    category: str
    brand: str
    price: str | None = None


class UserColumns(_MappingPart):
    """The facts that the source declares about users: SQL expressions over `input`."""

    input: str
    user_id: str
    age_band: str | None = None
    gender: str | None = None
    region: str | None = None
    attributes: dict[str, str] = {}


class SourceMapping(_MappingPart):
    """The contents of a mapping file: how one source maps to events, items and users."""

    name: str
    inputs: dict[str, InputSpec]
    lookups: list[Lookup] = []
    columns: dict[str, str]  # column of events, or title, category, brand → SQL expression
    event_types: dict[str, str | None]  # the source's word → event type; null: leave the row out
    items: ItemColumns | None = None  # null: derived from the events
    users: UserColumns | None = None


def read_mapping(path: str) -> SourceMapping:
    """Read a mapping file.

    A file with the key `base`, the path of another mapping relative to itself, holds only the
    top-level keys that differ. Raises InputError if a file is missing or not YAML, or if a key is
    invalid; the error then names every invalid key.
    """
    values = _load_yaml(path)
    if isinstance(values, dict) and "base" in values:
        base = _load_yaml(str(Path(path).parent / str(values.pop("base"))))
        values = base | values if isinstance(base, dict) else base
    try:
        return SourceMapping.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {describe_invalid_keys(error)}") from error


def _load_yaml(path: str) -> Any:
    if not Path(path).is_file():
        raise InputError(f"ingest.mapping: no file {path}; see conf/sources/ for those at hand")
    try:
        return yaml.safe_load(Path(path).read_text("utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {error}") from error


def check_paths(mapping: SourceMapping, paths: Mapping[str, str]) -> None:
    """Raise InputError unless the mapping's inputs and the paths have the same names."""
    if differing := set(mapping.inputs) ^ set(paths):
        raise InputError(
            f"ingest.inputs: paths for {', '.join(sorted(paths)) or 'nothing'}; the mapping "
            f"{mapping.name} wants {', '.join(sorted(mapping.inputs))} (differs: "
            f"{', '.join(sorted(differing))})"
        )
