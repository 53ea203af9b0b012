"""Fit boosted trees by LightGBM, and convert them to arrays."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import torch

from profile_lib.model.baselines import TreeArrays
from profile_lib.training.baselines.rows import LabelledRows

PATIENCE = 30  # trees without a lower loss on the validation rows after which fitting ends
Node = dict[str, Any]  # of LightGBM's description of a tree


def fit_boosting(
    train: LabelledRows,
    validation: LabelledRows,
    *,
    leaves: Sequence[int],
    n_trees: int,
    learning_rate: float,
    min_rows: int,
    number_share: float,
    seed: int,
) -> tuple[TreeArrays, int]:
    """Return the trees with the lowest validation loss, and their depth.

    The number of leaves is one of `leaves`, the number of trees `n_trees` at most. A leaf has at
    least `min_rows` train rows, and a tree reads a random `number_share` of the numbers. Category
    codes are compared as numbers: their order is that of frequency. LightGBM (Ke et al. 2017)
    computes the same trees on any number of threads.
    """
    import lightgbm  # takes a second, and most jobs fit none

    data = lightgbm.Dataset(train.numeric, train.label, weight=train.weight, free_raw_data=False)
    held_out = data.create_valid(validation.numeric, validation.label, weight=validation.weight)
    fitted: list[tuple[float, Any]] = []
    for n_leaves in leaves:
        parameters = {
            "objective": "binary",
            "num_leaves": n_leaves,
            "learning_rate": learning_rate,
            "min_data_in_leaf": min_rows,
            "feature_fraction": number_share,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }
        stop = lightgbm.early_stopping(PATIENCE, verbose=False)
        booster = lightgbm.train(parameters, data, n_trees, valid_sets=[held_out], callbacks=[stop])
        loss = booster.best_score["valid_0"]["binary_logloss"]
        fitted.append((loss, booster))
    _, best = min(fitted, key=itemgetter(0))
    trees = best.dump_model(num_iteration=best.best_iteration)["tree_info"]
    return to_tree_arrays([tree["tree_structure"] for tree in trees])


def to_tree_arrays(roots: Sequence[Node]) -> tuple[TreeArrays, int]:
    """Return the trees of LightGBM's description as arrays, and their depth."""
    trees = [_list_nodes(root) for root in roots]
    shape = (len(trees), max(len(nodes) for nodes in trees))
    arrays = {name: np.zeros(shape, np.int64) for name in TreeArrays._fields}
    arrays |= {name: np.zeros(shape, np.float64) for name in ("threshold", "value")}
    for tree, nodes in enumerate(trees):
        number_of = {id(node): number for number, node in enumerate(nodes)}
        for number, node in enumerate(nodes):
            is_leaf = "leaf_value" in node
            values = {
                "feature": 0 if is_leaf else node["split_feature"],
                "threshold": 0.0 if is_leaf else node["threshold"],
                "left": number if is_leaf else number_of[id(node["left_child"])],
                "right": number if is_leaf else number_of[id(node["right_child"])],
                "missing_left": 1 if is_leaf else _leads_missing_left(node),
                "value": node["leaf_value"] if is_leaf else 0.0,
            }
            for name, value in values.items():
                arrays[name][tree, number] = value
    depth = max(_find_depth(root) for root in roots)
    return TreeArrays(**{name: torch.from_numpy(array) for name, array in arrays.items()}), depth


def _leads_missing_left(node: Node) -> bool:
    """Return whether an unknown number leads to the left.

    LightGBM takes it for 0 if no train row had one.
    """
    if node["missing_type"] == "NaN":
        return bool(node["default_left"])
    return bool(node["threshold"] >= 0)


def _list_nodes(root: Node) -> list[Node]:
    """Return all nodes of a tree, the root first."""
    nodes, waiting = [], [root]
    while waiting:
        nodes.append(node := waiting.pop())
        if "leaf_value" not in node:
            waiting += [node["left_child"], node["right_child"]]
    return nodes


def _find_depth(root: Node) -> int:
    if "leaf_value" in root:
        return 0
    return 1 + max(_find_depth(root["left_child"]), _find_depth(root["right_child"]))
