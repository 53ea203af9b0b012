"""Predict a split with all processes, and compute its losses."""

import numpy as np
import torch

from profile_lib.model.encoder import ProfileModel
from profile_lib.model.tasks import TaskSpec, slice_label_columns
from profile_lib.training.data.petastorm_loader import PetastormLoader
from profile_lib.training.distributed.process_group import ProcessGroup

# Task → column → (n,), or (n, classes) if a row has several labels; n rows have a known label.
# Every process holds them all: a few numbers per row and task, for the rows that the snapshot
# limits by training.evaluation_rows.
Predictions = dict[str, dict[str, np.ndarray]]


def predict(
    model: ProfileModel,
    loader: PetastormLoader,
    batch_size: int,
    process_group: ProcessGroup,
    device: torch.device,
    *,
    with_text: bool = True,
) -> Predictions:
    """Predict a split in batches of `batch_size` rows; every process returns all rows.

    Each task has the columns row_hash and those of its kind's `to_columns`. Without `with_text` the
    model predicts from the numbers alone.
    """
    model.eval()
    parts: dict[str, list[dict[str, np.ndarray]]] = {
        task.name: [_empty_columns(task)] for task in model.spec.tasks
    }
    supports_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    for batch in loader.batches(batch_size, (0,), with_text=with_text):
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
            predictions = task.to_predictions(logits[task.name].double()).cpu().numpy()
            parts[task.name].append(
                _to_columns(task, batch["row_hash"][known], predictions[known], labels[known])
            )
    return {
        task: {
            name: process_group.gather(np.concatenate([part[name] for part in columns]))
            for name in columns[0]
        }
        for task, columns in parts.items()
    }


def find_broken_tasks(predictions: Predictions) -> list[str]:
    """Return the tasks that have a prediction that is no finite number."""
    return [
        task
        for task, columns in predictions.items()
        if not all(np.isfinite(values).all() for values in columns.values())
    ]


def _to_columns(
    task: TaskSpec, row_hash: np.ndarray, predictions: np.ndarray, labels: np.ndarray
) -> dict[str, np.ndarray]:
    columns = task.definition.to_columns(task, predictions, labels)
    return {"row_hash": row_hash.astype(np.int64), **columns}


def _empty_columns(task: TaskSpec) -> dict[str, np.ndarray]:
    """Return columns without rows, so that a process without rows has columns to gather."""
    predictions = np.zeros((0, task.n_outputs) if task.classes else 0)
    return _to_columns(task, np.zeros(0), predictions, np.zeros((0, task.n_labels)))


def validation_metrics(
    predictions: Predictions, tasks: tuple[TaskSpec, ...], weights: tuple[float, ...]
) -> dict[str, float]:
    """Return each task's loss, and as `loss` their sum weighted by `weights`.

    Tasks without a known label are left out.
    """
    losses = {
        task.name: task.definition.validation_loss(task, predictions[task.name])
        for task in tasks
        if len(predictions[task.name]["label"])
    }
    weight_of = dict(zip((t.name for t in tasks), weights, strict=True))
    return {**losses, "loss": sum(weight_of[name] * loss for name, loss in losses.items())}
