"""Load typed, strict settings.

A settings file changes the values of its `base`; `--set a.b=c` changes the result. Unknown and
missing keys are errors that name the key. The defaults, each with its meaning, are in conf/base.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from profile_lib.config.compression import CompressSettings, QuantizationSettings
from profile_lib.config.erasure import EraseSettings
from profile_lib.config.evaluation import EvaluateSettings
from profile_lib.config.events import DraftSettings, IngestSettings, SessionSettings
from profile_lib.config.examples import ExampleSettings
from profile_lib.config.features import BehaviourSettings
from profile_lib.config.feedback import FeedbackSettings
from profile_lib.config.files import files_with_sections, read_settings_file, resolve_mapping
from profile_lib.config.histories import HistoriesSettings
from profile_lib.config.logging import LoggingSettings
from profile_lib.config.model import ModelSettings
from profile_lib.config.overrides import apply_override, put_value
from profile_lib.config.paths import PathSettings
from profile_lib.config.people import PeopleSettings
from profile_lib.config.pretraining import PretrainSettings
from profile_lib.config.profiles import HistorySettings, RefreshSettings
from profile_lib.config.quality import QualitySettings
from profile_lib.config.recommend import RecommendSettings
from profile_lib.config.section import Section
from profile_lib.config.segmentation import SegmentSettings
from profile_lib.config.simulation import SimulateSettings
from profile_lib.config.spark import SparkSettings
from profile_lib.config.stream import StreamSettings
from profile_lib.config.tables import MaintainSettings, StoreSettings
from profile_lib.config.tracking import PromoteSettings, TrackingSettings
from profile_lib.config.training import TrainingSettings
from profile_lib.config.tuning import TuneSettings
from profile_lib.errors import InputError, describe_invalid_keys


class Settings(Section):
    """Hold all settings of a run."""

    spark: SparkSettings
    paths: PathSettings
    logging: LoggingSettings
    store: StoreSettings
    simulate: SimulateSettings
    draft: DraftSettings
    ingest: IngestSettings
    people: PeopleSettings
    quality: QualitySettings
    sessions: SessionSettings
    histories: HistoriesSettings
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
    erase: EraseSettings
    stream: StreamSettings

    def behaviour_rules(self) -> dict[str, Any]:
        """Return the parameters of behaviour, which training and refresh must share."""
        rules = self.behaviour.model_dump(exclude={"half_life_days"})
        half_life = timedelta(days=self.behaviour.half_life_days)
        return {"gap": self.sessions.gap, "half_life": half_life, **rules}


def load_settings(name: str, overrides: Sequence[str] = ()) -> Settings:
    """Load a settings file and apply overrides such as `training.epochs=3`.

    `name` is a path such as conf/demo.yaml, or the name of a file in conf/, such as demo. Raises
    InputError that names every unknown, missing or invalid key.
    """
    path, values = read_settings_file(name)
    for override in overrides:
        apply_override(values, override)
    resolve_mapping(values, Path())
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        sections = {str(wrong["loc"][0]) for wrong in error.errors() if wrong["loc"]}
        sources = " and ".join(files_with_sections(sections)) or "conf/base"
        raise InputError(
            f"{path}: {describe_invalid_keys(error)}; see {sources} for every key"
        ) from error


def with_values(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return the settings with other values at keys such as `training.epochs`.

    Raises InputError that names every unknown key and every invalid value.
    """
    values = settings.model_dump()
    for key, value in changes.items():
        put_value(values, key, value, key)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{', '.join(changes)}: {describe_invalid_keys(error)}") from error
