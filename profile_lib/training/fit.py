"""What one rank does to fit a profile model: read it, fit it, predict the test split."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from profile_lib.model.checkpoint import WEIGHTS, load_model
from profile_lib.model.encoder import ModelSpec, ProfileModel
from profile_lib.training.adapters import choose_tuned, merge_adapters
from profile_lib.training.folders import told_when_full
from profile_lib.training.loop import Loop, Tell
from profile_lib.training.objectives import Supervised
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
        pad_id = int((spec.bert or {}).get("pad_token_id") or 0)
        feeds = {split: self.feed(split, ranks, pad_id) for split in SPLITS}
        rows = feeds["train"].expected_rows(plan.negatives_kept)
        augmenter = self.augmenter(start, model.bert, spec.max_tokens) if model.has_text else None
        torch.manual_seed(plan.seed)
        choose_tuned(model, plan.tuning, plan.epochs * -(-rows // plan.batch_size))
        objective = Supervised(spec.tasks, self.weights, plan, augmenter)

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


def load_fitted(folder: str) -> ProfileModel:
    """The model that rank 0 left in `folder`."""
    fitted = Path(folder) / FITTED
    spec = ModelSpec.model_validate_json((fitted / SPEC).read_text(encoding="utf-8"))
    model = ProfileModel(spec)
    model.load_state_dict(load_file(fitted / WEIGHTS))
    return model.eval()
