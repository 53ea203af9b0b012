"""A model and a loader in, what each task says of every row out, on each rank."""

import numpy as np
import torch

from profile_lib.metrics.classification import log_loss, rmse
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.tasks import TaskSpec, slice_label_columns
from profile_lib.training.data.petastorm_loader import PetastormLoader
from profile_lib.training.distributed.process_group import ProcessGroup

# task → column → (n,), of a multilabel task's label and probability (n, classes); of n rows
# whose label is known. A few numbers a row and task: the snapshot bounds the rows of a split that
# is predicted (training.evaluation_rows).
Predictions = dict[str, dict[str, np.ndarray]]


def predict(
    model: ProfileModel,
    loader: PetastormLoader,
    size: int,
    process_group: ProcessGroup,
    device: torch.device,
    *,
    with_text: bool = True,
) -> Predictions:
    """Of every task row_hash and label, and: of binary and multilabel tasks the probability, of a
    regression the value, of a multiclass task what is predicted, and rank (from 1) and probability
    of the true class."""
    model.eval()
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    supports_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    for batch in loader.batches(size, (0,), with_text=with_text):
        numeric = torch.from_numpy(batch["numeric"]).to(device)
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, enabled=supports_bf16):
            if with_text:
                ids = torch.from_numpy(batch["token_ids"]).to(device)
                n_tokens = torch.from_numpy(batch["n_tokens"]).to(device)
                logits = model(ids, n_tokens, numeric).logits
            else:
                logits = model.predict_without_text(numeric)
        for task, columns in slice_label_columns(model.spec.tasks):
            labels = batch["labels"][:, columns]
            known = ~np.isnan(labels).any(axis=1)
            answers = task.to_predictions(logits[task.name].double()).cpu().numpy()[known]
            told = {"row_hash": batch["row_hash"][known], **_columns(task, answers, labels[known])}
            for column, values in told.items():
                found.setdefault((task.name, column), []).append(values)
    return _gather_predictions(model.spec.tasks, found, process_group)


def validation_metrics(
    predictions: Predictions, tasks: tuple[TaskSpec, ...], weights: tuple[float, ...]
) -> dict[str, float]:
    """Each task's loss, and `loss`: their weighted sum, of the tasks with any known label."""
    losses = {}
    for task in tasks:
        columns = predictions[task.name]
        if len(columns["label"]) == 0:
            continue
        if task.kind == "regression":
            losses[task.name] = rmse(columns["label"], columns["value"]) ** 2 / task.scale**2
        elif task.kind == "multiclass":
            losses[task.name] = float(-np.log(np.clip(columns["probability"], 1e-12, 1)).mean())
        else:
            losses[task.name] = log_loss(columns["label"], columns["probability"])
    weight_of = dict(zip((t.name for t in tasks), weights, strict=True))
    return {**losses, "loss": sum(weight_of[name] * loss for name, loss in losses.items())}


PREDICTION_COLUMNS: dict[str, dict[str, type]] = {
    "binary": {"label": np.int64, "probability": np.float64},
    "multilabel": {"label": np.int64, "probability": np.float64},
    "regression": {"label": np.float64, "value": np.float64},
    "multiclass": {
        "label": np.int64, "predicted": np.int64, "rank": np.int64, "probability": np.float64
    },
}  # fmt: skip


def _columns(task: TaskSpec, answers: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    if task.kind == "regression":
        return {"label": labels[:, 0], "value": answers}
    if task.kind == "multilabel":
        return {"label": labels, "probability": answers}
    if task.kind == "binary":
        return {"label": labels[:, 0], "probability": answers}
    of_truth = np.take_along_axis(answers, labels.astype(np.int64), 1)
    return {
        "label": labels[:, 0],
        "predicted": answers.argmax(axis=1),
        "rank": 1 + (answers > of_truth).sum(axis=1),
        "probability": of_truth[:, 0],
    }


def _gather_predictions(
    tasks: tuple[TaskSpec, ...],
    found: dict[tuple[str, str], list[np.ndarray]],
    process_group: ProcessGroup,
) -> Predictions:
    """Every rank gathers every column, also one of which it has no row itself."""
    gathered: Predictions = {}
    for task in tasks:
        width = (task.n_labels,) if task.kind == "multilabel" else ()
        for column, kind in {"row_hash": np.int64, **PREDICTION_COLUMNS[task.kind]}.items():
            empty = np.zeros((0, *(() if column == "row_hash" else width)))
            parts = found.get((task.name, column), [empty])
            values = process_group.gather(np.concatenate(parts).astype(kind))
            gathered.setdefault(task.name, {})[column] = values
    return gathered
