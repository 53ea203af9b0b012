"""Arrays in, measures out: numpy only; n rows, labels 0 or 1, probabilities in [0, 1]."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Labels = NDArray[np.integer]


def counts_by_score(
    labels: Labels, scores: Floats, weight: Floats | None = None
) -> tuple[Floats, Floats]:
    """Weights of the positive and of the negative rows at or above each distinct score, highest
    first: the points that ROC and precision-recall curves are drawn through."""
    order = np.argsort(-scores, kind="stable")
    w = np.ones(len(scores)) if weight is None else weight[order]
    is_positive = labels[order] == 1
    last = np.append(np.diff(scores[order]) != 0, True)  # equal scores are taken together
    return np.cumsum(w * is_positive)[last], np.cumsum(w * ~is_positive)[last]


def roc_auc(labels: Labels, scores: Floats, weight: Floats | None = None) -> float | None:
    """The probability that a positive row has a higher score than a negative one, ties half.

    Rows count by their weight. None where one of the two is absent.
    """
    hits, misses = counts_by_score(labels, scores, weight)
    if len(hits) == 0 or hits[-1] == 0 or misses[-1] == 0:
        return None
    middle = (hits + np.append(0, hits[:-1])) / 2
    return float(np.sum(middle * np.diff(misses, prepend=0)) / (hits[-1] * misses[-1]))


def pr_auc(labels: Labels, scores: Floats, weight: Floats | None = None) -> float | None:
    """Average precision: precision at each distinct score, weighted by the recall it adds.

    Rows count by their weight. None where there is no positive row.
    """
    hits, misses = counts_by_score(labels, scores, weight)
    if len(hits) == 0 or hits[-1] == 0:
        return None
    precision = hits / np.maximum(hits + misses, 1e-300)
    return float(np.sum(np.diff(hits, prepend=0) * precision) / hits[-1])


def bootstrap_weights(users: Labels, n_resamples: int, seed: int) -> Iterator[Floats]:
    """The rows' weights (n,) in each of `n_resamples` resamples of the users.

    A user's rows come together, as often as a Poisson draw of mean 1 says: the bootstrap of Hanley
    & MacGibbon (2006), which needs no resample of an exact size.
    """
    _, place = np.unique(users, return_inverse=True)
    n_users = int(place.max(initial=-1)) + 1
    rng = np.random.default_rng(seed)
    for _ in range(n_resamples):
        yield rng.poisson(1.0, n_users)[place].astype(np.float64)


def percentile_interval(
    values: Sequence[float | None], confidence_level: float = 0.95
) -> list[float] | None:
    """The middle `confidence_level` of the values that there are, as [low, high]; None where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    low, high = np.quantile(known, [(1 - confidence_level) / 2, (1 + confidence_level) / 2])
    return [float(low), float(high)]


def mean(values: Floats | Labels, weight: Floats | None = None) -> float:
    """The mean of the rows' values, (n,) or (n, k); rows count by their weight."""
    return float(np.average(values.reshape(len(values), -1).mean(axis=1), weights=weight))


def log_loss(labels: Labels, probabilities: Floats, weight: Floats | None = None) -> float:
    """The mean cross-entropy in nats; probabilities are kept 1e-12 away from 0 and 1."""
    p = np.clip(probabilities.astype(np.float64), 1e-12, 1 - 1e-12)
    return mean(-np.where(labels == 1, np.log(p), np.log1p(-p)), weight)


def brier(labels: Labels, probabilities: Floats, weight: Floats | None = None) -> float:
    """The mean squared difference of probability and label."""
    return mean((probabilities.astype(np.float64) - labels) ** 2, weight)


def rmse(labels: Floats, values: Floats, weight: Floats | None = None) -> float:
    """The root of the mean squared difference, in the labels' unit."""
    return float(np.sqrt(mean((values.astype(np.float64) - labels) ** 2, weight)))


def mae(labels: Floats, values: Floats, weight: Floats | None = None) -> float:
    """The mean absolute difference, in the labels' unit."""
    return mean(np.abs(values.astype(np.float64) - labels), weight)


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


def mean_reciprocal_rank(ranks: Labels | Floats, weight: Floats | None = None) -> float:
    """The mean of 1 / rank of the true answer, ranks from 1; infinite where it has none."""
    return mean(1.0 / ranks, weight)


def hit_rate(ranks: Labels | Floats, k: int, weight: Floats | None = None) -> float:
    """The share of rows whose true answer is among the first k."""
    return mean((ranks <= k).astype(np.float64), weight)
