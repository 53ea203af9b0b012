"""What recommending costs: one user served at a time, and fitting and listing as a shop grows.

    python benchmarks/recommend.py serve growth

`serve`: a drawn shop of 100,000 items with all sources of conf/base.yaml and a ranker of their
shape: milliseconds of a list for one user on one core, and how many requests a second two processes
answer where only candidates are looked for. `growth`: seconds to fit and to list the first ten
items of all users, and memory, at 1, 4 and 16 times users and items, beside the library `implicit`
on the same histories. Writes benchmarks/results/recommend.json.
"""

import argparse
import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from made_shop import MadeShop
from measure import PeakMemory, save, spread
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from scipy import sparse
from threadpoolctl import threadpool_limits

from jobs.fit_recommender import ranker_settings
from profile_lib.config import Settings, load_settings
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.spec import ModelSpec
from profile_lib.model.tasks import TaskSpec
from profile_lib.recommend.asking import CONTEXTS
from profile_lib.recommend.candidates import candidates
from profile_lib.recommend.fitting import fit_source
from profile_lib.recommend.histories import Histories, histories
from profile_lib.recommend.learned import Learned
from profile_lib.recommend.listing import LEARNED, Listing
from profile_lib.recommend.protocols import by_histories
from profile_lib.recommend.recommender import Offers, Rules
from profile_lib.recommend.serving import Server, as_batch
from profile_lib.recommend.top import best
from profile_lib.segments import in_parts
from profile_lib.spark import kept, start_spark

WANTED = {"p99_ms": 10, "requests_a_second": 1000}
WARM, REQUESTS, SECONDS = 200, 3000, 20
AT_ONCE = 256  # users
PROFILES = "profiles.parquet"
SCALES, REPEATS, K = (1, 4, 16), 3, 10


