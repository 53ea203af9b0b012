"""Arrays in, measures out: numpy only; n rows, labels 0 or 1, probabilities in [0, 1]."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Labels = NDArray[np.integer]


def roc_auc(labels: Labels, scores: Floats) -> float | None:
    """The probability that a positive row has a higher score than a negative one, ties half.

    None where one of the two is absent.
    """
    positives = int(np.sum(labels == 1))
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0:
        return None
    values, at, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2  # the mean rank of equal scores
    ranks = float(middle[at][labels == 1].sum())
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def pr_auc(labels: Labels, scores: Floats) -> float | None:
    """Average precision: precision at each distinct score, weighted by the recall it adds.

    None where there is no positive row.
    """
    positives = int(np.sum(labels == 1))
    if positives == 0:
        return None
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order] == 1)
    last = np.append(np.diff(scores[order]) != 0, True)  # equal scores are taken together
    precision = hits[last] / (np.flatnonzero(last) + 1)
    return float(np.sum(np.diff(hits[last], prepend=0) * precision) / positives)


def log_loss(labels: Labels, probabilities: Floats) -> float:
    """The mean cross-entropy in nats; probabilities are kept 1e-12 away from 0 and 1."""
    p = np.clip(probabilities.astype(np.float64), 1e-12, 1 - 1e-12)
    return float(-np.mean(np.where(labels == 1, np.log(p), np.log1p(-p))))


def brier(labels: Labels, probabilities: Floats) -> float:
    """The mean squared difference of probability and label."""
    return float(np.mean((probabilities.astype(np.float64) - labels) ** 2))


def calibration_bins(labels: Labels, probabilities: Floats, n_bins: int) -> list[dict[str, float]]:
    """Rows in order of probability in bins of equal size: n, mean probability, share of positives.

    Equal sizes rather than equal widths: of a rare event nearly all probabilities are small.
    """
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, n_bins) if len(part)]
    return [
        {
            "n": len(part),
            "probability": float(probabilities[part].mean()),
            "share": float(np.mean(labels[part] == 1)),
        }
        for part in parts
    ]


def calibration_error(labels: Labels, probabilities: Floats, n_bins: int) -> float:
    """Expected calibration error (Naeini et al. 2015) over bins of equal size.

    The mean distance of the share of positives from the mean probability, weighted by rows.
    """
    bins = calibration_bins(labels, probabilities, n_bins)
    gaps = [b["n"] * abs(b["share"] - b["probability"]) for b in bins]
    return float(sum(gaps) / len(labels))


def mean_reciprocal_rank(ranks: Labels) -> float:
    """The mean of 1 / rank of the true answer, ranks from 1."""
    return float(np.mean(1.0 / ranks))


def hit_rate(ranks: Labels, k: int) -> float:
    """The share of rows whose true answer is among the first k."""
    return float(np.mean(ranks <= k))
