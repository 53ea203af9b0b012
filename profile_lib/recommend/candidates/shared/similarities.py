"""Compare two sets by cosine, Jaccard or Pearson similarity."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

Similarity = Literal["cosine", "jaccard", "pearson"]

# (n_shared, n_first, n_second, n_all, sqrt) → numerator and denominator. The sets hold `n_first`
# and `n_second` of `n_all` elements, and share `n_shared`. All are numbers, arrays or Columns.
Compare = Callable[[Any, Any, Any, Any, Callable[[Any], Any]], tuple[Any, Any]]


def _cosine(
    n_shared: Any, n_first: Any, n_second: Any, n_all: Any, sqrt: Callable[[Any], Any]
) -> tuple[Any, Any]:
    return n_shared, sqrt(n_first * n_second)


def _jaccard(
    n_shared: Any, n_first: Any, n_second: Any, n_all: Any, sqrt: Callable[[Any], Any]
) -> tuple[Any, Any]:
    return n_shared, n_first + n_second - n_shared


def _pearson(
    n_shared: Any, n_first: Any, n_second: Any, n_all: Any, sqrt: Callable[[Any], Any]
) -> tuple[Any, Any]:
    spread = n_first * (1 - n_first / n_all) * n_second * (1 - n_second / n_all)
    return n_shared - n_first * n_second / n_all, sqrt(spread)


SIMILARITIES: Mapping[str, Compare] = {
    "cosine": _cosine,
    "jaccard": _jaccard,
    "pearson": _pearson,
}
