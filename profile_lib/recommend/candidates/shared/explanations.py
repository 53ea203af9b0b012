"""Find the item of a user's history that explains a candidate best."""

import numpy as np
from scipy import sparse

from profile_lib.arrays.types import Floats, Longs
from profile_lib.recommend.data.arrow_columns import MISSING
from profile_lib.recommend.data.histories import Histories


def most_similar_item(
    steps: Histories, user: Longs, item: Longs, step_weights: Floats, similarity: sparse.csr_array
) -> Longs:
    """Return the most similar item of the user's history for each pair.

    `user` and `item`, (m,), are the pairs of a user and a candidate. A step's value is its weight
    in `step_weights`, (steps,), times the similarity of its item to the candidate in `similarity`,
    (n_items, n_items). The result, (m,), is MISSING if no value is above 0.
    """
    pair, step = steps.steps_of_users(user)
    similarities = np.asarray(similarity[steps.items[step], item[pair]]).ravel()
    contributions = step_weights[step] * similarities
    return top_contributing_item(steps, len(user), pair, step, contributions)


def top_contributing_item(
    steps: Histories, n_pairs: int, pair: Longs, step: Longs, contributions: Floats
) -> Longs:
    """Return the item of the step that contributes most to each pair, (n_pairs,).

    `pair` and `step` are as `Histories.steps_of_users` returns them, each with its contribution,
    (p,). The result is MISSING if no contribution is above 0.
    """
    top_item = np.full(n_pairs, MISSING, dtype=np.int64)
    order = np.lexsort((-contributions, pair))
    order = order[contributions[order] > 0]
    pairs, first = np.unique(pair[order], return_index=True)
    top_item[pairs] = steps.items[step[order[first]]]
    return top_item
