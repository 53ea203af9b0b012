"""Events and the catalog's numbers in; out of each user the items met, in the order of time.

Sources are fitted on these frames and asked with these arrays, on a cluster and for one user alike.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib.arrays.groups import (
    Floats,
    GroupedRows,
    Longs,
    differs_from_previous,
    to_list_array,
)

STEPS = "items array<int>, weights array<float>, seconds array<long>, is_bought array<boolean>"
STEP_COLUMNS = ("items", "weights", "seconds", "is_bought")
USER_KEY = {"user_id": "string"}
CUTOFFS = USER_KEY | {"cutoff_ts": "timestamp"}
PURCHASE = "purchase"
DAY = 86400  # seconds


def number_items(items: DataFrame) -> DataFrame:
    """(item_id, item): numbers from 0 in the order of the ids, which all come to the driver."""
    ids = items.select("item_id").distinct().sort("item_id").toArrow()["item_id"]
    numbers = pa.array(np.arange(len(ids), dtype=np.int32))
    return items.sparkSession.createDataFrame(pa.table({"item_id": ids, "item": numbers}))


def build_histories(
    events: DataFrame,
    items: DataFrame,
    weights: Mapping[str, float],
    max_steps: int,
    by: Mapping[str, str] = USER_KEY,
) -> DataFrame:
    """A row a user who met an item, or what else the events are grouped `by` (columns and their
    types): these columns and STEPS, oldest first, the last `max_steps` steps.

    `weights` tells of each kind of event how much it says for its item; kinds that it lacks say
    nothing. What a user does with one item in a row is a step, of the greatest of the weights, at
    the last of the moments. Items that are not numbered in `items` (item_id, item) are left out.
    """
    says = F.create_map(*[F.lit(part) for pair in weights.items() for part in pair])
    act = F.struct(
        F.unix_seconds("event_ts").alias("second"),
        "item",
        F.try_element_at(says, F.col("event_type")).cast("float").alias("weight"),
        (F.col("event_type") == PURCHASE).alias("is_bought"),
    )
    acts = events.where(F.col("event_type").isin(*weights)).join(F.broadcast(items), "item_id")
    of_user = acts.groupBy(*by).agg(F.array_sort(F.collect_list(act)).alias("acts"))

    def steps(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _steps(batch, max_steps)

    keys = ", ".join(f"{name} {kind}" for name, kind in by.items())
    return of_user.mapInArrow(steps, f"{keys}, {STEPS}")


def _steps(batch: pa.RecordBatch, max_steps: int) -> pa.RecordBatch:
    lists = batch["acts"]
    acts, of = lists.flatten(), lists.value_parent_indices().to_numpy()
    second, item, weight, is_bought = (
        acts.field(name).to_numpy(zero_copy_only=False)
        for name in ("second", "item", "weight", "is_bought")
    )
    steps = merge_repeated_steps(batch.num_rows, of, item, weight, second, is_bought)
    kept = steps.steps_ago < max_steps
    lengths = np.bincount(steps.user[kept], minlength=steps.n_users)
    columns = (steps.items, steps.weights, steps.seconds, steps.is_bought)
    lists_of = [to_list_array(lengths, pa.array(values[kept])) for values in columns]
    keys = batch.select([name for name in batch.schema.names if name != "acts"])
    return pa.RecordBatch.from_arrays(
        [*keys.columns, *lists_of], [*keys.schema.names, *STEP_COLUMNS]
    )


@dataclass(frozen=True)
class Histories:
    """The steps of n users side by side, those of a user in the order of time.

    `user`, `items`, `weights`, `seconds`, `is_bought`: (m,), `user` from 0 to n - 1.
    """

    n_users: int
    user: Longs
    items: Longs
    weights: Floats
    seconds: Longs
    is_bought: np.ndarray

    @classmethod
    def from_batch(cls, batch: pa.RecordBatch) -> "Histories":
        """Of an Arrow batch with the columns of STEPS."""
        arrays = [batch[name].flatten().to_numpy(zero_copy_only=False) for name in STEP_COLUMNS]
        return cls(batch.num_rows, batch["items"].value_parent_indices().to_numpy(), *arrays)

    @cached_property
    def steps_ago(self) -> Longs:
        """(m,): 0 for a user's last step, 1 for the one before it."""
        return (
            GroupedRows(self.user, self.n_users).end_rows[self.user] - 1 - np.arange(len(self.user))
        )

    def steps_of_users(self, user: Longs) -> tuple[Longs, Longs]:
        """(p,) and (p,): the steps of each of the users (m,), one user after the other: at which
        place of `user` a step's user stands, and the step."""
        first = np.searchsorted(self.user, user)
        n = np.searchsorted(self.user, user, side="right") - first
        place = np.repeat(np.arange(len(user)), n)
        return place, np.arange(len(place)) - np.repeat(np.cumsum(n) - n - first, n)

    def matrix(self, values: Floats, n_items: int) -> sparse.csr_array:
        """(n, n_items): the values of each user's steps, summed by item."""
        items, bounds = self._cells
        steps = (values.astype(np.float32), items.copy(), bounds.copy())  # summed in place
        matrix = sparse.csr_array(steps, shape=(self.n_users, n_items))
        matrix.sum_duplicates()
        return matrix

    @cached_property
    def _cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Items, and where each user's begin: of 32 bits, as the matrices of sources are, for else
        each product would copy those."""
        bounds = np.zeros(self.n_users + 1, np.int32)
        np.cumsum(np.bincount(self.user, minlength=self.n_users), out=bounds[1:])
        return self.items.astype(np.int32), bounds


def merge_repeated_steps(
    n: int, of: Longs, item: Longs, weight: Floats, second: Longs, is_bought: np.ndarray
) -> Histories:
    """The steps of n users from what they did, (m,) each, user by user and oldest first: what is
    done with one item in a row is one step, of the greatest weight, at the last moment."""
    starts = np.flatnonzero(differs_from_previous(of, item))
    if not len(starts):
        return Histories(n, of, item, weight, second, is_bought)
    ends = np.append(starts[1:], len(of)) - 1
    return Histories(
        n,
        of[starts],
        item[starts],
        np.maximum.reduceat(weight, starts),
        second[ends],
        np.logical_or.reduceat(is_bought, starts),
    )
