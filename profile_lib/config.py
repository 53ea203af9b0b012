"""Typed, strict settings, read from conf/: unknown and missing keys are errors that name the key.

A file may name a `base` file whose values it changes; `--set a.b=c` changes both.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from profile_lib.errors import InputError, wrong_keys

SPARK_CONF = "spark.conf."  # what follows is one name, and its value a text


class Section(BaseModel):
    """A part of the settings: every key is wanted, no other is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SparkSettings(Section):
    """How a session is started where none is there."""

    master: str
    log_level: str
    conf: dict[str, str]


class PathSettings(Section):
    """Where things lie: any path that Spark can write, but `models` and `work` on a shared disk."""

    tables: str
    models: str
    work: str  # snapshots and the state of run_all


class StoreSettings(Section):
    """How a write that loses against a concurrent one is tried again."""

    tries: int = Field(gt=0)  # in all
    first_wait_seconds: float = Field(ge=0)  # twice as long after each try


class SimulateSettings(Section):
    """The shop with known truth."""

    seed: int
    n_users: int = Field(gt=0)
    n_items: int = Field(gt=0)
    n_days: int = Field(gt=0)
    first_day: str  # yyyy-mm-dd
    sessions_a_user: float = Field(gt=0)  # mean over all days
    chinese_share: float = Field(ge=0, le=1)
    drift_share: float = Field(ge=0, le=1)  # users whose interests change half way
    dirt_share: float = Field(ge=0, le=1)  # of rows, over all kinds of dirt
    bots_share: float = Field(ge=0, le=1)  # of users
    format: Literal["json", "parquet"]  # of the raw events and users
    events_path: str
    truth_path: str


class IngestSettings(Section):
    """From a source to events."""

    mapping: str
    inputs: dict[str, str]  # the mapping's name of an input → its path
    pseudonym_key_env: str
    pseudonym_key: str | None  # for demos alone: where set, the environment is not asked
    max_rejected_share: float = Field(ge=0, le=1)
    max_text_chars: int = Field(gt=0)
    max_events_a_minute: int = Field(gt=0)  # more of a user in one minute are a bot's
    max_events_a_day: int = Field(gt=0)
    earliest: str  # yyyy-mm-dd; an event before it has a broken clock
    latest: str | None  # an event after it is from the future; null: the end of the run's date


class SessionSettings(Section):
    """Where a session ends."""

    gap_minutes: float = Field(gt=0)

    @property
    def gap(self) -> timedelta:
        """What a session does not hold between two events."""
        return timedelta(minutes=self.gap_minutes)


class BehaviourSettings(Section):
    """What is remembered of a user."""

    half_life_days: float = Field(gt=0)
    weights: dict[str, float]  # what one event of a kind says of an interest
    max_interests: int = Field(gt=0)
    max_recent: int = Field(gt=0)


class ExampleSettings(Section):
    """Cutoffs, labels and split."""

    seed: int
    cutoffs_a_session: int = Field(ge=0)
    train_cutoffs_a_session: int = Field(ge=0)  # of sessions before validation_from
    min_session_events: int = Field(gt=0)
    calendar_days: int | None  # also one cutoff every so many days at midnight; null: none
    horizon_hours: float = Field(gt=0)
    first_cutoff: str | None  # yyyy-mm-dd; history before it is input alone
    last_cutoff: str | None  # so that the horizon is seen whole; null: last event less the horizon
    validation_from: str
    test_from: str
    negatives_kept: float = Field(gt=0, le=1)  # of the training examples that buy nothing
    max_tokens: int = Field(gt=8)
    max_text_events: int = Field(gt=0)


class Task(Section):
    """What a head learns."""

    name: str
    label: str  # Spark SQL over examples, null where unknown; an array where multilabel
    kind: Literal["binary", "multiclass", "multilabel", "regression"]
    weight: float = Field(gt=0)
    mask: str | None = None  # Spark SQL over examples: where it is not true, the label is unknown


class ModelSettings(Section):
    """Shape of the model."""

    text: bool  # false: the numbers and categories alone, without an encoder
    numbers: bool  # false: the text alone
    encoder: str  # a BertModel folder or hub name; "default" is the one that needs no network
    encoder_layers: int | None = Field(ge=0)  # the lowest so many are kept; null: all
    numeric_bins: int = Field(gt=0)  # of each number's piecewise-linear encoding
    numeric_hidden: int = Field(gt=0)  # width of the numbers' MLP
    joined_size: int = Field(gt=0)  # of the interest vector
    dropout: float = Field(ge=0, lt=1)  # of the numbers' MLP and the heads
    encoder_dropout: float | None = Field(ge=0, lt=1)  # null: as the encoder was pretrained
    tasks: list[Task]

    @model_validator(mode="after")
    def _reads_something(self) -> "ModelSettings":
        if not (self.text or self.numbers):
            raise ValueError("wanted text, numbers or both")
        return self


