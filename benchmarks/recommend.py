"""What recommending costs: one user served at a time, and fitting and listing as a shop grows.

    python benchmarks/recommend.py serve growth

`serve`: a drawn shop of 100,000 items with all sources of conf/base and a ranker of their
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
from made_shop import DrawnShop
from measure import PeakMemory, save_result, summarise_repeats
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from scipy import sparse
from threadpoolctl import threadpool_limits

from profile_lib.arrays.groups import slice_batches
from profile_lib.config.settings import Settings, load_settings
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.spec import ModelSpec
from profile_lib.model.tasks import TaskSpec
from profile_lib.pipelines.fit_recommender import build_ranker_settings
from profile_lib.recommend.candidates.candidate_set import propose_candidates
from profile_lib.recommend.candidates.fitting import fit_source
from profile_lib.recommend.candidates.top_k import best
from profile_lib.recommend.data.artifacts import RetrievalModel
from profile_lib.recommend.data.histories import Histories, build_histories
from profile_lib.recommend.evaluation.protocols import requests_from_histories
from profile_lib.recommend.serving.listing import RETRIEVAL_FOLDER, ListBuilder
from profile_lib.recommend.serving.recommender import Eligibility, ListRules
from profile_lib.recommend.serving.requests import CONTEXT_COLUMNS
from profile_lib.recommend.serving.server import RecommendationServer, profiles_to_batch
from profile_lib.spark.session import cached, start_spark

TARGETS = {"p99_ms": 10, "requests_per_second": 1000}
WARM_UP_REQUESTS, REQUESTS, SECONDS = 200, 3000, 20
MAX_USERS_PER_BATCH = 256  # users
PROFILES = "profiles.parquet"
SCALES, REPEATS, K = (1, 4, 16), 3, 10


def serve(spark: SparkSession, settings: Settings, arguments: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of a list for one user, and requests a second of its recall, by processes that
    have loaded what was learned and know no Spark."""
    shop = DrawnShop(spark, arguments.serve_users, arguments.items, steps_per_user=20)
    began = time.monotonic()
    known = shop.learned(settings)
    fitted = time.monotonic() - began
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / RETRIEVAL_FOLDER
        known.save(folder)
        profiles = profiles_to_batch(*shop.profiles(REQUESTS))
        pq.write_table(pa.Table.from_batches([profiles]), folder / PROFILES)
        spark.stop()
        cores, candidates_per_source = (
            sorted(os.sched_getaffinity(0))[:2],
            settings.recommend.lists.candidates_per_source,
        )
        with ProcessPoolExecutor(len(cores), get_context("spawn")) as processes:
            took = processes.submit(time_lists, folder, settings, cores[-1]).result()
            rates = {}
            for size in (1, 16):
                both = [
                    processes.submit(
                        candidates_per_second, folder, candidates_per_source, core, size
                    )
                    for core in cores
                ]
                rates[f"{size}_per_request"] = round(sum(one.result() for one in both), 1)
    return {
        "items": arguments.items,
        "users": arguments.serve_users,
        "sources": list(known.sources),
        "fit_seconds": round(fitted, 1),
        "list_ms": {f"p{p}": round(float(np.percentile(took, p)), 2) for p in (50, 95, 99)},
        "candidate_requests_per_second": rates,
        "target": TARGETS,
    }


def load_on_core(folder: Path, core: int) -> tuple[RetrievalModel, list[dict[str, Any]]]:
    """What was learned and the profiles that ask, on one core with one thread."""
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    threadpool_limits(1)
    known = RetrievalModel.load(folder)
    profiles = pq.read_table(folder / PROFILES).to_pylist()
    gc.freeze()
    return known, [
        row | {name: dict(row[name]) for name in CONTEXT_COLUMNS.values()} for row in profiles
    ]


def time_lists(folder: Path, settings: Settings, core: int) -> list[float]:
    """Milliseconds of each list."""
    known, profiles = load_on_core(folder, core)
    server, took = RecommendationServer(build_listing(known, settings)), []
    for profile in (*profiles[:WARM_UP_REQUESTS], *profiles):
        start = time.perf_counter()
        server.recommend(profile)
        took.append(1000 * (time.perf_counter() - start))
    return took[WARM_UP_REQUESTS:]


def candidates_per_second(folder: Path, candidates_per_source: int, core: int, size: int) -> float:
    """Users a second whose candidates this process finds, so many at once."""
    known, profiles = load_on_core(folder, core)
    began, n = time.perf_counter(), 0
    while time.perf_counter() < began + SECONDS:
        first = n % (len(profiles) - size)
        asked = known.reader.read_requests(profiles_to_batch(*profiles[first : first + size]))
        propose_candidates(known.sources, asked, candidates_per_source)
        n += size
    return n / (time.perf_counter() - began)


