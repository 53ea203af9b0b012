"""Declare how the files, columns and event types of a source map to `events`."""

import codecs
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from profile_lib.errors import InputError, describe_invalid_keys, wanted_one_of
from profile_lib.events.formats.registry import FORMATS
from profile_lib.tables import EVENTS
from profile_lib.tables.events import EVENT_TYPES
from profile_lib.tables.people import CARRIERS
from profile_lib.tables.users import DEMOGRAPHIC_COLUMNS
from profile_lib.yaml_files import read_yaml

# Columns of events that ingestion computes itself; a mapping gives all others, and the texts of
# items that the catalog is derived from.
COMPUTED_COLUMNS = {"event_id", "event_date", "language", "source", "load_date"}
ITEM_TEXTS = ("title", "category", "brand")
MAPPED_COLUMNS = (
    *(c for c in EVENTS.column_names() if c not in COMPUTED_COLUMNS),
    *ITEM_TEXTS,
    "currency",  # ISO 4217 code of the price
    "user_agent",  # text by which known robots are recognised
)
REQUIRED_COLUMNS = ("user_id", "event_ts", "event_type")
DEFAULT_INPUT = "events"  # input of the events if the mapping has no `event_inputs`


class _MappingPart(BaseModel):
    """A part of a mapping file, which must not hold unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_csv_sign(sign: str) -> str:
    if len(sign) != 1 or not sign.isascii() or sign in "\r\n":
        raise ValueError(f"found {sign!r}, wanted one ASCII character that is no line break")
    return sign


CsvSign = Annotated[str, AfterValidator(_check_csv_sign)]


class CsvDialect(_MappingPart):
    """How the fields of a CSV file are written."""

    delimiter: CsvSign = ","
    header: bool = True  # whether the first line holds the columns' names
    names: list[str] | None = None  # columns of a file without header; null: _c0, _c1, …
    quote: CsvSign | None = '"'  # null: quotes are ordinary characters
    escape: CsvSign | None = None  # null: a quote in quotes is doubled
    multi_line: bool = True  # whether a quoted field may hold line breaks

    @model_validator(mode="after")
    def _check(self) -> "CsvDialect":
        if self.names is not None and self.header:
            raise ValueError("found names beside header: true, wanted header: false with names")
        if self.names is not None and len(set(self.names)) != len(self.names):
            raise ValueError("found a name twice in names, wanted each once")
        if self.delimiter in (self.quote, self.escape):
            raise ValueError("found delimiter as quote or escape, wanted different characters")
        return self


class KeyedArray(_MappingPart):
    """An array of key and value, such as GA4's event_params, which `param('key')` reads."""

    column: str
    key: str = "key"
    # Paths of the value inside an element; the first that is not null is taken.
    values: list[str] = Field(
        default=[
            "value.string_value",
            "value.int_value",
            "value.double_value",
            "value.float_value",
        ],
        min_length=1,
    )


class Unfold(_MappingPart):
    """An array that becomes one row per element; a row without elements stays one row."""

    column: str  # SQL expression of the array: its path, or a part of it such as filter(…)
    alias: str  # name by which expressions refer to the element


class InputSpec(_MappingPart):
    """A file, folder or glob of one format."""

    format: str  # a name of the format registry
    where: str | None = None  # SQL condition on the rows to read; null: all
    encoding: str = "utf-8"  # of CSV and JSON; a byte-order mark takes precedence
    csv: CsvDialect = CsvDialect()
    unfold: Unfold | None = None
    params: KeyedArray | None = None
    # Column → SQL type, for nested columns whose type does not follow from the expressions. A text
    # column of a struct, array or map type is parsed as JSON.
    column_types: dict[str, str] = {}

    @field_validator("format")
    @classmethod
    def _check_format(cls, name: str) -> str:
        if name not in (names := FORMATS.names()):
            raise ValueError(f"found {name!r}, {wanted_one_of(names, name)}")
        return name

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, name: str) -> str:
        try:
            b"uid,ts".decode(name, "replace")  # as the files will be decoded
            return codecs.lookup(name).name
        except (LookupError, UnicodeError) as error:
            raise ValueError(
                f"found {name!r}, wanted an encoding that Python knows, such as utf-8, utf-16, "
                "latin-1, cp1252 or gb18030"
            ) from error


