"""Typed, strict settings, read from conf/: unknown and missing keys are errors that name the key.

A file may name a `base` file whose values it changes; `--set a.b=c` changes both.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from profile_lib.config.data import (
    BehaviourSettings,
    ExampleSettings,
    IngestSettings,
    SessionSettings,
    SimulateSettings,
)
from profile_lib.config.evaluation import EvaluateSettings
from profile_lib.config.models import (
    CompressSettings,
    ModelSettings,
    PretrainSettings,
    PromoteSettings,
    QuantizationSettings,
    TrainingSettings,
    TuneSettings,
)
from profile_lib.config.recommend import RecommendSettings
from profile_lib.config.running import (
    HistorySettings,
    MaintainSettings,
    PathSettings,
    RefreshSettings,
    SparkSettings,
    StoreSettings,
    StreamSettings,
    TrackingSettings,
)
from profile_lib.config.section import Section
from profile_lib.config.uses import (
    FeedbackSettings,
    SegmentSettings,
)
from profile_lib.errors import InputError, describe_invalid_keys

SPARK_CONF = "spark.conf."  # what follows is one name, and its value a text


class Settings(Section):
    """All settings of a run."""

    spark: SparkSettings
    paths: PathSettings
    store: StoreSettings
    simulate: SimulateSettings
    ingest: IngestSettings
    sessions: SessionSettings
    behaviour: BehaviourSettings
    examples: ExampleSettings
    model: ModelSettings
    pretrain: PretrainSettings
    training: TrainingSettings
    quantization: QuantizationSettings
    compress: CompressSettings
    tune: TuneSettings
    tracking: TrackingSettings
    promote: PromoteSettings
    refresh: RefreshSettings
    history: HistorySettings
    feedback: FeedbackSettings
    segments: SegmentSettings
    recommend: RecommendSettings
    evaluate: EvaluateSettings
    maintain: MaintainSettings
    stream: StreamSettings

    def behaviour_rules(self) -> dict[str, Any]:
        """What behaviour is computed by: the same at training and at refresh."""
        rules = self.behaviour.model_dump(exclude={"half_life_days"})
        half_life = timedelta(days=self.behaviour.half_life_days)
        return {"gap": self.sessions.gap, "half_life": half_life, **rules}


def load_settings(path: str, overrides: Sequence[str] = ()) -> Settings:
    """The settings in `path`, over its base, under `overrides` such as `training.epochs=3`.

    Raises InputError that names every unknown, missing or ill-typed key.
    """
    values = _read(Path(path))
    for override in overrides:
        _set(values, override)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise InputError(
            f"{path}: {describe_invalid_keys(error)}; conf/base.yaml holds every key"
        ) from error


def with_values(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """The settings with other values at keys such as `training.epochs`.

    Raises InputError that names every key that there is not and every value of the wrong type.
    """
    values = settings.model_dump()
    for key, value in changes.items():
        put_value(values, key, value, key)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{', '.join(changes)}: {describe_invalid_keys(error)}") from error


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such settings file; see conf/ for those that come along")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: wanted sections of keys, found {type(values).__name__}")
    base = values.pop("base", None)
    return _merge(_read(path.parent / base), values) if base else values


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _merge(below[key], value) if both else value
    return merged


def _set(values: dict[str, Any], override: str) -> None:
    key, is_set, text = override.partition("=")
    if not is_set or not key.rpartition(".")[2]:
        raise InputError(f"--set {override}: wanted section.key=value")
    value = text if key.startswith(SPARK_CONF) else yaml.safe_load(text)
    put_value(values, key, value, f"--set {override}")


def put_value(values: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Set `section.key` in nested `values`. Raises InputError at `where` if a section is none."""
    if key.startswith(SPARK_CONF):
        sections, last = SPARK_CONF.split(".")[:-1], key.removeprefix(SPARK_CONF)
    else:
        *sections, last = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise InputError(f"{where}: {section} holds a value, not keys")
    values[last] = value