class TuningSettings(Section):
    """What of the encoder is tuned; all adapters are merged for inference."""

    method: Literal["all", "top", "lora", "adalora", "prefix", "ia3"]
    top_layers: int = Field(ge=0)  # of `top`: so many layers, the embeddings left as they are
    rank: int = Field(gt=1)  # of `lora`; of `adalora` the mean in the end
    alpha: int = Field(gt=0)  # of both: what they add is scaled by alpha / rank
    prefix_tokens: int = Field(gt=0)  # of `prefix`


class AugmentationSettings(Section):
    """How often a training text is changed, each rate a share of its words or events."""

    synonyms: float = Field(ge=0, le=1)  # words replaced by the nearest in the encoder's space
    near_items: float = Field(ge=0, le=1)  # events replaced by a near one of the same kind
    deletions: float = Field(ge=0, le=1)
    reorderings: float = Field(ge=0, le=1)  # events that change places with the one before
    insertions: float = Field(ge=0, le=1)  # events after which a near one is put


class HorovodSettings(Section):
    """How gradients travel."""

    fp16_compression: bool
    fusion_mb: int = Field(gt=0)  # gradients are summed together up to this size
    cycle_ms: float = Field(gt=0)  # how long Horovod waits for more of them


class TrainingSettings(Section):
    """How the model is fitted."""

    name: str  # the model's folder below paths.models, and its name in MLflow
    seed: int  # of every draw: the first weights, dropout, order, sampled rows
    launcher: Literal["horovod", "torch", "in_process"]
    ranks: int = Field(gt=0)  # processes; 1: this one, whatever the launcher
    retries: int = Field(ge=0)  # starts from the last checkpoint after a rank was lost
    stall_seconds: int = Field(gt=0)  # without a sign of a rank, until it counts as lost
    horovod: HorovodSettings
    shards: int = Field(gt=0)  # the train rows' parts; a multiple of ranks; more of them, same loss
    threads_a_rank: int = Field(gt=0)
    numeric_epochs: int = Field(ge=0)  # numbers and heads alone, before the encoder joins
    numeric_batch_size: int = Field(gt=0)
    epochs: int = Field(ge=0)  # with the text
    batch_size: int = Field(gt=0)  # over all ranks
    negatives_kept: float = Field(gt=0, le=1)  # in an epoch with the text; others each epoch
    encoder_lr: float = Field(ge=0)  # highest rate of what is tuned of the encoder
    head_lr: float = Field(gt=0)  # of the heads, and of the numbers before the encoder joins
    numbers_lr: float = Field(ge=0)  # of the numbers' part once the encoder has joined
    weight_decay: float = Field(ge=0)  # of matrices, not of biases and norms
    warmup_share: float = Field(ge=0, le=1)  # of a stage's steps, over which its rates rise
    max_grad_norm: float = Field(gt=0)  # longer gradients are cut to it
    tuning: TuningSettings
    layer_decay: float = Field(gt=0, le=1)  # each layer's rate is that of the one above times this
    label_smoothing: float = Field(ge=0, lt=1)  # of a label, spread over all classes
    patience: int | None = Field(gt=0)  # epochs without a better validation loss; null: all epochs
    accumulation: int = Field(gt=0)  # parts of a step's batch that pass one after the other
    compile: bool  # the encoder, by torch.compile
    augmentation: AugmentationSettings
    checkpoint_steps: int | None = Field(gt=0)  # also at the end of each epoch
    checkpoint_path: str | None  # a disk all ranks share or any Hadoop path; null: paths.work
    window: int = Field(gt=0)  # rows of a shard shuffled and sorted by length together
    rows_a_group: int = Field(gt=0)  # of the snapshot's Parquet files
    evaluation_rows: int = Field(gt=0)  # of validation and of test that are predicted, at most
    baseline_rows: int = Field(gt=0)  # of train that the baselines are fitted to, at most
    bootstrap_resamples: int = Field(gt=0)  # of the report's 95 % intervals
    ablations: dict[str, dict[str, Any]]  # name → changed settings, each trained for the report
    progress_steps: int = Field(gt=0)  # between two lines of progress

    @model_validator(mode="after")
    def _has_layers_to_decay(self) -> "TrainingSettings":
        if self.layer_decay < 1 and self.tuning.method not in ("all", "top"):
            raise ValueError(
                f"layer_decay is {self.layer_decay}, but tuning.method {self.tuning.method} tunes "
                "no layers; wanted layer_decay 1, or the method all or top"
            )
        return self


class QuantizationSettings(Section):
    """The int8 encoder that is made beside a trained one's weights."""

    make: bool
    calibration_texts: int = Field(gt=0)  # of train, by which the scales are found
    quality_kept: float = Field(gt=0, le=1)  # of each test measure of fp32's; with less, not served


