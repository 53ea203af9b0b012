"""Compute the points of ROC and precision-recall curves."""

import numpy as np

from profile_lib.metrics import classification as metrics

MAX_CURVE_POINTS = 200


def compute_curves(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, list[list[float]]]:
    """Return at most MAX_CURVE_POINTS points of each curve, spread evenly over the scores.

    Points of `roc` are (false positive rate, true positive rate), points of `precision_recall`
    (recall, precision).
    """
    hits, misses = metrics.counts_by_score(labels, probabilities)
    points = np.unique(np.linspace(0, len(hits) - 1, MAX_CURVE_POINTS).round().astype(int))
    recall = hits[points] / max(hits[-1], 1)
    false_positive_rate = misses[points] / max(misses[-1], 1)
    precision = hits[points] / (hits[points] + misses[points])
    return {
        "roc": np.stack([false_positive_rate, recall], axis=1).round(5).tolist(),
        "precision_recall": np.stack([recall, precision], axis=1).round(5).tolist(),
    }
