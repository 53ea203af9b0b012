"""A training in, its record in MLflow, TensorBoard or Weights & Biases out: their only user.

MLflow keeps it in a SQLite file unless another store is named; its model registry holds each
model's versions, of which the aliases `challenger` and `champion` name the last trained and the
one that serves.
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
    """Where trainings are recorded; the settings of the same names say more."""

    uri: str | None
    experiment: str
    artifacts: str  # where models and reports lie; a path or URI
    tensorboard: str | None
    wandb_project: str | None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Tracker":
        """As the settings want. Raises InputError where a package is missing, before anything is
        trained."""
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
        """Record a training and register its model as the challenger; return its version there,
        None without a store.

        Settings become parameters, the loss of every step and the validation of every epoch
        metrics, the test measures metrics of their own, the model's folder the model.
        """
        values = flatten(settings)
        by_epoch = [
            {f"validation.{k}": v for k, v in epoch["validation"].items()} for epoch in epochs
        ]
        tested = flatten({task: entry.get("model", {}) for task, entry in report["tasks"].items()})
        measures = {f"test.{k}": v for k, v in tested.items() if v is not None}
        if self.tensorboard is not None:
            about = json.loads((Path(model_folder) / "model.json").read_text(encoding="utf-8"))
            _to_tensorboard(f"{self.tensorboard}/{about['model_version']}", curve, by_epoch)
        if self.wandb_project is not None:
            _to_wandb(self.wandb_project, name, values, curve, by_epoch, measures)
        if self.uri is None:
            return None
        return self._to_mlflow(name, values, curve, by_epoch, measures, model_folder)

    def _to_mlflow(
        self,
        name: str,
        values: Mapping[str, Any],
        curve: Sequence[float],
        by_epoch: Sequence[Mapping[str, float]],
        measures: Mapping[str, float],
        model_folder: str,
    ) -> str:
        import mlflow
        from mlflow.entities import Metric, Param

        client = self.client()
        if client.get_experiment_by_name(self.experiment) is None:
            is_path = "://" not in self.artifacts
            where = Path(self.artifacts).absolute().as_uri() if is_path else self.artifacts
            client.create_experiment(self.experiment, artifact_location=where)
        mlflow.set_experiment(self.experiment)
        about = json.loads((Path(model_folder) / "model.json").read_text(encoding="utf-8"))
        with mlflow.start_run(run_name=about["model_version"]) as run:
            run_id, at = run.info.run_id, run.info.start_time
            metrics = [Metric("loss", x, at, i) for i, x in enumerate(curve, start=1)]
            metrics += [
                Metric(k, v, at, i) for i, told in enumerate(by_epoch, 1) for k, v in told.items()
            ]
            metrics += [Metric(k, v, at, 0) for k, v in measures.items()]
            params = [Param(k, str(v)[:6000]) for k, v in values.items()]
            for start in range(0, len(metrics), 500):
                client.log_batch(run_id, metrics=metrics[start : start + 500])
            for start in range(0, len(params), 100):
                client.log_batch(run_id, params=params[start : start + 100])
            for file in ("report.json", "report.html", "training.json"):
                mlflow.log_artifact(str(Path(model_folder) / file))
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(SERVED_MODEL_FILE),  # code, not a pickle of it
                artifacts={"folder": model_folder},
                signature=_signature(about["spec"]),
                registered_model_name=name,
                pip_requirements=["torch", "transformers", "safetensors", "pydantic"],
            )
        version = str(logged.registered_model_version)
        client.set_model_version_tag(name, version, "model_version", about["model_version"])
        client.set_registered_model_alias(name, CHALLENGER, version)
        return version

    def client(self) -> Any:
        """MLflow's client of the store, which is made where there is none."""
        import mlflow

        if self.uri is None:
            raise InputError("tracking.uri: null; wanted MLflow's store, which keeps the models")
        if self.uri.startswith("sqlite:///"):
            Path(self.uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        _quiet(mlflow)
        mlflow.set_tracking_uri(self.uri)
        return mlflow.MlflowClient()

    def find_version(self, name: str, alias: str) -> str | None:
        """The version that an alias names, None where it names none."""
        from mlflow.exceptions import MlflowException

        try:
            return str(self.client().get_model_version_by_alias(name, alias).version)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def set_alias(self, name: str, alias: str, version: str | None) -> None:
        """Let an alias name a version, or none."""
        client = self.client()
        if version is None:
            client.delete_registered_model_alias(name, alias)
        else:
            client.set_registered_model_alias(name, alias, version)

    def require_version(self, name: str, alias: str) -> str:
        """The version that an alias names. Raises InputError where it names none."""
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

        self.client()  # which tells mlflow of the store
        uri = f"models:/{name}/{version}"
        path = Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder))
        return str(next((path / "artifacts").iterdir()))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, its keys joined by dots.

    >>> flatten({"a": {"b": 1}, "c": 2})
    {'a.b': 1, 'c': 2}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flatten(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


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
    """Arrays of tokens and numbers in, a column a task out."""
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


def _to_tensorboard(
    folder: str, curve: Sequence[float], by_epoch: Sequence[Mapping[str, float]]
) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:
        for step, loss in enumerate(curve, start=1):
            writer.add_scalar("loss", loss, step)
        for epoch, told in enumerate(by_epoch, start=1):
            for name, value in told.items():
                writer.add_scalar(name, value, epoch)


def _to_wandb(
    project: str,
    name: str,
    values: Mapping[str, Any],
    curve: Sequence[float],
    by_epoch: Sequence[Mapping[str, float]],
    measures: Mapping[str, float],
) -> None:
    import wandb

    run = wandb.init(project=project, name=name, config=dict(values))
    for step, loss in enumerate(curve, start=1):
        run.log({"loss": loss, "step": step})
    for epoch, told in enumerate(by_epoch, start=1):
        run.log({**told, "epoch": epoch})
    run.summary.update(dict(measures))
    run.finish()
