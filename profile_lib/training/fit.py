"""What one rank does to fit a profile model: read it, fit it, predict the test split."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from profile_lib.model.about import WEIGHTS
from profile_lib.model.checkpoint import load_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.spec import ModelSpec
from profile_lib.model.tasks import TaskSpec
from profile_lib.training.adapters import choose_tuned, merge_adapters
from profile_lib.training.augment import Augmenter
from profile_lib.training.folders import told_when_full
from profile_lib.training.loop import Loop, Tell
from profile_lib.training.objectives import Objective, Supervised
from profile_lib.training.predict import predict, validation_metrics
from profile_lib.training.rank import START, Outcome, RankJob, device_of, silent, threads
from profile_lib.training.ranks import Ranks
from profile_lib.training.snapshot import SPLITS

FITTED, SPEC = "fitted", "spec.json"


class FitJob(RankJob):
    """Fit the model that lies in the job's folder to its tasks."""

    def run(self, ranks: Ranks, tell: Tell) -> Outcome:
        """Fit with the other ranks, then predict the test split; rank 0 writes the fitted model.

        Raises InputError where the snapshot cannot be read safely or was changed, rows are
        missing, a label is outside its head's range, the loss is not a number, a checkpoint is
        another run's, or the disk is full.
        """
        start = f"{self.folder}/{START}"
        model, spec, about = load_model(start)
        device, plan = device_of(ranks), self.plan
        feeds = {split: self.feed(split, ranks, spec.pad_id) for split in SPLITS}
        rows = feeds["train"].expected_rows(plan.negatives_kept)
        augmenter = self.augmenter(start, model.bert, spec.max_tokens) if model.has_text else None
        torch.manual_seed(plan.seed)
        choose_tuned(model, plan.tuning, plan.epochs * -(-rows // plan.batch_size))
        objective = self.objective(spec.tasks, augmenter, device)

        def predicted(model: ProfileModel, split: str, with_text: bool) -> Any:
            size = plan.numeric_batch_size
            return predict(model, feeds[split], size, ranks, device, with_text=with_text)

        def validate(with_text: bool) -> dict[str, Any]:
            found = predicted(loop.model, "validation", with_text)
            return validation_metrics(found, spec.tasks, self.weights)

        with threads(self.threads):
            told_by = tell if ranks.rank == 0 else silent
            checkpoints = self.checkpoints(about.model_version)
            loop = Loop(model, objective, plan, ranks, device, told_by, checkpoints)
            epochs = loop.fit(feeds["train"], validate, self.resume)
            fitted = merge_adapters(loop.model)
            predictions = predicted(fitted, "test", plan.epochs > 0)
        if ranks.rank == 0:
            weights = {k: v.cpu().contiguous() for k, v in fitted.state_dict().items()}
            folder = Path(self.folder) / FITTED
            with told_when_full(str(folder)):
                folder.mkdir(exist_ok=True)
                save_file(weights, folder / WEIGHTS)
                (folder / SPEC).write_text(fitted.spec.model_dump_json(), encoding="utf-8")
        return Outcome(loop.curve, epochs, predictions)

    def objective(
        self, tasks: Sequence[TaskSpec], augmenter: Augmenter | None, device: torch.device
    ) -> Objective:
        """What is minimised: the loss of the labels."""
        return Supervised(tasks, self.weights, self.plan, augmenter)


class AnswerJob(RankJob):
    """Say what the model that lies in the job's folder says of the test split, as it is."""

    def run(self, ranks: Ranks, tell: Tell) -> Outcome:
        """Predict with the other ranks; there is no loss and no epoch to tell of."""
        model, spec, _ = load_model(f"{self.folder}/{START}")
        device, size = device_of(ranks), self.plan.numeric_batch_size
        feed = self.feed("test", ranks, spec.pad_id)
        with threads(self.threads):
            return Outcome([], [], predict(model.to(device), feed, size, ranks, device))


def load_fitted(folder: str) -> ProfileModel:
    """The model that rank 0 left in `folder`."""
    fitted = Path(folder) / FITTED
    spec = ModelSpec.model_validate_json((fitted / SPEC).read_text(encoding="utf-8"))
    model = ProfileModel(spec)
    model.load_state_dict(load_file(fitted / WEIGHTS))
    return model.eval()