class Lookup(_MappingPart):
    """An input whose columns are joined to the events."""

    input: str
    join_keys: list[str] | dict[str, str]  # names in both, or column of the events → of the input
    columns: list[str] | dict[str, str]  # names, or new name → column of the input
    match: Literal["one", "many"] = "one"  # many: an event has one row per match
    event_inputs: list[str] | None = None  # inputs of events that are joined; null: all

    @cached_property
    def key_pairs(self) -> dict[str, str]:
        """Return the column of the input for each column of the events."""
        keys = self.join_keys
        return keys if isinstance(keys, dict) else {name: name for name in keys}

    @cached_property
    def column_pairs(self) -> dict[str, str]:
        """Return the column of the input for each name in expressions."""
        columns = self.columns
        return columns if isinstance(columns, dict) else {name: name for name in columns}


class Times(_MappingPart):
    """How the source writes times; without this, ISO 8601 in UTC is expected."""

    time_zone: str = "UTC"  # IANA zone of times without an offset
    unit: Literal["s", "ms", "us", "ns"] | None = None  # unit of numbers since 1970; null: texts
    format: str | None = None  # Spark's pattern of texts, such as dd.MM.yyyy HH:mm; null: ISO 8601

    @field_validator("time_zone")
    @classmethod
    def _check_zone(cls, name: str) -> str:
        if name not in available_timezones():
            zones = sorted(available_timezones())
            nearest = wanted_one_of(zones, name).rpartition("; ")[2]
            hint = nearest if nearest.startswith("did you mean") else "such as Europe/Berlin"
            raise ValueError(f"found {name!r}, wanted an IANA time zone; {hint}")
        return name

    @model_validator(mode="after")
    def _check_one(self) -> "Times":
        if self.unit and self.format:
            raise ValueError("found unit and format, wanted one of them")
        return self


class ItemColumns(_MappingPart):
    """The catalog that the source publishes: SQL expressions over the columns of `input`."""

    input: str
    item_id: str
    title: str
    category: str
    brand: str
    price: str | None = None


class UserColumns(_MappingPart):
    """The facts that the source declares about users: SQL expressions over `input`.

    A fact without an expression is not declared: what other sources declare of it stays. A fact
    whose value is null is withdrawn, unless rows hold only what changed.
    """

    input: str
    user_id: str
    updated_ts: str | None = None  # time of a row's declarations; null: its arrival
    is_partial: bool = False  # true: a null says nothing; false: it withdraws the fact
    age_band: str | None = None
    gender: str | None = None
    region: str | None = None
    attributes: dict[str, str] = {}

    @field_validator("attributes")
    @classmethod
    def _check_names(cls, attributes: dict[str, str]) -> dict[str, str]:
        if repeated := [name for name in DEMOGRAPHIC_COLUMNS if name in attributes]:
            raise ValueError(
                f"found {', '.join(repeated)}, wanted names other than those of the keys of users; "
                f"move the expression to users.{repeated[0]}, or give the attribute another name"
            )
        return attributes


IdKind = Literal["user", "device", "anonymous"]


class LinkColumns(_MappingPart):
    """The links between ids that the source declares: SQL expressions over `input`."""

    input: str
    user_id: str
    user_kind: IdKind = "user"
    other_id: str
    other_kind: IdKind = "anonymous"
    linked_ts: str | None = None  # time of the link; null: its arrival, and none if it is undone
    undone_ts: str | None = None  # time until which evidence of the two ids does not count


