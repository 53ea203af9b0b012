"""Compare a teacher with the smaller models made from it, in size, speed and quality."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from profile_lib.arrays.length_packs import pack_by_length
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.pruning import count_heads
from profile_lib.model.task_kinds import get_task_kind
from profile_lib.model.tasks import TaskSpec
from profile_lib.training.data.split_columns import read_columns
from profile_lib.training.evaluation.predictions import Predictions
from profile_lib.training.evaluation.report import Report, evaluate_task

CompressionTable = dict[str, dict[str, Any]]  # model → its measurements; the teacher comes first


class TextRows(NamedTuple):
    """The inputs of a model for n rows, with texts padded to T tokens."""

    token_ids: np.ndarray  # (n, T)
    n_tokens: np.ndarray  # (n,)
    numeric: np.ndarray  # (n, F + K)


class MeasuredModel(NamedTuple):
    """A model and its measurements."""

    name: str
    model: ProfileModel
    report: Report  # task → its kind, and the model's metrics
    vectors: np.ndarray  # (n, J): interest vectors of the texts that all models are compared on
    texts_per_second: float


def read_text_rows(folder: str, max_rows: int) -> TextRows:
    """Read the first `max_rows` rows of a snapshot's split, cut at their longest text."""
    ids, n_tokens, numeric = read_columns(folder, TextRows._fields, max_rows)
    return TextRows(ids[:, : n_tokens.max()].astype(np.int64), n_tokens.astype(np.int64), numeric)


def compute_interest_vectors(
    model: ProfileModel, texts: TextRows, batch_tokens: int, device: torch.device
) -> np.ndarray:
    """Compute the interest vectors (n, J) of texts and their numbers.

    Batches hold texts of similar lengths, trimmed to the longest, with at most `batch_tokens`
    padded tokens.
    """
    vectors = np.zeros((len(texts.n_tokens), model.spec.joined_size), np.float32)
    for rows in pack_by_length(texts.n_tokens, batch_tokens):
        lengths = texts.n_tokens[rows]
        inputs = (texts.token_ids[rows, : lengths.max()], lengths, texts.numeric[rows])
        with torch.inference_mode():
            output = model(*(torch.from_numpy(array).to(device) for array in inputs))
        vectors[rows] = output.vector.float().cpu().numpy()
    return vectors


def measure_throughput(
    passes: Mapping[str, Callable[[], Any]], n: int, repeats: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Measure the throughput of each pass in rows per second.

    A pass processes `n` rows. Its rate is the median of `repeats` runs, after a first one that does
    not count; `clock` returns seconds. The passes take turns, so that other load on the machine
    slows down all of them.
    """
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for repeat in range(repeats + 1):
        for name, run in passes.items():
            start = clock()
            run()
            if repeat > 0:
                seconds[name].append(clock() - start)
    return {name: n / median(durations) for name, durations in seconds.items()}


def compare_with_teacher(
    tasks: Sequence[TaskSpec],
    predictions: Predictions,
    teacher: Predictions,
    users: pd.DataFrame,
    seed: int,
    n_resamples: int,
) -> Report:
    """Report a model's metrics as `evaluate` does, with the teacher instead of the baselines.

    `predictions` are the model's and `teacher` its teacher's, of the same rows. The lead is that of
    the model over its teacher, on the same resamples.
    """
    report: Report = {}
    for task in tasks:
        model_rows, teacher_rows = (
            _sort_by_row(by_task[task.name]) for by_task in (predictions, teacher)
        )
        labels, kind = model_rows["label"], task.definition
        report[task.name] = {"kind": task.kind, "n": len(labels)}
        if len(labels):
            column = kind.measured_column
            methods = {"model": model_rows[column], "teacher": teacher_rows[column]}
            row_users = users.reindex(model_rows["row_hash"])
            report[task.name] |= evaluate_task(kind, labels, methods, row_users, seed, n_resamples)
    return report


def _sort_by_row(predicted: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    order = np.argsort(predicted["row_hash"], kind="stable")
    return {name: column[order] for name, column in predicted.items()}


def build_compression_table(models: Mapping[str, MeasuredModel]) -> CompressionTable:
    """Tabulate the measurements; ratios are relative to the first model, the teacher."""
    teacher = next(iter(models.values()))
    return {kind: _table_column(measured, teacher) for kind, measured in models.items()}


def _table_column(measured: MeasuredModel, teacher: MeasuredModel) -> dict[str, Any]:
    bert = measured.model.bert
    assert bert is not None
    tensors = measured.model.state_dict().values()
    vectors, teacher_vectors = map(torch.from_numpy, (measured.vectors, teacher.vectors))
    return {
        "name": measured.name,
        "layers": len(count_heads(bert)),
        "heads": count_heads(bert),
        "encoder_parameters": sum(p.numel() for p in bert.parameters()),
        "megabytes": sum(x.numel() * x.element_size() for x in tensors) / 1e6,
        "texts_per_second": measured.texts_per_second,
        "speed_ratio": measured.texts_per_second / teacher.texts_per_second,
        "vector_cosine": float(F.cosine_similarity(vectors, teacher_vectors).mean()),
        "measures": {
            f"{task} {name}": _with_ratio(entry["model"][name], teacher.report[task]["model"][name])
            for task, entry in measured.report.items()
            for name in (get_task_kind(entry["kind"]).headline_metrics if "model" in entry else ())
        },
    }


def _with_ratio(value: float | None, teacher_value: float | None) -> dict[str, float | None]:
    ratio = value / teacher_value if value is not None and teacher_value else None
    return {"value": value, "ratio": ratio}


def format_compression_table(table: CompressionTable) -> list[str]:
    """Format the table as aligned lines, one column per model.

    Ratios to the teacher are in brackets.
    """
    models = table.values()
    rows = {
        "layers": [f"{model['layers']}" for model in models],
        "heads left": [f"{sum(model['heads'])}" for model in models],
        "encoder parameters": [f"{model['encoder_parameters']:,}" for model in models],
        "size, MB": [f"{model['megabytes']:.1f}" for model in models],
        "texts/s": [
            f"{model['texts_per_second']:,.1f} ({model['speed_ratio']:.2f})" for model in models
        ],
        "cosine of vectors": [f"{model['vector_cosine']:.4f}" for model in models],
    }
    for name in next(iter(models))["measures"]:
        rows[name] = [_format_measure(**model["measures"][name]) for model in models]
    width = max(map(len, rows))
    lines = [("", list(table)), *rows.items()]
    return [f"{name:<{width}}" + "".join(f"{cell:>22}" for cell in cells) for name, cells in lines]


def _format_measure(value: float | None, ratio: float | None) -> str:
    text = "–" if value is None else f"{value:.4f}"
    return text if ratio is None else f"{text} ({ratio:.3f})"
