"""Record trainings in MLflow, TensorBoard or Weights & Biases, as the settings request."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from profile_lib.errors import InputError
from profile_lib.model.manifest import read_manifest
from profile_lib.training.mlflow_store import MlflowStore
from profile_lib.training.training_record import TrainingRecord


@dataclass(frozen=True)
class Tracker:
    """The places where trainings are recorded; None for those that are not used."""

    mlflow: MlflowStore | None
    tensorboard: str | None  # folder of TensorBoard's logs
    wandb_project: str | None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Tracker":
        """Build the tracker from the settings of the section `tracking`.

        Raises InputError if a package that it needs is missing.
        """
        uri, wandb_project = settings["uri"], settings["wandb_project"]
        if wandb_project is not None and find_spec("wandb") is None:
            raise InputError(
                "tracking.wandb_project: needs the package wandb; pip install wandb, or set it to "
                "null"
            )
        mlflow = None
        if uri is not None:
            mlflow = MlflowStore(uri, settings["experiment"], settings["artifacts"])
        return cls(mlflow, settings["tensorboard"], wandb_project)

    def record(self, training: TrainingRecord, model_folder: str) -> str | None:
        """Record a training, and register its model in MLflow as the challenger.

        Settings become parameters; the loss of every step, the validation of every epoch and the
        test metrics become metrics; the model's folder becomes the model. Returns the registered
        version, None without an MLflow store.
        """
        if self.tensorboard is not None:
            version = read_manifest(model_folder).model_version
            _write_tensorboard(f"{self.tensorboard}/{version}", training)
        if self.wandb_project is not None:
            _write_wandb(self.wandb_project, training)
        return None if self.mlflow is None else self.mlflow.record(training, model_folder)

    def require_mlflow(self) -> MlflowStore:
        """Return the MLflow store. Raises InputError if the settings name none."""
        if self.mlflow is None:
            raise InputError(
                "tracking.uri: null; wanted MLflow's store, which holds the versions of the models"
            )
        return self.mlflow


def _write_tensorboard(folder: str, training: TrainingRecord) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:
        for step, loss in enumerate(training.curve, start=1):
            writer.add_scalar("loss", loss, step)
        for epoch, values in enumerate(training.epoch_metrics, start=1):
            for name, value in values.items():
                writer.add_scalar(name, value, epoch)


def _write_wandb(project: str, training: TrainingRecord) -> None:
    import wandb

    run = wandb.init(project=project, name=training.name, config=dict(training.parameters))
    for step, loss in enumerate(training.curve, start=1):
        run.log({"loss": loss, "step": step})
    for epoch, values in enumerate(training.epoch_metrics, start=1):
        run.log({**values, "epoch": epoch})
    run.summary.update(dict(training.test_metrics))
    run.finish()
