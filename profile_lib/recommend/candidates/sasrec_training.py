"""A folder of split histories in, the SASRec that finds most of what was to be found out."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from torch import Tensor
from torch.nn import functional

from profile_lib.errors import InputError
from profile_lib.metrics import ranking as ranks
from profile_lib.recommend.candidates.sasrec import SASRec, SasrecShape, last_steps
from profile_lib.recommend.data.histories import STEP_COLUMNS, Histories
from profile_lib.recommend.evaluation.protocols import relevant_ranks
from profile_lib.recommend.evaluation.relevant_items import RelevantItems


@dataclass(frozen=True)
class SasrecPlan:
    """How a model is fitted: Adam, with `batch_steps` steps of users a batch; over after `epochs`,
    or where `patience` of them brought no better NDCG among the first `k`."""

    seed: int
    epochs: int
    patience: int
    batch_steps: int
    learning_rate: float
    k: int


def write_histories(split: DataFrame, folder: str, n_files: int) -> None:
    """Write SPLIT_SCHEMA rows to Parquet, in an order that depends on the rows alone."""
    ordered = split.withColumn("row_hash", F.xxhash64("user_id"))
    parts = ordered.repartition(n_files, "row_hash").sortWithinPartitions("row_hash", "user_id")
    parts.drop("row_hash").write.mode("overwrite").parquet(folder)


def read_histories(folder: str) -> pa.RecordBatch:
    """What was written to `folder`, without the users' ids. Raises InputError where it is empty."""
    files = sorted(Path(folder).glob("*.parquet"))
    columns = [*STEP_COLUMNS, "relevant", "relevance"]
    batches = [b for file in files for b in pq.read_table(file, columns=columns).to_batches()]
    if not batches:
        raise InputError(
            f"{folder}: no histories; wanted users with two steps or more: look at the events"
        )
    (batch,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return batch


def fit_sasrec(
    split: pa.RecordBatch, shape: SasrecShape, plan: SasrecPlan, device: torch.device
) -> tuple[SASRec, list[float]]:
    """The model of the epoch of the best NDCG of what was to be found, and that of each epoch.

    At each step the next one is to be told of all items, by cross-entropy over all of them, which
    Klenitskiy & Vasilev (2023) found to be what such models lacked. On one kind of processor and
    as many threads equal seeds give equal models.
    """
    steps, rng = Histories.from_batch(split), np.random.default_rng(plan.seed)
    curve: list[float] = []
    best, since_best = {}, 0
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        model = SASRec(shape).to(device)
        adam = torch.optim.Adam(model.parameters(), lr=plan.learning_rate, fused=True)
        while len(curve) < plan.epochs and since_best < plan.patience:
            model.train()
            for batch in _batches(steps, shape.max_steps, plan.batch_steps, rng):
                _step(model, adam, batch.to(device))
            ndcg = _ndcg(model.eval(), split, plan.k)
            since_best += 1
            if ndcg > max(curve, default=-1):
                best, since_best = copy.deepcopy(model.state_dict()), 0
            curve.append(ndcg)
    model.load_state_dict(best)
    return model.eval(), curve


def _step(model: SASRec, adam: torch.optim.Optimizer, items: Tensor) -> None:
    """`items`: (n, steps), -1 behind a user's last."""
    following = items[:, 1:]
    is_step = following >= 0
    vectors = model(items[:, :-1].clamp(min=0))[is_step]
    adam.zero_grad(set_to_none=True)
    functional.cross_entropy(model.logits(vectors), following[is_step]).backward()
    adam.step()


def _batches(
    steps: Histories, max_steps: int, batch_steps: int, rng: np.random.Generator
) -> Iterator[Tensor]:
    """All users of two steps or more in a random order, near lengths together."""
    rows, n_steps = last_steps(steps, max_steps + 1)
    rows[np.arange(rows.shape[1]) >= n_steps[:, None]] = -1
    users = rng.permutation(np.flatnonzero(n_steps > 1))
    users = users[np.argsort(n_steps[users], kind="stable")]
    batch = np.cumsum(n_steps[users]) // batch_steps
    parts = np.split(users, np.flatnonzero(np.diff(batch)) + 1)
    for number in rng.permutation(len(parts)):
        chosen = parts[number]
        yield torch.from_numpy(rows[chosen, : n_steps[chosen].max(initial=0)])


def _ndcg(model: SASRec, split: pa.RecordBatch, k: int) -> float:
    relevant = RelevantItems.from_batch(split)
    rank = relevant_ranks(model.all_scores, split, model.shape.n_items)
    return float(
        ranks.ranking_metrics_per_user(relevant.user, rank, relevant.relevance, k)["ndcg"].mean()
    )
