"""Build each user's history of interactions with items, oldest first.

Sources are fitted to frames of histories. They score histories in arrays, a batch of users in a
Spark task as well as a single user in a server.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib.arrays.groups import GroupedRows, differs_from_previous, to_list_array
from profile_lib.arrays.types import Floats, Longs
from profile_lib.recommend.data.arrow_columns import flat_numbers
from profile_lib.tables.events import EVENT_ORDER

STEPS = "items array<int>, weights array<float>, seconds array<long>, is_bought array<boolean>"
STEP_COLUMNS = ("items", "weights", "seconds", "is_bought")
PURCHASE = "purchase"
DAY = 86400  # seconds


def number_items(items: DataFrame) -> DataFrame:
    """Number items from 0 in the order of their ids: (item_id, item).

    The driver collects all ids.
    """
    ids = items.select("item_id").distinct().sort("item_id").toArrow()["item_id"]
    numbers = pa.array(np.arange(len(ids), dtype=np.int32))
    return items.sparkSession.createDataFrame(pa.table({"item_id": ids, "item": numbers}))


def event_weight(weights: Mapping[str, float]) -> Column:
    """Return the weight of an event's type, null if it has none."""
    weight_of_type = F.create_map(*[F.lit(part) for pair in weights.items() for part in pair])
    return F.try_element_at(weight_of_type, F.col("event_type"))


def build_histories(
    events: DataFrame, items: DataFrame, weights: Mapping[str, float], max_steps: int
) -> DataFrame:
    """Build one row per user with interactions: user_id and STEPS, oldest first.

    `weights` holds for each event type how strongly an event counts as interest in its item. Events
    of other types, such as returns, are left out, and so are items without a number in `items`
    (item_id, item).
    Consecutive events of a user on the same item are one step, with the greatest of their weights,
    at the last of their times. Only the last `max_steps` steps of a user are returned.
    """
    step = F.struct(
        F.unix_seconds("event_ts").alias("second"),
        "item",
        event_weight(weights).cast("float").alias("weight"),
        (F.col("event_type") == PURCHASE).alias("is_bought"),
    )
    weighted = events.where(F.col("event_type").isin(*weights))
    numbered = weighted.join(F.broadcast(items), "item_id")
    event = F.struct(*EVENT_ORDER, step.alias("step"))
    in_order = F.array_sort(F.collect_list(event))
    per_user = numbered.groupBy("user_id").agg(F.transform(in_order, _step).alias("events"))

    def to_steps(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _to_steps(batch, max_steps)

    return per_user.mapInArrow(to_steps, f"user_id string, {STEPS}")


def _step(event: Column) -> Column:
    return event["step"]


def _to_steps(batch: pa.RecordBatch, max_steps: int) -> pa.RecordBatch:
    lists = batch["events"]
    events, user = lists.flatten(), lists.value_parent_indices().to_numpy()
    second, item, weight, is_bought = (
        events.field(name).to_numpy(zero_copy_only=False)
        for name in ("second", "item", "weight", "is_bought")
    )
    steps = merge_repeated_steps(batch.num_rows, user, item, weight, second, is_bought)
    is_last = steps.steps_ago < max_steps
    lengths = np.bincount(steps.user[is_last], minlength=steps.n_users)
    columns = (steps.items, steps.weights, steps.seconds, steps.is_bought)
    step_lists = [to_list_array(lengths, pa.array(values[is_last])) for values in columns]
    return pa.RecordBatch.from_arrays([batch["user_id"], *step_lists], ["user_id", *STEP_COLUMNS])


def count_users_per_item(histories: DataFrame) -> DataFrame:
    """Count the users who interacted with each item: (item, n_users), without items of no user."""
    interactions = histories.select(F.explode(F.array_distinct("items")).alias("item"))
    return interactions.groupBy("item").agg(F.count("*").alias("n_users"))


@dataclass(frozen=True)
class Histories:
    """The m steps of n users in arrays, user by user, oldest first.

    `user`, `items`, `weights`, `seconds`, `is_bought`: (m,), with `user` from 0 to n - 1, and
    `seconds` since 1970.
    """

    n_users: int
    user: Longs
    items: Longs
    weights: Floats
    seconds: Longs
    is_bought: np.ndarray

    @classmethod
    def from_batch(cls, batch: pa.RecordBatch) -> "Histories":
        """Read an Arrow batch with the columns of STEPS."""
        arrays = [flat_numbers(batch[name]) for name in STEP_COLUMNS]
        return cls(batch.num_rows, batch["items"].value_parent_indices().to_numpy(), *arrays)

    @cached_property
    def steps_ago(self) -> Longs:
        """The number of later steps of the same user, (m,), 0 for the last."""
        end = GroupedRows(self.user, self.n_users).end_rows
        return end[self.user] - 1 - np.arange(len(self.user))

    def decayed_weights(self, decay: float) -> Floats:
        """Return the steps' weights, (m,), each times `decay` to the power of `steps_ago`."""
        return self.weights * np.float32(decay) ** self.steps_ago

    def steps_of_users(self, user: Longs) -> tuple[Longs, Longs]:
        """List all steps of the users in `user`, which may repeat, in two arrays, (p,).

        The first holds positions in `user`, the second indices of that user's steps.
        """
        first = np.searchsorted(self.user, user)
        n_steps = np.searchsorted(self.user, user, side="right") - first
        position = np.repeat(np.arange(len(user)), n_steps)
        start = np.cumsum(n_steps) - n_steps - first
        return position, np.arange(len(position)) - np.repeat(start, n_steps)

    def matrix(self, values: Floats, n_items: int) -> sparse.csr_array:
        """Sum the values of each user's steps by item: (n, n_items)."""
        items, bounds = self._cells
        cells = (values.astype(np.float32), items.copy(), bounds.copy())  # summed in place
        matrix = sparse.csr_array(cells, shape=(self.n_users, n_items))
        matrix.sum_duplicates()
        return matrix

    @cached_property
    def _cells(self) -> tuple[np.ndarray, np.ndarray]:
        """The items, (m,), and the index at which each user's steps begin, (n + 1,).

        Both have 32 bits, as the matrices of sources do: a product of mixed widths would copy
        those.
        """
        bounds = np.zeros(self.n_users + 1, np.int32)
        np.cumsum(np.bincount(self.user, minlength=self.n_users), out=bounds[1:])
        return self.items.astype(np.int32), bounds


def merge_repeated_steps(
    n_users: int, user: Longs, item: Longs, weight: Floats, second: Longs, is_bought: np.ndarray
) -> Histories:
    """Merge consecutive rows of a user on the same item into steps.

    The rows, (r,), come user by user, oldest first. A step has the greatest of the weights, the
    last of the times, and is bought if any of its rows is.
    """
    starts = np.flatnonzero(differs_from_previous(user, item))
    if not len(starts):
        return Histories(n_users, user, item, weight, second, is_bought)
    ends = np.append(starts[1:], len(user)) - 1
    return Histories(
        n_users,
        user[starts],
        item[starts],
        np.maximum.reduceat(weight, starts),
        second[ends],
        np.logical_or.reduceat(is_bought, starts),
    )