def serve(spark: SparkSession, settings: Settings, given: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of a list for one user, and requests a second of its recall, by processes that
    have loaded what was learned and know no Spark."""
    shop = MadeShop(spark, given.serve_users, given.items, steps=20)
    began = time.monotonic()
    known = shop.learned(settings)
    fitted = time.monotonic() - began
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / LEARNED
        known.save(folder)
        profiles = as_batch(*shop.profiles(REQUESTS))
        pq.write_table(pa.Table.from_batches([profiles]), folder / PROFILES)
        spark.stop()
        cores, a_source = sorted(os.sched_getaffinity(0))[:2], settings.recommend.lists.a_source
        with ProcessPoolExecutor(len(cores), get_context("spawn")) as processes:
            took = processes.submit(listed, folder, settings, cores[-1]).result()
            rates = {}
            for size in (1, 16):
                both = [processes.submit(found, folder, a_source, core, size) for core in cores]
                rates[f"{size}_at_once"] = round(sum(one.result() for one in both), 1)
    return {
        "items": given.items,
        "users": given.serve_users,
        "sources": list(known.sources),
        "fit_seconds": round(fitted, 1),
        "list_ms": {f"p{p}": round(float(np.percentile(took, p)), 2) for p in (50, 95, 99)},
        "recall_requests_a_second": rates,
        "wanted": WANTED,
    }


def ready(folder: Path, core: int) -> tuple[Learned, list[dict[str, Any]]]:
    """What was learned and the profiles that ask, on one core with one thread."""
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    threadpool_limits(1)
    known = Learned.load(folder)
    profiles = pq.read_table(folder / PROFILES).to_pylist()
    gc.freeze()
    return known, [row | {name: dict(row[name]) for name in CONTEXTS.values()} for row in profiles]


def listed(folder: Path, settings: Settings, core: int) -> list[float]:
    """Milliseconds of each list."""
    known, profiles = ready(folder, core)
    server, took = Server(listing_of(known, settings)), []
    for profile in (*profiles[:WARM], *profiles):
        start = time.perf_counter()
        server.recommend(profile)
        took.append(1000 * (time.perf_counter() - start))
    return took[WARM:]


def found(folder: Path, a_source: int, core: int, size: int) -> float:
    """Users a second whose candidates this process finds, so many at once."""
    known, profiles = ready(folder, core)
    began, n = time.perf_counter(), 0
    while time.perf_counter() < began + SECONDS:
        first = n % (len(profiles) - size)
        asked = known.reader.asked(as_batch(*profiles[first : first + size]))
        candidates(known.sources, asked, a_source)
        n += size
    return n / (time.perf_counter() - began)


def listing_of(known: Learned, settings: Settings) -> Listing:
    """With a ranker of the settings' shape that was drawn: it takes as long as a fitted one."""
    given, shape = settings.recommend, ranker_settings(settings).model
    spec = ModelSpec(
        tasks=tuple(TaskSpec(name=name, kind="binary") for name in given.worth),
        numeric=tuple(known.numbers), n_plain=known.n_plain, numeric_bins=shape.numeric_bins,
        numeric_hidden=shape.numeric_hidden, joined_size=shape.joined_size, dropout=0.0,
        max_tokens=8, separator_id=0, bert=None,
    )  # fmt: skip
    torch.manual_seed(1)
    rules = Rules(**given.lists.model_dump())
    offers = Offers.all(len(known.catalogue))
    return Listing.of(known, ProfileModel(spec).eval(), given.worth, rules, offers)


def growth(spark: SparkSession, settings: Settings, given: argparse.Namespace) -> dict[str, Any]:
    """scale → way → seconds to fit, to list for all, and GiB."""
    told: dict[str, Any] = {"users": given.users, "items": given.items_at_1, "repeats": REPEATS}
    for scale in SCALES:
        shop = MadeShop(spark, scale * given.users, scale * given.items_at_1, steps=20)
        weights, most = settings.recommend.weights, settings.recommend.most_steps
        with kept(histories(shop.events, shop.numbers, weights, most)) as steps:
            steps.count()
            ways = {
                name: ours(shop, settings, steps, name) for name in ("viewed_together", "factors")
            }
            ways |= implicits(steps, scale * given.items_at_1)
            told[f"{scale}x"] = {name: measured(fit, ask) for name, (fit, ask) in ways.items()}
            print(scale, told[f"{scale}x"], flush=True)
    return told


def measured(fit: Callable[[], Any], ask: Callable[[Any], int]) -> dict[str, Any]:
    """Of repeats the seconds of both, and the peak of memory over all."""
    fits, asks = [], []
    with PeakMemory(os.getpid(), 1.0) as memory:
        for _ in range(REPEATS):
            began = time.monotonic()
            model = fit()
            fits.append(time.monotonic() - began)
            began = time.monotonic()
            n = ask(model)
            asks.append(time.monotonic() - began)
    seconds = {"fit_seconds": spread(fits), "list_seconds": spread(asks), "listed": n}
    return seconds | {"peak_gib": round(memory.gib, 2)}


def ours(shop: MadeShop, settings: Settings, steps: Any, name: str) -> tuple[Callable, Callable]:
    """A source of the settings."""
    source, known = settings.recommend.chosen[name], shop.known(settings, steps)
    n_items = shop.n_items

    def fit() -> Any:
        return fit_source(known, **source.model_dump())

    def ask(model: Any) -> int:
        most = K + settings.recommend.most_steps

        def listed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for part in in_parts(batches, AT_ONCE):
                met = Histories.of_batch(part)
                found = model.scores(by_histories(met), most)
                rows = np.repeat(np.arange(met.n), np.diff(found.indptr)) * n_items
                is_met = np.isin(rows + found.indices, met.of * n_items + met.items)
                found.data[is_met] = -np.inf
                yield pa.RecordBatch.from_arrays([pa.array([best(found, K).nnz])], ["n"])

        return int(steps.mapInArrow(listed, "n long").agg(F.sum("n")).collect()[0][0])

    return fit, ask


def implicits(steps: Any, n_items: int) -> dict[str, tuple[Callable, Callable]]:
    """The library's cosine neighbours and its ALS, on the same histories, on all cores."""
    from implicit.als import AlternatingLeastSquares
    from implicit.nearest_neighbours import CosineRecommender

    (batch,) = steps.drop("user_id").toArrow().combine_chunks().to_batches()
    of_users = Histories.of_batch(batch)
    ones = np.ones(len(of_users.items), np.float32)
    met = sparse.csr_matrix(of_users.matrix(ones, n_items))
    users = np.arange(met.shape[0])

    def with_model(make: Callable[[], Any]) -> tuple[Callable, Callable]:
        def fit() -> Any:
            model = make()
            with threadpool_limits(1, "blas"):
                model.fit(met, show_progress=False)
            return model

        def ask(model: Any) -> int:
            items, _ = model.recommend(users, met, N=K)
            return int((items >= 0).sum())

        return fit, ask

    return {
        "implicit cosine": with_model(lambda: CosineRecommender(K=100)),
        "implicit ALS": with_model(
            lambda: AlternatingLeastSquares(factors=32, iterations=10, random_state=1)
        ),
    }


PARTS = {"serve": serve, "growth": growth}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--config", default="conf/base.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    parser.add_argument("--items", type=int, default=100_000, help="for `serve`")
    parser.add_argument("--serve-users", type=int, default=100_000, help="for `serve`")
    parser.add_argument("--users", type=int, default=10_000, help="at 1x, for `growth`")
    parser.add_argument("--items-at-1", type=int, default=2_000, help="at 1x, for `growth`")
    given = parser.parse_args()
    settings = load_settings(given.config, given.set)
    for part in given.parts:
        spark = start_spark(settings.spark, "benchmark")
        save("recommend", part, PARTS[part](spark, settings, given))


if __name__ == "__main__":
    main()
