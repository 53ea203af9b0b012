"""Compare two sets by cosine, Jaccard or Pearson similarity."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

Similarity = Literal["cosine", "jaccard", "pearson"]

# (shared, own, other, total, sqrt) → numerator and denominator, of numbers, arrays or Columns:
# `shared` of the `total` elements are in both sets, `own` and `other` in each.
Compare = Callable[[Any, Any, Any, Any, Callable[[Any], Any]], tuple[Any, Any]]


def _cosine(
    shared: Any, own: Any, other: Any, total: Any, sqrt: Callable[[Any], Any]
) -> tuple[Any, Any]:
    return shared, sqrt(own * other)


def _jaccard(
    shared: Any, own: Any, other: Any, total: Any, sqrt: Callable[[Any], Any]
) -> tuple[Any, Any]:
    return shared, own + other - shared


def _pearson(
    shared: Any, own: Any, other: Any, total: Any, sqrt: Callable[[Any], Any]
) -> tuple[Any, Any]:
    spread = own * (1 - own / total) * other * (1 - other / total)
    return shared - own * other / total, sqrt(spread)


SIMILARITIES: Mapping[str, Compare] = {
    "cosine": _cosine,
    "jaccard": _jaccard,
    "pearson": _pearson,
}
