"""Record trainings in MLflow, TensorBoard or Weights & Biases.

MLflow stores its records in a SQLite file unless the settings name another store. Its model
registry holds the versions of each model; the alias `challenger` names the one trained last, the
alias `champion` the one that serves.
"""

import json
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from profile_lib.errors import InputError

log = logging.getLogger(__name__)

CHAMPION, CHALLENGER, PREVIOUS_CHAMPION = "champion", "challenger", "before_champion"
SERVED_MODEL_FILE = Path(__file__).parents[1] / "inference" / "mlflow_model.py"


@dataclass(frozen=True)
class Tracker:
    """The places where trainings are recorded; the settings of the same names say more."""

    uri: str | None
    experiment: str
    artifacts: str  # path or URI of models and reports
    tensorboard: str | None
    wandb_project: str | None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Tracker":
        """Build the tracker. Raises InputError if a package that it needs is missing."""
        tracker = cls(**settings)
        if tracker.wandb_project is not None and find_spec("wandb") is None:
            raise InputError(
                "tracking.wandb_project: needs the package wandb; pip install wandb, or set it to "
                "null"
            )
        return tracker

    def record(
        self,
        name: str,
        settings: Mapping[str, Any],
        epochs: Sequence[Mapping[str, Any]],
        curve: Sequence[float],
        report: Mapping[str, Any],
        model_folder: str,
    ) -> str | None:
        """Record a training and register its model as the challenger.

        Settings become parameters; the loss of every step, the validation of every epoch and the
        test metrics become metrics; the model's folder becomes the model. Returns the model's
        version, None if there is no MLflow store.
        """
        parameters = flatten(settings)
        by_epoch = [
            {f"validation.{k}": v for k, v in epoch["validation"].items()} for epoch in epochs
        ]
        by_task = {task: entry.get("model", {}) for task, entry in report["tasks"].items()}
        test_metrics = {f"test.{k}": v for k, v in flatten(by_task).items() if v is not None}
        if self.tensorboard is not None:
            version = _read_manifest(model_folder)["model_version"]
            _write_tensorboard(f"{self.tensorboard}/{version}", curve, by_epoch)
        if self.wandb_project is not None:
            _write_wandb(self.wandb_project, name, parameters, curve, by_epoch, test_metrics)
        if self.uri is None:
            return None
        return self._write_mlflow(name, parameters, curve, by_epoch, test_metrics, model_folder)

    def _write_mlflow(
        self,
        name: str,
        parameters: Mapping[str, Any],
        curve: Sequence[float],
        by_epoch: Sequence[Mapping[str, float]],
        test_metrics: Mapping[str, float],
        model_folder: str,
    ) -> str:
        import mlflow

        client = self.client()
        if client.get_experiment_by_name(self.experiment) is None:
            is_path = "://" not in self.artifacts
            location = Path(self.artifacts).absolute().as_uri() if is_path else self.artifacts
            client.create_experiment(self.experiment, artifact_location=location)
        mlflow.set_experiment(self.experiment)
        manifest = _read_manifest(model_folder)
        with mlflow.start_run(run_name=manifest["model_version"]) as run:
            _log_batches(client, run.info, parameters, curve, by_epoch, test_metrics)
            for file in ("report.json", "report.html", "training.json"):
                mlflow.log_artifact(str(Path(model_folder) / file))
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(SERVED_MODEL_FILE),  # code, not a pickle
                artifacts={"folder": model_folder},
                signature=_signature(manifest["spec"]),
                registered_model_name=name,
                pip_requirements=["torch", "transformers", "safetensors", "pydantic"],
            )
        version = str(logged.registered_model_version)
        client.set_model_version_tag(name, version, "model_version", manifest["model_version"])
        client.set_registered_model_alias(name, CHALLENGER, version)
        return version

    def client(self) -> Any:
        """Return MLflow's client of the store; a missing SQLite store is created."""
        import mlflow

        if self.uri is None:
            raise InputError("tracking.uri: null; wanted MLflow's store, which keeps the models")
        if self.uri.startswith("sqlite:///"):
            Path(self.uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        _quiet(mlflow)
        mlflow.set_tracking_uri(self.uri)
        return mlflow.MlflowClient()

    def find_version(self, name: str, alias: str) -> str | None:
        """Return the version that an alias names, None if it names none."""
        from mlflow.exceptions import MlflowException

        try:
            return str(self.client().get_model_version_by_alias(name, alias).version)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

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


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings; keys are joined by dots.

    >>> flatten({"a": {"b": 1}, "c": 2})
    {'a.b': 1, 'c': 2}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _read_manifest(model_folder: str) -> dict[str, Any]:
    return json.loads((Path(model_folder) / "model.json").read_text(encoding="utf-8"))


def _log_batches(
    client: Any,
    run: Any,
    parameters: Mapping[str, Any],
    curve: Sequence[float],
    by_epoch: Sequence[Mapping[str, float]],
    test_metrics: Mapping[str, float],
) -> None:
    """Log metrics and parameters in batches of the sizes that MLflow accepts."""
    from mlflow.entities import Metric, Param

    time = run.start_time
    metrics = [Metric("loss", loss, time, step) for step, loss in enumerate(curve, start=1)]
    metrics += [
        Metric(name, value, time, epoch)
        for epoch, values in enumerate(by_epoch, start=1)
        for name, value in values.items()
    ]
    metrics += [Metric(name, value, time, 0) for name, value in test_metrics.items()]
    for start in range(0, len(metrics), 500):
        client.log_batch(run.run_id, metrics=metrics[start : start + 500])
    params = [Param(name, str(value)[:6000]) for name, value in parameters.items()]
    for start in range(0, len(params), 100):
        client.log_batch(run.run_id, params=params[start : start + 100])


def _quiet(mlflow: Any) -> None:
    """Silence MLflow's progress bars and news; its warnings and errors are printed.

    It prints what it registers to standard error, whatever its log level.
    """
    from mlflow.tracking._model_registry import fluent

    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    fluent.eprint = lambda text, **_: log.debug(text)
    # The signature is given, so an example to infer it from is not needed.
    warnings.filterwarnings("ignore", ".*An input example was not provided", module="mlflow")


def _signature(spec: Mapping[str, Any]) -> Any:
    """Return the types of a model's inputs and of its column per task."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec
    from mlflow.types.schema import Array, ColSpec, DataType

    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(Array(DataType.long), "token_ids"),
        ColSpec(DataType.long, "n_tokens"),
        ColSpec(Array(DataType.double), "numeric"),
    ]
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(Array(DataType.double) if task["classes"] else DataType.double, task["name"])
        for task in spec["tasks"]
    ]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _write_tensorboard(
    folder: str, curve: Sequence[float], by_epoch: Sequence[Mapping[str, float]]
) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:
        for step, loss in enumerate(curve, start=1):
            writer.add_scalar("loss", loss, step)
        for epoch, values in enumerate(by_epoch, start=1):
            for name, value in values.items():
                writer.add_scalar(name, value, epoch)


def _write_wandb(
    project: str,
    name: str,
    parameters: Mapping[str, Any],
    curve: Sequence[float],
    by_epoch: Sequence[Mapping[str, float]],
    test_metrics: Mapping[str, float],
) -> None:
    import wandb

    run = wandb.init(project=project, name=name, config=dict(parameters))
    for step, loss in enumerate(curve, start=1):
        run.log({"loss": loss, "step": step})
    for epoch, values in enumerate(by_epoch, start=1):
        run.log({**values, "epoch": epoch})
    run.summary.update(dict(test_metrics))
    run.finish()
