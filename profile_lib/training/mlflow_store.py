"""Record trainings and name model versions in an MLflow store.

The store is a SQLite file unless the settings name another one. Its model registry holds the
versions of each model; the alias `challenger` names the one trained last, the alias `champion` the
one that serves.
"""

import logging
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from profile_lib.errors import InputError
from profile_lib.model.manifest import read_manifest
from profile_lib.model.tasks import TaskSpec
from profile_lib.training.training_record import TrainingRecord

log = logging.getLogger(__name__)

CHAMPION, CHALLENGER, PREVIOUS_CHAMPION = "champion", "challenger", "before_champion"
SERVED_MODEL_FILE = Path(__file__).parents[1] / "inference" / "mlflow_model.py"
RECORDED_FILES = ("report.json", "report.html", "training.json")  # of a model's folder
# The largest numbers of entries, and the longest value, that one request to MLflow may hold.
MAX_METRICS_PER_BATCH, MAX_PARAMETERS_PER_BATCH, MAX_PARAMETER_CHARS = 500, 100, 6000


@dataclass(frozen=True)
class MlflowStore:
    """An MLflow store: an experiment with a run per training, and a model registry."""

    uri: str
    experiment: str
    artifacts: str  # path or URI of models and reports

    def record(self, training: TrainingRecord, model_folder: str) -> str:
        """Record a training as a run, and register its model as the challenger.

        Returns the version of the registered model.
        """
        import mlflow

        client = self.client()
        if client.get_experiment_by_name(self.experiment) is None:
            is_path = "://" not in self.artifacts
            location = Path(self.artifacts).absolute().as_uri() if is_path else self.artifacts
            client.create_experiment(self.experiment, artifact_location=location)
        mlflow.set_experiment(self.experiment)
        manifest = read_manifest(model_folder)
        with mlflow.start_run(run_name=manifest.model_version) as run:
            _log_batches(client, run.info, training)
            for file in RECORDED_FILES:
                mlflow.log_artifact(str(Path(model_folder) / file))
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(SERVED_MODEL_FILE),  # code, not a pickle
                artifacts={"folder": model_folder},
                signature=_signature(manifest.spec.tasks),
                registered_model_name=training.name,
                pip_requirements=["torch", "transformers", "safetensors", "pydantic"],
            )
        version = str(logged.registered_model_version)
        client.set_model_version_tag(
            training.name, version, "model_version", manifest.model_version
        )
        client.set_registered_model_alias(training.name, CHALLENGER, version)
        return version

    def client(self) -> Any:
        """Return MLflow's client of the store; a missing SQLite store is created."""
        import mlflow

        if self.uri.startswith("sqlite:///"):
            Path(self.uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        _silence(mlflow)
        mlflow.set_tracking_uri(self.uri)
        return mlflow.MlflowClient()

    def find_version(self, name: str, alias: str) -> str | None:
        """Return the version of a model that an alias names, None if it names none."""
        from mlflow.exceptions import MlflowException

        try:
            return str(self.client().get_model_version_by_alias(name, alias).version)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def list_versions(self) -> list[tuple[str, str, datetime]]:
        """Return the name, the version and the time of registration of each model version."""
        found = self.client().search_model_versions()
        return [
            (v.name, str(v.version), datetime.fromtimestamp(v.creation_timestamp / 1000, UTC))
            for v in found
        ]

    def set_alias(self, name: str, alias: str, version: str | None) -> None:
        """Set the version that an alias names; None removes the alias."""
        client = self.client()
        if version is None:
            client.delete_registered_model_alias(name, alias)
        else:
            client.set_registered_model_alias(name, alias, version)

    def require_version(self, name: str, alias: str) -> str:
        """Return the version that an alias names. Raises InputError if it names none."""
        version = self.find_version(name, alias)
        if version is None:
            raise InputError(
                f"{self.uri}: no version of {name} is its {alias}; train_model registers the "
                "challenger, promote_model makes it the champion"
            )
        return version

    def download_model(self, name: str, version: str, folder: str) -> str:
        """Copy the model folder of a version into `folder`; return the path of the copy."""
        import mlflow

        self.client()  # sets the store that mlflow downloads from
        uri = f"models:/{name}/{version}"
        path = Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder))
        return str(next((path / "artifacts").iterdir()))


def _log_batches(client: Any, run: Any, training: TrainingRecord) -> None:
    """Log metrics and parameters in batches of the sizes that MLflow accepts."""
    from mlflow.entities import Metric, Param

    time = run.start_time
    metrics = [
        Metric("loss", loss, time, step) for step, loss in enumerate(training.curve, start=1)
    ]
    metrics += [
        Metric(name, value, time, epoch)
        for epoch, values in enumerate(training.epoch_metrics, start=1)
        for name, value in values.items()
    ]
    metrics += [Metric(name, value, time, 0) for name, value in training.test_metrics.items()]
    for start in range(0, len(metrics), MAX_METRICS_PER_BATCH):
        client.log_batch(run.run_id, metrics=metrics[start : start + MAX_METRICS_PER_BATCH])
    params = [
        Param(name, str(value)[:MAX_PARAMETER_CHARS]) for name, value in training.parameters.items()
    ]
    for start in range(0, len(params), MAX_PARAMETERS_PER_BATCH):
        client.log_batch(run.run_id, params=params[start : start + MAX_PARAMETERS_PER_BATCH])


def _silence(mlflow: Any) -> None:
    """Silence MLflow's progress bars and news; its warnings and errors are printed.

    It prints what it registers to standard error, whatever its log level.
    """
    from mlflow.tracking._model_registry import fluent

    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    fluent.eprint = lambda text, **_: log.debug(text)
    # The signature is passed, so an example to infer it from is not needed.
    warnings.filterwarnings("ignore", ".*An input example was not provided", module="mlflow")


def _signature(tasks: Sequence[TaskSpec]) -> Any:
    """Return the types of a model's inputs and of its output column per task."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec
    from mlflow.types.schema import Array, ColSpec, DataType

    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(Array(DataType.long), "token_ids"),
        ColSpec(DataType.long, "n_tokens"),
        ColSpec(Array(DataType.double), "numeric"),
    ]
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(Array(DataType.double) if task.classes else DataType.double, task.name)
        for task in tasks
    ]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))
