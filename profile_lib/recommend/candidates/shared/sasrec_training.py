"""Train SASRec until its NDCG on the held-out items no longer improves."""

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
from profile_lib.metrics import ranking
from profile_lib.recommend.candidates.shared.sasrec_model import SASRec, SasrecShape, last_steps
from profile_lib.recommend.data.histories import STEP_COLUMNS, Histories
from profile_lib.recommend.data.relevant_items import RelevantItems
from profile_lib.recommend.data.requests import Requests
from profile_lib.recommend.evaluation.protocols import relevant_ranks


@dataclass(frozen=True)
class SasrecPlan:
    """The hyperparameters of a training by Adam, with about `batch_steps` steps per batch.

    Training ends after `epochs` epochs, or after `patience` epochs without a better NDCG of the
    first `k` items.
    """

    seed: int
    epochs: int
    patience: int
    batch_steps: int
    learning_rate: float
    k: int


def write_histories(split: DataFrame, folder: str, n_files: int) -> None:
    """Write SPLIT_SCHEMA rows to Parquet, in a reproducible order."""
    ordered = split.withColumn("row_hash", F.xxhash64("user_id"))
    parts = ordered.repartition(n_files, "row_hash").sortWithinPartitions("row_hash", "user_id")
    parts.drop("row_hash").write.mode("overwrite").parquet(folder)


def read_histories(folder: str) -> pa.RecordBatch:
    """Read the rows of `write_histories`, without user ids.

    Raises InputError if there are none.
    """
    files = sorted(Path(folder).glob("*.parquet"))
    columns = [*STEP_COLUMNS, "relevant", "relevance"]
    batches = [b for file in files for b in pq.read_table(file, columns=columns).to_batches()]
    if not batches:
        raise InputError(
            f"{folder}: no histories; wanted users with two steps or more: look at the events"
        )
    (batch,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return batch


def train_sasrec(
    split: pa.RecordBatch, shape: SasrecShape, plan: SasrecPlan, device: torch.device
) -> tuple[SASRec, list[float]]:
    """Train a model; return that of the best epoch, and each epoch's NDCG.

    At each step the model predicts the next item by cross-entropy over all items, which is
    decisive for its quality (Klenitskiy & Vasilev 2023). On one kind of processor and with the same
    number of threads, equal seeds give equal models.
    """
    steps, rng = Histories.from_batch(split), np.random.default_rng(plan.seed)
    curve: list[float] = []
    best_state, since_best = {}, 0
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
                best_state, since_best = copy.deepcopy(model.state_dict()), 0
            curve.append(ndcg)
    model.load_state_dict(best_state)
    return model.eval(), curve


def _step(model: SASRec, adam: torch.optim.Optimizer, items: Tensor) -> None:
    """Train on items, (n, steps), padded with -1 after a user's last step."""
    following = items[:, 1:]
    is_step = following >= 0
    vectors = model(items[:, :-1].clamp(min=0))[is_step]
    adam.zero_grad(set_to_none=True)
    functional.cross_entropy(model.logits(vectors), following[is_step]).backward()
    adam.step()


def _batches(
    steps: Histories, max_steps: int, batch_steps: int, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yield the items of users with two steps or more, in shuffled batches."""
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
    def score_all(requests: Requests) -> np.ndarray:
        return model.score_all(requests.histories)

    relevant = RelevantItems.from_batch(split)
    rank = relevant_ranks(score_all, split, model.shape.n_items)
    metrics = ranking.ranking_metrics_per_user(relevant.user, rank, relevant.relevance, k)
    return float(metrics["ndcg"].mean())