class SourceMapping(_MappingPart):
    """The contents of a mapping file: how one source maps to events, items and users."""

    name: str = Field(min_length=1)
    id_space: str | None = None  # sources of one space share their user ids; null: the name
    inputs: dict[str, InputSpec]
    lookups: list[Lookup] = []
    columns: dict[str, str]  # column of events, or a text of the item → SQL expression
    # Input of events → its columns that differ from `columns`; null: the input `events` alone.
    event_inputs: dict[str, dict[str, str]] | None = None
    # SQL expressions that identify an event in the source. A row in which all of them are empty, or
    # any row without them, is identified by its contents: equal rows are one event.
    id_columns: list[str] = []
    rows_are_distinct: bool = False  # true: equal rows without an id are different events
    event_types: dict[str, str | None]  # the source's word → event type; null: leave the row out
    times: Times = Times()
    decimal_sign: Literal[".", ","] = "."  # of numbers that are texts; the other one groups digits
    items: ItemColumns | None = None  # null: derived from the events
    users: UserColumns | None = None
    links: LinkColumns | None = None

    @field_validator("event_types")
    @classmethod
    def _check_event_types(cls, words: dict[str, str | None]) -> dict[str, str | None]:
        for word, event_type in words.items():
            if event_type is not None and event_type not in EVENT_TYPES:
                wanted = wanted_one_of(EVENT_TYPES, event_type)
                raise ValueError(f"{word}: found {event_type!r}, {wanted}")
        return words

    @field_validator("columns")
    @classmethod
    def _check_columns(cls, columns: dict[str, str]) -> dict[str, str]:
        check_contract(columns)
        return columns

    @field_validator("event_inputs")
    @classmethod
    def _check_event_inputs(
        cls, inputs: dict[str, dict[str, str]] | None
    ) -> dict[str, dict[str, str]] | None:
        for columns in (inputs or {}).values():
            check_contract(columns)
        return inputs

    @model_validator(mode="after")
    def _check_whole(self) -> "SourceMapping":
        for name in self.event_columns:
            if missing := [c for c in REQUIRED_COLUMNS if c not in self.event_columns[name]]:
                raise ValueError(f"columns of {name}: missing {', '.join(missing)}")
        self._check_inputs()
        return self

    def _check_inputs(self) -> None:
        uses = {f"event_inputs.{name}": name for name in self.event_columns}
        for n, lookup in enumerate(self.lookups):
            uses[f"lookups[{n}].input"] = lookup.input
            for name in lookup.event_inputs or ():
                if name not in self.event_columns:
                    wanted = wanted_one_of(self.event_columns, name)
                    raise ValueError(f"lookups[{n}].event_inputs: found {name!r}; {wanted}")
        for key in ("items", "users", "links"):
            if (part := getattr(self, key)) is not None:
                uses[f"{key}.input"] = part.input
        for key, name in uses.items():
            if name not in self.inputs:
                raise ValueError(f"{key}: no input {name!r}; {wanted_one_of(self.inputs, name)}")

    @cached_property
    def event_columns(self) -> dict[str, dict[str, str]]:
        """Return all columns of each input of events."""
        inputs = {DEFAULT_INPUT: {}} if self.event_inputs is None else self.event_inputs
        return {name: self.columns | columns for name, columns in inputs.items()}

    def lookups_of(self, name: str) -> dict[int, Lookup]:
        """Return the lookups that are joined to an input of events, by their number."""
        return {
            number: lookup
            for number, lookup in enumerate(self.lookups)
            if lookup.event_inputs is None or name in lookup.event_inputs
        }

    @property
    def has_carriers(self) -> bool:
        """Return whether events have ids of devices or browsers beside the login."""
        columns = self.event_columns.values()
        return any(name in mapped for mapped in columns for name in CARRIERS.values())

    @property
    def user_space(self) -> str:
        """The name of the space that the user ids belong to."""
        return self.id_space or self.name


def check_contract(columns: Iterable[str]) -> None:
    """Raise ValueError unless all columns are in the contract of events."""
    for name in columns:
        if name == "event_id":
            raise ValueError("event_id: wanted the id's expression under id_columns")
        if name not in MAPPED_COLUMNS:
            wanted = wanted_one_of(MAPPED_COLUMNS, name)
            raise ValueError(f"no column {name!r} in the contract; {wanted}")


def read_mapping(path: str) -> SourceMapping:
    """Read a mapping file.

    A file with the key `base`, the path of another mapping relative to itself, holds only the
    top-level keys that differ. Raises InputError if a file is missing or not YAML, if it has a key
    twice, or if a key is invalid; the error then names every invalid key.
    """
    values = _load(path)
    if isinstance(values, dict) and "base" in values:
        base = _load(str(Path(path).parent / str(values.pop("base"))))
        values = base | values if isinstance(base, dict) else base
    try:
        return SourceMapping.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {describe_invalid_keys(error)}") from error


def _load(path: str) -> Any:
    if not Path(path).is_file():
        raise InputError(f"ingest.mapping: no file {path}; see conf/sources/ for those at hand")
    return read_yaml(Path(path))


def check_paths(mapping: SourceMapping, paths: Mapping[str, str]) -> None:
    """Raise InputError unless the mapping's inputs and the paths have the same names."""
    if differing := set(mapping.inputs) ^ set(paths):
        raise InputError(
            f"ingest.inputs: paths for {', '.join(sorted(paths)) or 'nothing'}; the mapping "
            f"{mapping.name} wants {', '.join(sorted(mapping.inputs))} (differs: "
            f"{', '.join(sorted(differing))})"
        )
