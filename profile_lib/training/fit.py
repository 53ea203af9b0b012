"""What one rank does to fit a profile model: read it, fit it, predict the test split."""

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
    ignore_progress,
    limit_torch_threads,
    select_device,
)
from profile_lib.training.evaluation.predictions import predict, validation_metrics
from profile_lib.training.loop import ReportProgress, TrainingLoop
from profile_lib.training.objectives.supervised import Objective, SupervisedObjective

FITTED, SPEC = "fitted", "spec.json"


class FitJob(DistributedJob):
    """Fit the model that lies in the job's folder to its tasks."""

    def run(self, process_group: ProcessGroup, report_progress: ReportProgress) -> TrainingResult:
        """Fit with the other ranks, then predict the test split; rank 0 writes the fitted model.

        Raises InputError where the snapshot cannot be read safely or was changed, rows are
        missing, a label is outside its head's range, the loss is not a number, a checkpoint is
        another run's, or the disk is full.
        """
        start = f"{self.folder}/{INITIAL_MODEL}"
        model, spec, manifest = load_model(start)
        device, plan = select_device(process_group), self.plan
        loaders = {split: self.make_loader(split, process_group, spec.pad_id) for split in SPLITS}
        rows = loaders["train"].expected_rows(plan.negative_downsampling_rate)
        augmenter = (
            self.make_augmenter(start, model.bert, spec.max_tokens) if model.has_text else None
        )
        torch.manual_seed(plan.seed)
        apply_tuning(model, plan.tuning, plan.epochs * -(-rows // plan.batch_size))
        objective = self.make_objective(spec.tasks, augmenter, device)

        def predicted(model: ProfileModel, split: str, with_text: bool) -> Any:
            size = plan.numeric_batch_size
            return predict(model, loaders[split], size, process_group, device, with_text=with_text)

        def validate(with_text: bool) -> dict[str, Any]:
            found = predicted(loop.model, "validation", with_text)
            return validation_metrics(found, spec.tasks, self.weights)

        with limit_torch_threads(self.threads):
            report_from_first_process = (
                report_progress if process_group.rank == 0 else ignore_progress
            )
            checkpoints = self.open_checkpoints(manifest.model_version)
            loop = TrainingLoop(
                model,
                objective,
                plan,
                process_group,
                device,
                report_from_first_process,
                checkpoints,
            )
            epochs = loop.fit(loaders["train"], validate, self.resume)
            fitted = merge_adapters(loop.model)
            predictions = predicted(fitted, "test", plan.epochs > 0)
        if process_group.rank == 0:
            weights = {k: v.cpu().contiguous() for k, v in fitted.state_dict().items()}
            folder = Path(self.folder) / FITTED
            with explain_full_disk(str(folder)):
                folder.mkdir(exist_ok=True)
                save_file(weights, folder / WEIGHTS_FILE)
                (folder / SPEC).write_text(fitted.spec.model_dump_json(), encoding="utf-8")
        return TrainingResult(loop.curve, epochs, predictions)

    def make_objective(
        self, tasks: Sequence[TaskSpec], augmenter: Augmenter | None, device: torch.device
    ) -> Objective:
        """What is minimised: the loss of the labels."""
        return SupervisedObjective(tasks, self.weights, self.plan, augmenter)


class PredictJob(DistributedJob):
    """Say what the model that lies in the job's folder says of the test split, as it is."""

    def run(self, process_group: ProcessGroup, report_progress: ReportProgress) -> TrainingResult:
        """Predict with the other ranks; there is no loss and no epoch to tell of."""
        model, spec, _ = load_model(f"{self.folder}/{INITIAL_MODEL}")
        device, size = select_device(process_group), self.plan.numeric_batch_size
        loader = self.make_loader("test", process_group, spec.pad_id)
        with limit_torch_threads(self.threads):
            return TrainingResult(
                [], [], predict(model.to(device), loader, size, process_group, device)
            )


def load_fitted(folder: str) -> ProfileModel:
    """The model that rank 0 left in `folder`."""
    fitted = Path(folder) / FITTED
    spec = ModelSpec.model_validate_json((fitted / SPEC).read_text(encoding="utf-8"))
    model = ProfileModel(spec)
    model.load_state_dict(load_file(fitted / WEIGHTS_FILE))
    return model.eval()
