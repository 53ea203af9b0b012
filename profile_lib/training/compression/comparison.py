"""A teacher and models made of it in, one table of their size, speed and quality out."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from profile_lib.model.encoder import ProfileModel
from profile_lib.model.pruning import count_heads
from profile_lib.model.task_kinds import get_task_kind
from profile_lib.model.tasks import TaskSpec
from profile_lib.training.data.split_columns import read_columns
from profile_lib.training.evaluation.predictions import Predictions
from profile_lib.training.evaluation.report import Report, evaluate_task

CompressionTable = dict[str, dict[str, Any]]  # model → what is told of it; the teacher first


class TextRows(NamedTuple):
    """Of n rows what a model reads, T the most tokens of a text."""

    token_ids: np.ndarray  # (n, T)
    n_tokens: np.ndarray  # (n,)
    numeric: np.ndarray  # (n, F + K)


class MeasuredModel(NamedTuple):
    """A model, and what was found out about it."""

    name: str
    model: ProfileModel
    report: Report  # task → its kind, and the model's measures
    vectors: np.ndarray  # (n, J), the interest vectors of the same texts as the others'
    texts_per_second: float


def read_text_rows(folder: str, max_rows: int) -> TextRows:
    """The first `max_rows` rows of a snapshot's split, their texts cut at the longest."""
    ids, n_tokens, numeric = read_columns(folder, TextRows._fields, max_rows)
    return TextRows(ids[:, : n_tokens.max()].astype(np.int64), n_tokens.astype(np.int64), numeric)


def compute_interest_vectors(
    model: ProfileModel, texts: TextRows, batch_tokens: int, device: torch.device
) -> np.ndarray:
    """(n, J): the texts encoded, joined with their numbers and put through the heads, in batches of
    near lengths of at most `batch_tokens` padded tokens, each trimmed to its longest."""
    vectors = np.zeros((len(texts.n_tokens), model.spec.joined_size), np.float32)
    order, at = np.argsort(-texts.n_tokens, kind="stable"), 0
    while at < len(order):
        longest = int(texts.n_tokens[order[at]])
        rows = order[at : at + max(1, batch_tokens // longest)]
        given = (texts.token_ids[rows, :longest], texts.n_tokens[rows], texts.numeric[rows])
        with torch.inference_mode():
            out = model(*(torch.from_numpy(x).to(device) for x in given))
        vectors[rows] = out.vector.float().cpu().numpy()
        at += len(rows)
    return vectors


def measure_throughput(
    passes: Mapping[str, Callable[[], Any]], n: int, repeats: int, clock: Callable[[], float]
) -> dict[str, float]:
    """What makes a pass over `n` rows → rows a second of the `clock`, the median of `repeats` after
    one that is not counted. The passes take turns, so that what else the machine does slows all."""
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for number in range(repeats + 1):
        for name, run in passes.items():
            began = clock()
            run()
            if number > 0:
                seconds[name].append(clock() - began)
    return {name: n / median(taken) for name, taken in seconds.items()}


def compare_with_teacher(
    tasks: Sequence[TaskSpec],
    predictions: Predictions,
    teacher: Predictions,
    users: pd.DataFrame,
    seed: int,
    n_resamples: int,
) -> Report:
    """A report as `evaluate` gives it, with the teacher in the place of the baselines: the lead is
    the model's over its teacher, on the same resamples of the same rows."""
    report: Report = {}
    for task in tasks:
        ours, theirs = (_in_order(said[task.name]) for said in (predictions, teacher))
        labels, kind = ours["label"], task.definition
        report[task.name] = {"kind": task.kind, "n": len(labels)}
        if len(labels):
            column = kind.measured_column
            methods = {"model": ours[column], "teacher": theirs[column]}
            of = users.reindex(ours["row_hash"])
            report[task.name] |= evaluate_task(kind, labels, methods, of, seed, n_resamples)
    return report


def _in_order(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    order = np.argsort(found["row_hash"], kind="stable")
    return {name: column[order] for name, column in found.items()}


def build_compression_table(models: Mapping[str, MeasuredModel]) -> CompressionTable:
    """What is told of each model; ratios are to the first one, the teacher."""
    teacher = next(iter(models.values()))
    return {kind: _table_column(of, teacher) for kind, of in models.items()}


def _table_column(of: MeasuredModel, teacher: MeasuredModel) -> dict[str, Any]:
    bert = of.model.bert
    assert bert is not None
    tensors = of.model.state_dict().values()
    ours, theirs = torch.from_numpy(of.vectors), torch.from_numpy(teacher.vectors)
    return {
        "name": of.name,
        "layers": len(count_heads(bert)),
        "heads": count_heads(bert),
        "encoder_parameters": sum(p.numel() for p in bert.parameters()),
        "megabytes": sum(x.numel() * x.element_size() for x in tensors) / 1e6,
        "texts_per_second": of.texts_per_second,
        "speed_ratio": of.texts_per_second / teacher.texts_per_second,
        "vector_cosine": float(F.cosine_similarity(ours, theirs).mean()),
        "measures": {
            f"{task} {name}": _with_ratio(entry["model"][name], teacher.report[task]["model"][name])
            for task, entry in of.report.items()
            for name in (get_task_kind(entry["kind"]).headline_metrics if "model" in entry else ())
        },
    }


def _with_ratio(value: float | None, teachers: float | None) -> dict[str, float | None]:
    ratio = value / teachers if value is not None and teachers else None
    return {"value": value, "ratio": ratio}


def format_compression_table(table: CompressionTable) -> list[str]:
    """The table as aligned text, a column a model; in brackets the ratio to the teacher's."""
    told = {
        "layers": [f"{of['layers']}" for of in table.values()],
        "heads left": [f"{sum(of['heads'])}" for of in table.values()],
        "encoder parameters": [f"{of['encoder_parameters']:,}" for of in table.values()],
        "size, MB": [f"{of['megabytes']:.1f}" for of in table.values()],
        "texts/s": [
            f"{of['texts_per_second']:,.1f} ({of['speed_ratio']:.2f})" for of in table.values()
        ],
        "cosine of vectors": [f"{of['vector_cosine']:.4f}" for of in table.values()],
    }
    for name in next(iter(table.values()))["measures"]:
        told[name] = [_cell(**of["measures"][name]) for of in table.values()]
    width = max(map(len, told))
    rows = [("", list(table)), *told.items()]
    return [f"{name:<{width}}" + "".join(f"{x:>22}" for x in cells) for name, cells in rows]


def _cell(value: float | None, ratio: float | None) -> str:
    told = "–" if value is None else f"{value:.4f}"
    return told if ratio is None else f"{told} ({ratio:.3f})"