class PretrainSettings(Section):
    """How an encoder is pretrained; what is not here is as in training."""

    name: str
    from_scratch: bool  # else model.encoder is trained on
    vocabulary: int = Field(gt=100)  # words of one from scratch
    vocabulary_texts: int = Field(gt=0)  # distinct texts that they are found in, at most
    hidden_size: int = Field(gt=0)  # of one from scratch, as those below
    num_hidden_layers: int = Field(gt=0)
    num_attention_heads: int = Field(gt=0)
    max_position_embeddings: int = Field(gt=0)
    mask_share: float = Field(gt=0, lt=1)  # of the words
    words_weight: float = Field(ge=0)  # of naming masked words in the loss
    views_weight: float = Field(ge=0)  # of finding the other view of the same user
    augmentation: AugmentationSettings  # by which the views differ
    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0)  # over all ranks
    lr: float = Field(gt=0)


class CompressSettings(Section):
    """How a trained model is made smaller; what is not here is as in training."""

    student_name: str  # of the model with fewer layers, below paths.models
    pruned_name: str  # of the one with fewer heads
    student_layers: int = Field(gt=0)  # of the encoder, evenly chosen from the teacher's
    pruned_share: float = Field(gt=0, lt=1)  # of all attention heads; each layer keeps one
    importance_rows: int = Field(gt=0)  # of train, about so many, by which the heads are judged
    epochs: int = Field(gt=0)  # of the student
    recovery_epochs: int = Field(gt=0)  # of the pruned model
    negatives_kept: float = Field(gt=0, le=1)  # in an epoch; others each epoch
    lr: float = Field(gt=0)  # the highest rate of encoder, heads and numbers alike
    labels_weight: float = Field(ge=0)  # of the labels in the loss
    teacher_weight: float = Field(ge=0)  # of the teacher's answers, the soft targets
    distance_weight: float = Field(ge=0)  # of the pooled text's cosine distance to the teacher's
    temperature: float = Field(gt=0)  # by which both models' answers are softened
    evaluation_rows: int = Field(gt=0)  # of validation and of test that are predicted, at most
    speed_rows: int = Field(gt=0)  # of test, at most, that texts a second are measured on
    speed_repeats: int = Field(gt=0)

    @model_validator(mode="after")
    def _learns_something(self) -> "CompressSettings":
        if not (self.labels_weight or self.teacher_weight or self.distance_weight):
            raise ValueError("wanted labels_weight, teacher_weight or distance_weight above 0")
        return self


class Range(Section):
    """What a setting is drawn from: numbers from `low` to `high`, or one of `choices`."""

    low: float | int | None = None
    high: float | int | None = None
    log: bool = False  # drawn evenly by their logarithm
    choices: list[Any] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Range":
        has_numbers = self.low is not None and self.high is not None
        if has_numbers == (self.choices is not None):
            raise ValueError("wanted low and high, or choices")
        return self


class TuneSettings(Section):
    """The search for settings: what is drawn, and by what it is judged."""

    name: str
    storage: str  # where Optuna keeps the trials, such as sqlite:///data/tune.db
    trials: int = Field(gt=0)  # in all, those of earlier runs among them
    windows: int = Field(gt=0)  # in time, over which a trial's measure is a mean
    task: str
    measure: Literal["roc_auc", "pr_auc", "log_loss", "accuracy", "mrr", "rmse"]
    space: dict[str, Range]  # setting → what it is drawn from


class TrackingSettings(Section):
    """Where trainings are recorded."""

    uri: str | None  # MLflow's store, such as sqlite:///data/mlflow.db; null: none
    experiment: str
    artifacts: str  # where MLflow keeps models and reports; a path or URI
    tensorboard: str | None  # a folder for TensorBoard's logs; null: none
    wandb_project: str | None  # of Weights & Biases; null: none


class PromoteSettings(Section):
    """When a challenger becomes the champion."""

    task: str  # the binary task by which they are compared
    measure: Literal["roc_auc", "pr_auc"]


class RefreshSettings(Section):
    """How profiles are computed."""

    alias: Literal["champion", "challenger"] | None  # the model by MLflow's alias; null: by name
    runtime: Literal["auto", "torch_fp32", "torch_bf16", "openvino_int8"]  # of the encoder
    batch_tokens: int = Field(gt=0)  # padded tokens of one forward pass
    user_buckets: int = Field(gt=0)
    buckets_a_chunk: int = Field(gt=0)  # of those that are computed whole, one commit
    n_reasons: int = Field(ge=0)
    n_next_categories: int = Field(gt=0)


class HistorySettings(Section):
    """For how long it is kept what profiles were."""

    keep_days: float = Field(gt=0)


