"""Measure classifications and regressions with numpy.

Arrays have one entry per row: labels are 0 or 1, probabilities are between 0 and 1. With `weight`,
a row of weight 2 counts as two rows.
"""

import numpy as np

from profile_lib.arrays.types import Floats, Integers


def counts_by_score(
    labels: Integers, scores: Floats, weight: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return the weights of positive and of negative rows at or above each distinct score.

    The highest score comes first. ROC and precision-recall curves go through these points.
    """
    order = np.argsort(-scores, kind="stable")
    w = np.ones(len(scores)) if weight is None else weight[order]
    is_positive = labels[order] == 1
    is_last_of_score = np.append(np.diff(scores[order]) != 0, True)
    return np.cumsum(w * is_positive)[is_last_of_score], np.cumsum(w * ~is_positive)[
        is_last_of_score
    ]


def roc_auc(labels: Integers, scores: Floats, weight: Floats | None = None) -> float | None:
    """Return the probability that a positive row scores higher than a negative one, ties half.

    Returns None if there is no positive or no negative row.
    """
    hits, misses = counts_by_score(labels, scores, weight)
    if len(hits) == 0 or hits[-1] == 0 or misses[-1] == 0:
        return None
    mean_hits = (hits + np.append(0, hits[:-1])) / 2
    return float(np.sum(mean_hits * np.diff(misses, prepend=0)) / (hits[-1] * misses[-1]))


def pr_auc(labels: Integers, scores: Floats, weight: Floats | None = None) -> float | None:
    """Return the average precision: precision at each score, weighted by the recall it adds.

    Returns None if there is no positive row.
    """
    hits, misses = counts_by_score(labels, scores, weight)
    if len(hits) == 0 or hits[-1] == 0:
        return None
    precision = hits / np.maximum(hits + misses, 1e-300)
    return float(np.sum(np.diff(hits, prepend=0) * precision) / hits[-1])


def mean(values: Floats | Integers, weight: Floats | None = None) -> float:
    """Return the weighted mean of values, (n,) or (n, k)."""
    return float(np.average(values.reshape(len(values), -1).mean(axis=1), weights=weight))


def log_loss(labels: Integers, probabilities: Floats, weight: Floats | None = None) -> float:
    """Return the mean cross-entropy in nats; probabilities are clipped to 1e-12 from 0 and 1."""
    p = np.clip(probabilities.astype(np.float64), 1e-12, 1 - 1e-12)
    return mean(-np.where(labels == 1, np.log(p), np.log1p(-p)), weight)


def brier(labels: Integers, probabilities: Floats, weight: Floats | None = None) -> float:
    """Return the mean squared difference between probability and label."""
    return mean((probabilities.astype(np.float64) - labels) ** 2, weight)


def rmse(labels: Floats, values: Floats, weight: Floats | None = None) -> float:
    """Return the root of the mean squared difference, in the labels' unit."""
    return float(np.sqrt(mean((values.astype(np.float64) - labels) ** 2, weight)))


def mae(labels: Floats, values: Floats, weight: Floats | None = None) -> float:
    """Return the mean absolute difference, in the labels' unit."""
    return mean(np.abs(values.astype(np.float64) - labels), weight)


def calibration_bins(
    labels: Integers, probabilities: Floats, n_bins: int
) -> list[dict[str, float]]:
    """Sort rows by probability into bins of equal size.

    Each bin has `n` rows, a mean `probability` and the `share` of positive rows. Bins of equal
    width would be nearly empty: most probabilities of a rare event are small.
    """
    order = np.argsort(probabilities, kind="stable")
    bins = [rows for rows in np.array_split(order, n_bins) if len(rows)]
    return [
        {
            "n": len(rows),
            "probability": float(probabilities[rows].mean()),
            "share": float(np.mean(labels[rows] == 1)),
        }
        for rows in bins
    ]


def calibration_error(labels: Integers, probabilities: Floats, n_bins: int) -> float:
    """Return the expected calibration error (Naeini et al. 2015) over bins of equal size.

    It is the mean distance between a bin's share of positives and its mean probability, weighted by
    the bin's rows.
    """
    bins = calibration_bins(labels, probabilities, n_bins)
    gaps = [b["n"] * abs(b["share"] - b["probability"]) for b in bins]
    return float(sum(gaps) / len(labels))


def mean_reciprocal_rank(ranks: Integers | Floats, weight: Floats | None = None) -> float:
    """Return the mean of 1 / rank of the true class, ranks from 1."""
    return mean(1.0 / ranks, weight)


def hit_rate(ranks: Integers | Floats, k: int, weight: Floats | None = None) -> float:
    """Return the share of rows whose true class is among the first k."""
    return mean((ranks <= k).astype(np.float64), weight)
