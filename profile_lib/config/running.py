"""How jobs run: the session, where things lie, and how tables are written, kept and served."""

from typing import Literal

from pydantic import Field

from profile_lib.config.section import Section


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

    max_attempts: int = Field(gt=0)  # in all
    first_wait_seconds: float = Field(ge=0)  # twice as long after each try


class RefreshSettings(Section):
    """How profiles are computed."""

    alias: Literal["champion", "challenger"] | None  # the model by MLflow's alias; null: by name
    runtime: Literal["auto", "torch_fp32", "torch_bf16", "openvino_int8"]  # of the encoder
    batch_tokens: int = Field(gt=0)  # padded tokens of one forward pass
    user_buckets: int = Field(gt=0)
    buckets_per_chunk: int = Field(gt=0)  # of those that are computed whole, one commit
    n_reasons: int = Field(ge=0)
    n_next_categories: int = Field(gt=0)


class HistorySettings(Section):
    """For how long it is kept what profiles were."""

    retention_days: float = Field(gt=0)


class MaintainSettings(Section):
    """How the tables' files are kept few, and for how long those of earlier versions are."""

    file_mib: int = Field(gt=0)
    commit_mib: int = Field(gt=0)  # partitions that are written together
    retention_hours: float = Field(ge=0)
    min_retention_hours: float = Field(ge=0)  # what streams and change feeds need


class StreamSettings(Section):
    """How events come into their users' profiles within seconds."""

    source: Literal["events", "files", "kafka"]  # the table alone, or what is ingested into it
    kafka: dict[str, str]  # Spark's options of the source kafka: brokers, topic, where to start
    checkpoint: str  # a folder: how far the stream is, and each user's events
    state_partitions: int = Field(gt=0)  # of that folder; another number needs another folder
    trigger_seconds: float = Field(ge=0)  # a batch begins no sooner after the last
    encoder_seconds: float = Field(ge=0)  # of each core a batch; who is left waits for the next
    max_pending_per_batch: int = Field(gt=0)  # of those who wait, the most that one batch takes up
    compact_batches: int = Field(gt=0)  # between two times that their files are written together
    compact_mib: int = Field(gt=0)  # larger files stay, unless many of their rows changed
    max_lag_seconds: float = Field(gt=0)  # told where an event waits longer
    report_seconds: float = Field(gt=0)
    metrics_port: int | None  # of this machine, for Prometheus; null: none


class TrackingSettings(Section):
    """Where trainings are recorded."""

    uri: str | None  # MLflow's store, such as sqlite:///data/mlflow.db; null: none
    experiment: str
    artifacts: str  # where MLflow keeps models and reports; a path or URI
    tensorboard: str | None  # a folder for TensorBoard's logs; null: none
    wandb_project: str | None  # of Weights & Biases; null: none