class ExperimentSettings(Section):
    """An experiment that is read out: its arms, and what would matter."""

    control: str  # the arm that others are compared with
    shares: dict[str, float]  # arm → share of the users
    ctr_effect: float = Field(gt=0)  # the least difference of interest
    revenue_effect: float = Field(gt=0)  # the same a user, in the shop's currency

    @model_validator(mode="after")
    def _divides_the_users(self) -> "ExperimentSettings":
        if self.control not in self.shares or len(self.shares) < 2:
            raise ValueError(f"wanted shares of {self.control!r}, the control, and of other arms")
        if min(self.shares.values()) <= 0 or abs(sum(self.shares.values()) - 1) > 1e-9:
            raise ValueError("wanted shares above 0 that add up to 1")
        return self


class FeedbackSettings(Section):
    """How what was shown is joined to what came of it, and judged."""

    window_hours: float = Field(gt=0)  # after it was shown; what comes later is not its outcome
    click_types: list[Literal["click", "view"]]  # events that mean it was clicked
    dimensions: list[str]  # columns of feedback by which measures are told apart
    interval_share: float = Field(gt=0, lt=1)  # confidence of the measures' intervals
    alpha: float = Field(gt=0, lt=1)  # of an experiment's false findings, over all looks
    mismatch_alpha: float = Field(gt=0, lt=1)  # of false alarms that arms get the wrong users
    least_users: int = Field(gt=1)  # an arm; with fewer nothing is found
    experiments: dict[str, ExperimentSettings]  # by name

    @property
    def window(self) -> timedelta:
        """How long after it was shown an item's outcomes count."""
        return timedelta(hours=self.window_hours)


Name = Annotated[str, Field(pattern="^[a-z0-9_]+$")]  # it becomes that of a folder and a file


class LookalikeSettings(Section):
    """Users most like those of a list."""

    seeds: str  # a CSV file with a column user_id, of pseudonyms
    n_users: int = Field(gt=0)  # how many are wanted, seeds not among them


class SegmentSettings(Section):
    """How users are put together."""

    seed: int  # of the sample, the first centroids and the folds
    min_clusters: int = Field(gt=1)
    max_clusters: int
    sample_users: int = Field(gt=0)  # that clusters and look-alikes are fitted to, at most
    silhouette_users: int = Field(gt=0)  # of these, at most; each is compared with each
    better_by: float = Field(ge=0)  # silhouette that another number of clusters must be ahead by
    same_from: float = Field(gt=0, le=1)  # Jaccard of members from which a cluster keeps its id
    prior_users: float = Field(gt=0)  # like all others, added to each cluster for its description
    n_terms: int = Field(gt=0)  # of categories, brands and keywords each
    audiences: dict[Name, str]  # Spark SQL over user_profiles and user_segments: whom it takes
    lookalikes: dict[Name, LookalikeSettings]
    export: str | None  # a folder for a CSV file of pseudonyms an audience; null: the table alone

    @model_validator(mode="after")
    def _is_consistent(self) -> "SegmentSettings":
        if self.max_clusters < self.min_clusters:
            raise ValueError("wanted max_clusters of min_clusters or more")
        if both := sorted(self.audiences.keys() & self.lookalikes.keys()):
            raise ValueError(f"audiences and lookalikes share {both}; wanted other names")
        return self


class MaintainSettings(Section):
    """How the tables' files are kept few, and for how long those of earlier versions are."""

    file_mib: int = Field(gt=0)
    commit_mib: int = Field(gt=0)  # partitions that are written together
    keep_hours: float = Field(ge=0)
    least_hours: float = Field(ge=0)  # what streams and change feeds need


class StreamSettings(Section):
    """How events come into their users' profiles within seconds."""

    source: Literal["events", "files", "kafka"]  # the table alone, or what is ingested into it
    kafka: dict[str, str]  # Spark's options of the source kafka: brokers, topic, where to start
    checkpoint: str  # a folder: how far the stream is, and each user's events
    state_partitions: int = Field(gt=0)  # of that folder; another number needs another folder
    trigger_seconds: float = Field(ge=0)  # a batch begins no sooner after the last
    encoder_seconds: float = Field(ge=0)  # of each core a batch; who is left waits for the next
    queue_at_once: int = Field(gt=0)  # of those who wait, the most that one batch takes up
    compact_batches: int = Field(gt=0)  # between two times that their files are written together
    compact_mib: int = Field(gt=0)  # larger files stay, unless many of their rows changed
    max_lag_seconds: float = Field(gt=0)  # told where an event waits longer
    report_seconds: float = Field(gt=0)
    metrics_port: int | None  # of this machine, for Prometheus; null: none


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
        raise InputError(f"{path}: {wrong_keys(error)}; conf/base.yaml holds every key") from error


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
        raise InputError(f"{', '.join(changes)}: {wrong_keys(error)}") from error


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