def build_listing(known: RetrievalModel, settings: Settings) -> ListBuilder:
    """With a ranker of the settings' shape that was drawn: it takes as long as a fitted one."""
    given, shape = settings.recommend, build_ranker_settings(settings).model
    spec = ModelSpec(
        tasks=tuple(TaskSpec(name=name, kind="binary") for name in given.task_weights),
        numeric=tuple(known.feature_names), n_vector_numbers=known.n_vector_numbers, numeric_bins=shape.numeric_bins,
        numeric_hidden=shape.numeric_hidden, joined_size=shape.joined_size, dropout=0.0,
        max_tokens=8, separator_id=0, bert=None,
    )  # fmt: skip
    torch.manual_seed(1)
    rules = ListRules(**given.lists.model_dump())
    offers = Eligibility.all_eligible(len(known.catalog))
    return ListBuilder.from_model(
        known, ProfileModel(spec).eval(), given.task_weights, rules, offers
    )


def growth(
    spark: SparkSession, settings: Settings, arguments: argparse.Namespace
) -> dict[str, Any]:
    """scale → way → seconds to fit, to list for all, and GiB."""
    told: dict[str, Any] = {
        "users": arguments.users,
        "items": arguments.items_at_1,
        "repeats": REPEATS,
    }
    for scale in SCALES:
        shop = DrawnShop(
            spark, scale * arguments.users, scale * arguments.items_at_1, steps_per_user=20
        )
        weights, most = settings.recommend.weights, settings.recommend.max_steps
        with cached(build_histories(shop.events, shop.item_numbers, weights, most)) as steps:
            steps.count()
            methods = {
                name: own_method(shop, settings, steps, name)
                for name in ("viewed_together", "factors")
            }
            methods |= implicit_methods(steps, scale * arguments.items_at_1)
            told[f"{scale}x"] = {
                name: time_fit_and_list(fit, list_all) for name, (fit, list_all) in methods.items()
            }
            print(scale, told[f"{scale}x"], flush=True)
    return told


def time_fit_and_list(fit: Callable[[], Any], list_all: Callable[[Any], int]) -> dict[str, Any]:
    """Of repeats the seconds of both, and the peak of memory over all."""
    fits, asks = [], []
    with PeakMemory(os.getpid(), 1.0) as memory:
        for _ in range(REPEATS):
            began = time.monotonic()
            model = fit()
            fits.append(time.monotonic() - began)
            began = time.monotonic()
            n = list_all(model)
            asks.append(time.monotonic() - began)
    seconds = {
        "fit_seconds": summarise_repeats(fits),
        "list_seconds": summarise_repeats(asks),
        "listed": n,
    }
    return seconds | {"peak_gib": round(memory.gib, 2)}


def own_method(
    shop: DrawnShop, settings: Settings, steps: Any, name: str
) -> tuple[Callable, Callable]:
    """A source of the settings."""
    source, known = settings.recommend.chosen[name], shop.known(settings, steps)
    n_items = shop.n_items

    def fit() -> Any:
        return fit_source(known, **source.model_dump())

    def list_all(model: Any) -> int:
        most = K + settings.recommend.max_steps

        def listed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for part in slice_batches(batches, MAX_USERS_PER_BATCH):
                met = Histories.from_batch(part)
                found = model.scores(requests_from_histories(met), most)
                rows = np.repeat(np.arange(met.n), np.diff(found.indptr)) * n_items
                is_met = np.isin(rows + found.indices, met.of * n_items + met.items)
                found.data[is_met] = -np.inf
                yield pa.RecordBatch.from_arrays([pa.array([best(found, K).nnz])], ["n"])

        return int(steps.mapInArrow(listed, "n long").agg(F.sum("n")).collect()[0][0])

    return fit, list_all


def implicit_methods(steps: Any, n_items: int) -> dict[str, tuple[Callable, Callable]]:
    """The library's cosine neighbours and its ALS, on the same histories, on all cores."""
    from implicit.als import AlternatingLeastSquares
    from implicit.nearest_neighbours import CosineRecommender

    (batch,) = steps.drop("user_id").toArrow().combine_chunks().to_batches()
    of_users = Histories.from_batch(batch)
    ones = np.ones(len(of_users.items), np.float32)
    met = sparse.csr_matrix(of_users.matrix(ones, n_items))
    users = np.arange(met.shape[0])

    def with_model(make: Callable[[], Any]) -> tuple[Callable, Callable]:
        def fit() -> Any:
            model = make()
            with threadpool_limits(1, "blas"):
                model.fit(met, show_progress=False)
            return model

        def list_all(model: Any) -> int:
            items, _ = model.recommend(users, met, N=K)
            return int((items >= 0).sum())

        return fit, list_all

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
    parser.add_argument("--config", default="base")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    parser.add_argument("--items", type=int, default=100_000, help="for `serve`")
    parser.add_argument("--serve-users", type=int, default=100_000, help="for `serve`")
    parser.add_argument("--users", type=int, default=10_000, help="at 1x, for `growth`")
    parser.add_argument("--items-at-1", type=int, default=2_000, help="at 1x, for `growth`")
    arguments = parser.parse_args()
    settings = load_settings(arguments.config, arguments.set)
    for part in arguments.parts:
        spark = start_spark(settings.spark, "benchmark")
        save_result("recommend", part, PARTS[part](spark, settings, arguments))


if __name__ == "__main__":
    main()
