"""What a model is, and how it is fitted, pretrained, made smaller, searched for and promoted."""

from typing import Any, Literal

from pydantic import Field, model_validator

from profile_lib.config.section import Section


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
    n_processes: int = Field(gt=0)  # processes; 1: this one, whatever the launcher
    retries: int = Field(ge=0)  # starts from the last checkpoint after a rank was lost
    stall_seconds: int = Field(gt=0)  # without a sign of a rank, until it counts as lost
    horovod: HorovodSettings
    shards: int = Field(gt=0)  # the train rows' parts; a multiple of ranks; more of them, same loss
    threads_per_process: int = Field(gt=0)
    numeric_epochs: int = Field(ge=0)  # numbers and heads alone, before the encoder joins
    numeric_batch_size: int = Field(gt=0)
    epochs: int = Field(ge=0)  # with the text
    batch_size: int = Field(gt=0)  # over all ranks
    negative_downsampling_rate: float = Field(
        gt=0, le=1
    )  # in an epoch with the text; others each epoch
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
    shuffle_rows: int = Field(gt=0)  # rows of a shard shuffled and sorted by length together
    rows_per_group: int = Field(gt=0)  # of the snapshot's Parquet files
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

    enabled: bool
    calibration_texts: int = Field(gt=0)  # of train, by which the scales are found
    min_quality_ratio: float = Field(
        gt=0, le=1
    )  # of each test measure of fp32's; with less, not served


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
    negative_downsampling_rate: float = Field(gt=0, le=1)  # in an epoch; others each epoch
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


class SearchRange(Section):
    """What a setting is drawn from: numbers from `low` to `high`, or one of `choices`."""

    low: float | int | None = None
    high: float | int | None = None
    log: bool = False  # drawn evenly by their logarithm
    choices: list[Any] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "SearchRange":
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
    metric: Literal["roc_auc", "pr_auc", "log_loss", "accuracy", "mrr", "rmse"]
    space: dict[str, SearchRange]  # setting → what it is drawn from


class PromoteSettings(Section):
    """When a challenger becomes the champion."""

    task: str  # the binary task by which they are compared
    metric: Literal["roc_auc", "pr_auc"]
