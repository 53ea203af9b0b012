"""The ranks of classes that are equally probable, or have no probability."""

import numpy as np

from profile_lib.model.tasks import TaskSpec

TASK = TaskSpec(name="next", kind="multiclass", classes=("red", "green", "blue"))


def ranks(predictions: list[list[float]], labels: list[int]) -> list[int]:
    columns = TASK.definition.to_columns(
        TASK, np.array(predictions), np.array(labels, float)[:, None]
    )
    hits = columns["predicted"] == columns["label"]
    assert (hits == (columns["rank"] == 1))[np.isfinite(predictions).all(axis=1)].all()
    return columns["rank"].tolist()


def test_a_model_that_says_the_same_of_all_classes_is_right_for_the_most_frequent_one_alone():
    assert ranks([[1 / 3] * 3] * 3, [0, 1, 2]) == [1, 2, 3]
    assert ranks([[0.2, 0.4, 0.4]] * 3, [0, 1, 2]) == [3, 1, 2]


def test_a_prediction_that_is_no_number_has_the_last_rank():
    assert ranks([[np.nan] * 3, [0.9, np.nan, 0.1]], [0, 0]) == [3, 3]
