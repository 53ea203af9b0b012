"""Fit a profile model, or predict with one, in each process of a training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from profile_lib.files import explain_full_disk
from profile_lib.model.checkpoint import load_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.manifest import WEIGHTS_FILE
from profile_lib.model.spec import ModelSpec
from profile_lib.model.tasks import TaskSpec
from profile_lib.training.adapters import apply_tuning, merge_adapters
from profile_lib.training.data.augmentation import Augmenter
from profile_lib.training.data.snapshot import SPLITS
from profile_lib.training.distributed.process_group import ProcessGroup
from profile_lib.training.distributed.rank_job import (
    INITIAL_MODEL,
    DistributedJob,
    TrainingResult,
    limit_torch_threads,
    select_device,
)
from profile_lib.training.evaluation.predictions import Predictions, predict, validation_metrics
from profile_lib.training.loop import ReportProgress
from profile_lib.training.objectives.supervised import Objective, SupervisedObjective

FITTED_FOLDER, SPEC_FILE = "fitted", "spec.json"  # in a job's folder, and in that folder


class FitJob(DistributedJob):
    """A job that fits the initial model in its folder to the model's tasks."""

    def run(self, process_group: ProcessGroup, report_progress: ReportProgress) -> TrainingResult:
        """Fit with the other processes, then predict the test split; process 0 saves the model.

        Raises InputError if the snapshot cannot be read safely or was changed, rows are missing,
        a label is outside its head's range, the loss is not a number, a checkpoint belongs to
        another run, or the disk is full.
        """
        initial_model = f"{self.folder}/{INITIAL_MODEL}"
        model, spec, manifest = load_model(initial_model)
        device, plan = select_device(process_group), self.plan
        loaders = {split: self.make_loader(split, process_group, spec.pad_id) for split in SPLITS}
        rows = loaders["train"].expected_rows(plan.negative_downsampling_rate)
        augmenter = None
        if model.has_text:
            augmenter = self.make_augmenter(initial_model, model.bert, spec.max_tokens)
        torch.manual_seed(plan.seed)
        apply_tuning(model, plan.tuning, plan.epochs * -(-rows // plan.batch_size))
        objective = self.make_objective(spec.tasks, augmenter, device)

        def predict_split(model: ProfileModel, split: str, with_text: bool) -> Predictions:
            size = plan.numeric_batch_size
            return predict(model, loaders[split], size, process_group, device, with_text=with_text)

        def validate(with_text: bool) -> dict[str, Any]:
            predictions = predict_split(loop.model, "validation", with_text)
            return validation_metrics(predictions, spec.tasks, self.weights)

        with limit_torch_threads(self.threads):
            loop = self.make_loop(
                model, objective, process_group, device, report_progress, manifest.model_version
            )
            epochs = loop.fit(loaders["train"], validate, self.resume)
            fitted = merge_adapters(loop.model)
            splits = ("test", "validation") if self.predicts_validation else ("test",)
            found = {split: predict_split(fitted, split, plan.epochs > 0) for split in splits}
        if process_group.rank == 0:
            save_fitted(fitted, self.folder)
        return TrainingResult(loop.curve, epochs, found["test"], found.get("validation", {}))

    def make_objective(
        self, tasks: Sequence[TaskSpec], augmenter: Augmenter | None, device: torch.device
    ) -> Objective:
        """Return the quantity to minimise: the loss of the labels."""
        return SupervisedObjective(tasks, self.weights, self.plan, augmenter)


class PredictJob(DistributedJob):
    """A job that predicts the test split with the initial model in its folder."""

    def run(self, process_group: ProcessGroup, report_progress: ReportProgress) -> TrainingResult:
        """Predict with the other processes; the result has no losses and no epochs.

        Raises InputError if the snapshot cannot be read safely or was changed.
        """
        model, spec, _ = load_model(f"{self.folder}/{INITIAL_MODEL}")
        device, size = select_device(process_group), self.plan.numeric_batch_size
        loader = self.make_loader("test", process_group, spec.pad_id)
        with limit_torch_threads(self.threads):
            predictions = predict(model.to(device), loader, size, process_group, device)
        return TrainingResult([], [], predictions)


def save_fitted(model: ProfileModel, folder: str) -> None:
    """Write weights and spec of a fitted model. Raises InputError if the disk is full."""
    weights = {k: v.cpu().contiguous() for k, v in model.state_dict().items()}
    target = Path(folder) / FITTED_FOLDER
    with explain_full_disk(str(target)):
        target.mkdir(exist_ok=True)
        save_file(weights, target / WEIGHTS_FILE)
        (target / SPEC_FILE).write_text(model.spec.model_dump_json(), encoding="utf-8")


def load_fitted(folder: str) -> ProfileModel:
    """Load the model that `save_fitted` wrote to `folder`, in evaluation mode."""
    source = Path(folder) / FITTED_FOLDER
    spec = ModelSpec.model_validate_json((source / SPEC_FILE).read_text(encoding="utf-8"))
    model = ProfileModel(spec)
    model.load_state_dict(load_file(source / WEIGHTS_FILE))
    return model.eval()
