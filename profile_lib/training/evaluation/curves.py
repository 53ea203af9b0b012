"""Compute the points of ROC and precision-recall curves."""

import numpy as np

from profile_lib.metrics import classification as metrics

MAX_CURVE_POINTS = 200


def compute_curves(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, list[list[float]]]:
    """Return at most MAX_CURVE_POINTS points of each curve, spread evenly over the scores.

    Points of `roc` are (false positive rate, true positive rate), points of `precision_recall`
    (recall, precision). `labels` (0 or 1) and `probabilities` are (n,).
    """
    positives, negatives = metrics.counts_by_score(labels, probabilities)
    points = np.unique(np.linspace(0, len(positives) - 1, MAX_CURVE_POINTS).round().astype(int))
    recall = positives[points] / max(positives[-1], 1)
    false_positive_rate = negatives[points] / max(negatives[-1], 1)
    precision = positives[points] / (positives[points] + negatives[points])
    return {
        "roc": np.stack([false_positive_rate, recall], axis=1).round(5).tolist(),
        "precision_recall": np.stack([recall, precision], axis=1).round(5).tolist(),
    }
