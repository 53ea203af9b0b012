"""A model and a feed in, what each task says of every row out, on each rank."""

from contextlib import nullcontext

import numpy as np
import torch

from profile_lib.metrics import log_loss
from profile_lib.model.encoder import ProfileModel, TaskSpec
from profile_lib.training.feed import Feed
from profile_lib.training.ranks import Ranks

# task → column → (n,); of n rows whose label is known. Four numbers a row and task at most: the
# snapshot bounds the rows of a split that is predicted (training.evaluation_rows).
Predictions = dict[str, dict[str, np.ndarray]]


def predict(
    model: ProfileModel,
    feed: Feed,
    size: int,
    ranks: Ranks,
    device: torch.device,
    *,
    with_text: bool = True,
) -> Predictions:
    """Of a binary task: label, probability. Of a multiclass one: label, predicted, rank,
    probability, the last two of the true class, ranks from 1."""
    model.eval()
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    for batch in feed.batches(size, (0,), with_text=with_text):
        numeric = torch.from_numpy(batch.numeric).to(device)
        with torch.inference_mode(), _cast(has_bf16):
            if batch.token_ids is None:
                logits = model.numbers_only(numeric)
            else:
                ids = torch.from_numpy(batch.token_ids).to(device)
                n_tokens = torch.from_numpy(batch.n_tokens).to(device)
                logits = model(ids, n_tokens, numeric).logits
        for i, task in enumerate(model.spec.tasks):
            known = batch.labels[:, i] >= 0
            scores = logits[task.name].float().cpu().numpy()[known]
            for column, values in _columns(task, scores, batch.labels[known, i]).items():
                found.setdefault((task.name, column), []).append(values)
    return _gathered(model.spec.tasks, found, ranks)


def validation_metrics(
    predictions: Predictions, tasks: tuple[TaskSpec, ...], weights: tuple[float, ...]
) -> dict[str, float]:
    """Each task's loss, and `loss`: their weighted sum, of the tasks with any known label."""
    losses = {}
    for task in tasks:
        columns = predictions[task.name]
        if len(columns["label"]) == 0:
            continue
        if task.kind == "binary":
            losses[task.name] = log_loss(columns["label"], columns["probability"])
        else:
            losses[task.name] = float(-np.log(np.clip(columns["probability"], 1e-12, 1)).mean())
    weight_of = dict(zip((t.name for t in tasks), weights, strict=True))
    return {**losses, "loss": sum(weight_of[name] * loss for name, loss in losses.items())}


def _columns(task: TaskSpec, scores: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    if task.kind == "binary":
        return {"label": labels, "probability": 1 / (1 + np.exp(-scores.astype(np.float64)))}
    shifted = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    of_truth = np.take_along_axis(scores, labels[:, None], 1)
    truth = np.take_along_axis(shifted, labels[:, None], 1)[:, 0]
    return {
        "label": labels,
        "predicted": scores.argmax(axis=1),
        "rank": 1 + (scores > of_truth).sum(axis=1),
        "probability": truth / shifted.sum(axis=1),
    }


def _gathered(
    tasks: tuple[TaskSpec, ...], found: dict[tuple[str, str], list[np.ndarray]], ranks: Ranks
) -> Predictions:
    """Every rank gathers every column, also one of which it has no row itself."""
    gathered: Predictions = {}
    for task in tasks:
        names = ("label", "probability")
        for column in names if task.kind == "binary" else (*names, "predicted", "rank"):
            parts = found.get((task.name, column), [np.zeros(0)])
            values = ranks.gather(np.concatenate(parts).astype(np.float64))
            is_whole = column != "probability"
            gathered.setdefault(task.name, {})[column] = values.astype(int) if is_whole else values
    return gathered


def _cast(has_bf16: bool):  # type: ignore[no-untyped-def]
    return torch.autocast("cuda", torch.bfloat16) if has_bf16 else nullcontext()
