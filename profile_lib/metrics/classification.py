"""Measure classifications and regressions with numpy.

Arrays have one entry per row, (n,), unless a function says otherwise. Labels of classifications are
0 or 1, and probabilities between 0 and 1. With `weight`, a row of weight 2 counts as two rows.
"""

import numpy as np

from profile_lib.arrays.types import Floats, Integers


def counts_by_score(
    labels: Integers, scores: Floats, weight: Floats | None = None
) -> tuple[Floats, Floats]:
    """Count true and false positives at each distinct score as the threshold.

    A row is predicted positive if its score is at or above the threshold. The highest threshold
    comes first. The points of ROC and precision-recall curves follow from these counts, which are
    sums of weights.
    """
    order = np.argsort(-scores, kind="stable")
    w = np.ones(len(scores)) if weight is None else weight[order]
    is_positive = labels[order] == 1
    is_last_of_score = np.append(np.diff(scores[order]) != 0, True)
    true_positives, false_positives = np.cumsum(w * is_positive), np.cumsum(w * ~is_positive)
    return true_positives[is_last_of_score], false_positives[is_last_of_score]


def roc_auc(labels: Integers, scores: Floats, weight: Floats | None = None) -> float | None:
    """Return the area under the ROC curve.

    It is the probability that a positive row scores higher than a negative one; a tie counts as one
    half. Returns None if there is no positive or no negative row.
    """
    true_positives, false_positives = counts_by_score(labels, scores, weight)
    if len(true_positives) == 0 or true_positives[-1] == 0 or false_positives[-1] == 0:
        return None
    mean_true_positives = (true_positives + np.append(0, true_positives[:-1])) / 2
    area = np.sum(mean_true_positives * np.diff(false_positives, prepend=0))
    return float(area / (true_positives[-1] * false_positives[-1]))


def pr_auc(labels: Integers, scores: Floats, weight: Floats | None = None) -> float | None:
    """Return the average precision: precision at each score, weighted by the recall it adds.

    Returns None if there is no positive row.
    """
    true_positives, false_positives = counts_by_score(labels, scores, weight)
    if len(true_positives) == 0 or true_positives[-1] == 0:
        return None
    precision = true_positives / np.maximum(true_positives + false_positives, 1e-300)
    return float(np.sum(np.diff(true_positives, prepend=0) * precision) / true_positives[-1])


def mean(values: Floats | Integers, weight: Floats | None = None) -> float:
    """Return the mean of values, (n,) or (n, k), weighted by row."""
    return float(np.average(values.reshape(len(values), -1).mean(axis=1), weights=weight))


def log_loss(labels: Integers, probabilities: Floats, weight: Floats | None = None) -> float:
    """Return the mean cross-entropy in nats.

    Probabilities are clipped to [1e-12, 1 - 1e-12], so that it is finite.
    """
    p = np.clip(probabilities.astype(np.float64), 1e-12, 1 - 1e-12)
    return mean(-np.where(labels == 1, np.log(p), np.log1p(-p)), weight)


def brier(labels: Integers, probabilities: Floats, weight: Floats | None = None) -> float:
    """Return the Brier score: the mean squared difference between probability and label."""
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
    """Divide rows, sorted by probability, into at most `n_bins` bins of equal size.

    Each bin has its number of rows `n`, mean `probability` and `share` of positive rows. Bins of
    equal width would mostly be nearly empty, because most probabilities of a rare event are small.
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


def calibration_slope_and_intercept(
    labels: Integers, probabilities: Floats
) -> tuple[float, float] | None:
    """Return the slope of true over predicted logits, and what the predicted logits lack.

    A slope below 1 says that probabilities are too extreme, one above 1 that they are too close to
    each other. The intercept is what has to be added to all logits so that the mean probability is
    the share of positive rows (Cox, Two further applications of a model for binary regression,
    1958; Van Calster et al., Calibration: the Achilles heel of predictive analytics, 2019). Returns
    None if the rows do not determine them: all have one label or one probability, or a threshold
    separates the labels.
    """
    from scipy.optimize import brentq, minimize  # takes long, and few processes measure
    from scipy.special import expit, logit

    is_positive = labels == 1
    p = np.clip(probabilities.astype(np.float64), 1e-12, 1 - 1e-12)
    high, low = p[is_positive], p[~is_positive]
    if not len(high) or not len(low) or high.min() >= low.max() or high.max() <= low.min():
        return None
    logits, sign = logit(p), np.where(is_positive, 1.0, -1.0)

    def loss_and_gradient(line: Floats) -> tuple[float, Floats]:
        margin = sign * (line[0] * logits + line[1])
        error = -sign * expit(-margin) / len(logits)
        gradient = np.array([error @ logits, error.sum()])
        return float(np.logaddexp(0, -margin).mean()), gradient

    slope = minimize(loss_and_gradient, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B").x[0]
    share = is_positive.mean()
    intercept = brentq(lambda a: expit(logits + a).mean() - share, -60.0, 60.0)
    return float(slope), float(intercept)


def mean_reciprocal_rank(ranks: Integers | Floats, weight: Floats | None = None) -> float:
    """Return the mean of 1 / rank of the true class; ranks start at 1."""
    return mean(1.0 / ranks, weight)


def hit_rate(ranks: Integers | Floats, k: int, weight: Floats | None = None) -> float:
    """Return the share of rows whose true class has a rank of at most k."""
    return mean((ranks <= k).astype(np.float64), weight)
