"""Fit a task's baselines, and the weights by which they join the network's logit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit, logit

from profile_lib.model.baselines import MAX_LOGIT, TaskBaselines, join_logits
from profile_lib.model.spec import BaselineSpec
from profile_lib.training.baselines.boosting import fit_boosting
from profile_lib.training.baselines.logistic import fit_logistic
from profile_lib.training.baselines.rows import BaselineRows, LabelledRows, select_labelled

PENALTY = 1.0  # of squared distances of the weights from equal ones: few rows prove little
LOGISTIC, BOOSTING = "logistic_regression", "gradient_boosting"
NUMBERS = "numbers_alone"  # both joined: the best that numbers allow, without text or sequence
NETWORK = "network"  # the network alone
ROWS_PER_PASS = 8192  # trees need some kilobytes per row
Columns = Mapping[str, np.ndarray]  # row_hash, label and probability, (n,) each


@dataclass(frozen=True)
class BaselineOptions:
    """The settings of `training.baselines`."""

    trees: int
    learning_rate: float
    leaves: Sequence[int]
    min_rows: int
    number_share: float
    intervals: int
    penalties: Sequence[float]


@dataclass(frozen=True)
class JoinedTask:
    """The baselines of a task, and probabilities of the test rows."""

    baselines: TaskBaselines
    final: np.ndarray  # (n,)
    classifiers: dict[str, np.ndarray]  # other model → (n,); the bar for the final score is last


def fit_task_baselines(
    task: str,
    train: LabelledRows,
    validation: LabelledRows,
    n_categories: int,
    options: BaselineOptions,
    seed: int,
) -> TaskBaselines:
    """Fit boosted trees and a logistic regression to a binary label.

    The last `n_categories` features are category codes. The loss of the validation rows decides
    between variants. The weights of the three models are 0 until `fit_weights` has found them.
    """
    trees, depth = fit_boosting(
        train,
        validation,
        leaves=options.leaves,
        n_trees=options.trees,
        learning_rate=options.learning_rate,
        min_rows=options.min_rows,
        number_share=options.number_share,
        seed=seed,
    )
    logistic = fit_logistic(
        train,
        validation,
        n_categories=n_categories,
        n_intervals=options.intervals,
        penalties=options.penalties,
    )
    n_trees, n_nodes = trees.feature.shape
    spec = BaselineSpec(
        task=task, n_trees=n_trees, n_nodes=n_nodes, depth=depth, n_edges=logistic.edges.shape[1]
    )
    baselines = TaskBaselines(spec, train.numeric.shape[1])
    baselines.trees.load_state_dict(trees._asdict())
    baselines.logistic.load_state_dict(logistic.state_dict())
    return baselines


def join_task(
    task: str,
    rows: Mapping[str, BaselineRows],
    column: int,
    validation: Columns,
    test: Columns,
    n_categories: int,
    options: BaselineOptions,
    seed: int,
) -> JoinedTask:
    """Fit a task's baselines, and join them with the network.

    `validation` and `test` are the network's predictions of these splits, whose rows are among
    `rows`. `column` is that of the label, and the last `n_categories` features are category codes.
    At most as many validation rows as train rows decide between variants of the baselines.
    """
    train = select_labelled(rows["train"], column)
    held_out = select_labelled(rows["validation"], column)
    few = LabelledRows(*(values[: len(train.label)] for values in held_out))
    baselines = fit_task_baselines(task, train, few, n_categories, options, seed)
    logits, label, weight = _compute_logits(baselines, validation, rows["validation"])
    test_logits, _, _ = _compute_logits(baselines, test, rows["test"])
    joined = fit_weights(logits, label, weight)
    baselines.set_weights(*joined)
    classifiers = {
        NETWORK: test["probability"],
        BOOSTING: join_probabilities(test_logits[1:2], np.ones(1), 0.0),
        LOGISTIC: join_probabilities(test_logits[2:], np.ones(1), 0.0),
        NUMBERS: join_probabilities(test_logits[1:], *fit_weights(logits[1:], label, weight)),
    }
    return JoinedTask(baselines, join_probabilities(test_logits, *joined), classifiers)


def refit_weights(baselines: TaskBaselines, validation: Columns, rows: BaselineRows) -> None:
    """Join fitted baselines with another network, by its predictions of validation rows."""
    baselines.set_weights(*fit_weights(*_compute_logits(baselines, validation, rows)))


def _compute_logits(
    baselines: TaskBaselines, network: Columns, rows: BaselineRows
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the logits (3, n) of network, trees and logistic regression, labels and weights.

    `network` holds the network's predictions of n of the `rows`.
    """
    found = rows.select(network["row_hash"])
    logits = np.stack([logit(network["probability"]), *np.zeros((2, len(found.weight)))])
    for part in np.array_split(
        np.arange(len(found.weight)), len(found.weight) // ROWS_PER_PASS + 1
    ):
        x = torch.from_numpy(found.numeric[part])
        logits[1, part], logits[2, part] = baselines.trees(x).numpy(), baselines.logistic(x).numpy()
    return logits, network["label"], found.weight


def fit_weights(
    logits: np.ndarray, label: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the weights (models,) and the bias that join logits (models, n).

    They minimise the log loss of the labels (Wolpert, Stacked Generalization, 1992), so the joined
    score is calibrated as by Platt scaling. No weight is negative.
    """
    n_models = len(logits)
    equal, sign = 1 / n_models, np.where(label == 1, 1.0, -1.0)
    clipped = np.clip(logits, -MAX_LOGIT, MAX_LOGIT)

    def loss_and_slope(x: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (x[:-1] @ clipped + x[-1])
        away = x[:-1] - equal
        loss = weight @ np.logaddexp(0, -margin) + PENALTY * away @ away
        slope = -weight * sign * expit(-margin)
        return loss, np.append(clipped @ slope + 2 * PENALTY * away, slope.sum())

    start = np.append(np.full(n_models, equal), 0.0)
    bounds = [(0.0, None)] * n_models + [(None, None)]
    found = minimize(loss_and_slope, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    return found[:-1], float(found[-1])


def join_probabilities(logits: np.ndarray, weight: np.ndarray, bias: float) -> np.ndarray:
    """Return the probabilities (n,) of the joined logits (models, n)."""
    joined = join_logits(
        torch.from_numpy(logits), torch.from_numpy(weight), torch.tensor(bias).double()
    )
    return joined.sigmoid().numpy()
