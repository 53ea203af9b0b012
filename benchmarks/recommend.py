"""Measure serving of one user at a time, and fitting and listing as a shop grows.

    python -m benchmarks.recommend serve growth

`serve` draws a shop of 100,000 items, with all sources of conf/base and a ranker of their
shape. It measures the milliseconds of a list for one user on one core, and the requests per second
of two processes that only find candidates. `growth` measures the seconds to fit, and to
list the first ten items of all users, at 1, 4 and 16 times users and items, compared with the
library `implicit` on the same histories. Writes benchmarks/results/recommend.json.
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
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from scipy import sparse
from threadpoolctl import threadpool_limits

from benchmarks.drawn_shop import DrawnShop
from benchmarks.measure import PeakMemory, make_parser, save_result, summarise_repeats, time_call
from profile_lib.arrays.groups import slice_batches
from profile_lib.config.settings import Settings, load_settings
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.spec import ModelSpec
from profile_lib.model.tasks import TaskSpec
from profile_lib.pipelines.fit_recommender import build_ranker_settings
from profile_lib.pipelines.recommender_sources import read_recommend_sources
from profile_lib.recommend.candidates.candidate_set import propose_candidates
from profile_lib.recommend.candidates.shared.top_k import top_k
from profile_lib.recommend.data.histories import Histories, build_histories
from profile_lib.recommend.data.profile_columns import CONTEXT_COLUMNS
from profile_lib.recommend.data.requests import requests_from_histories
from profile_lib.recommend.retrieval_model import RetrievalModel
from profile_lib.recommend.serving.listing import RETRIEVAL_FOLDER, ListBuilder
from profile_lib.recommend.serving.recommender import Eligibility, ListRules
from profile_lib.recommend.serving.server import RecommendationServer, profiles_to_batch
from profile_lib.spark.session import cached, start_spark

TARGETS = {"p99_ms": 10, "requests_per_second": 1000}
WARM_UP_REQUESTS, REQUESTS, SECONDS = 200, 3000, 20
MAX_USERS_PER_BATCH = 256
PROFILES = "profiles.parquet"
SCALES, REPEATS, K = (1, 4, 16), 3, 10


def serve(spark: SparkSession, settings: Settings, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure the milliseconds of a list for one user, and requests for candidates per second.

    The processes load the fitted recommender and use no Spark.
    """
    shop = DrawnShop(spark, arguments.serve_users, arguments.items, steps_per_user=20)
    retrieval = shop.fit_retrieval(settings)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / RETRIEVAL_FOLDER
        retrieval.save(folder)
        profiles = profiles_to_batch(*shop.profiles(REQUESTS))
        pq.write_table(pa.Table.from_batches([profiles]), folder / PROFILES)
        spark.stop()
        cores = sorted(os.sched_getaffinity(0))[:2]
        candidates_per_source = settings.recommend.lists.candidates_per_source
        with ProcessPoolExecutor(len(cores), get_context("spawn")) as processes:
            milliseconds = processes.submit(time_lists, folder, settings, cores[-1]).result()
            rates = {}
            for size in (1, 16):
                futures = [
                    processes.submit(
                        candidates_per_second, folder, candidates_per_source, core, size
                    )
                    for core in cores
                ]
                rates[f"{size}_per_call"] = round(sum(future.result() for future in futures), 1)
    return {
        "items": arguments.items,
        "users": arguments.serve_users,
        "list_ms": {f"p{p}": round(float(np.percentile(milliseconds, p)), 2) for p in (50, 95, 99)},
        "candidate_requests_per_second": rates,
        "target": TARGETS,
    }


def load_on_core(folder: Path, core: int) -> tuple[RetrievalModel, list[dict[str, Any]]]:
    """Load the recommender and the requesting profiles, on one core with one thread."""
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    threadpool_limits(1)
    retrieval = RetrievalModel.load(folder)
    profiles = pq.read_table(folder / PROFILES).to_pylist()
    gc.freeze()
    return retrieval, [
        row | {name: dict(row[name]) for name in CONTEXT_COLUMNS.values()} for row in profiles
    ]


def time_lists(folder: Path, settings: Settings, core: int) -> list[float]:
    """Return the milliseconds of each list."""
    retrieval, profiles = load_on_core(folder, core)
    server, milliseconds = RecommendationServer(build_listing(retrieval, settings)), []
    for profile in (*profiles[:WARM_UP_REQUESTS], *profiles):
        start = time.perf_counter()
        server.recommend(profile)
        milliseconds.append(1000 * (time.perf_counter() - start))
    return milliseconds[WARM_UP_REQUESTS:]


def candidates_per_second(folder: Path, candidates_per_source: int, core: int, size: int) -> float:
    """Return the users per second whose candidates this process finds, `size` per call."""
    retrieval, profiles = load_on_core(folder, core)
    start, n = time.perf_counter(), 0
    while time.perf_counter() < start + SECONDS:
        first = n % (len(profiles) - size)
        requests = retrieval.reader.read_requests(
            profiles_to_batch(*profiles[first : first + size])
        )
        propose_candidates(retrieval.sources, requests, candidates_per_source)
        n += size
    return n / (time.perf_counter() - start)


def build_listing(retrieval: RetrievalModel, settings: Settings) -> ListBuilder:
    """Add a random ranker of the settings' shape, which takes as long as a fitted one."""
    recommend, shape = settings.recommend, build_ranker_settings(settings).model
    spec = ModelSpec(
        tasks=tuple(TaskSpec(name=name, kind="binary") for name in recommend.task_weights),
        numeric=tuple(retrieval.feature_names), n_vector_numbers=retrieval.n_vector_numbers,
        numeric_bins=shape.numeric_bins,
        numeric_hidden=shape.numeric_hidden, joined_size=shape.joined_size, dropout=0.0,
        max_tokens=8, separator_id=0, bert=None,
    )  # fmt: skip
    torch.manual_seed(1)
    rules = ListRules(**recommend.lists.model_dump())
    eligibility = Eligibility.all_eligible(len(retrieval.catalog))
    return ListBuilder.from_model(
        retrieval, ProfileModel(spec).eval(), recommend.task_weights, rules, eligibility
    )


def growth(
    spark: SparkSession, settings: Settings, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Measure fitting, listing for all users, and memory, by scale and method."""
    result: dict[str, Any] = {"users": arguments.users, "items": arguments.items_at_1}
    for scale in SCALES:
        shop = DrawnShop(
            spark, scale * arguments.users, scale * arguments.items_at_1, steps_per_user=20
        )
        weights, max_steps = settings.recommend.weights, settings.recommend.max_steps
        with cached(build_histories(shop.events, shop.item_numbers, weights, max_steps)) as steps:
            steps.count()
            methods = {
                name: own_method(shop, settings, steps, name)
                for name in ("viewed_together", "factors")
            }
            methods |= implicit_methods(steps, scale * arguments.items_at_1)
            result[f"{scale}x"] = {
                name: time_fit_and_list(fit, list_all) for name, (fit, list_all) in methods.items()
            }
            print(scale, result[f"{scale}x"], flush=True)
    return result


def time_fit_and_list(fit: Callable[[], Any], list_all: Callable[[Any], int]) -> dict[str, Any]:
    """Time both for each repeat, and measure the peak memory over all."""
    fit_seconds, list_seconds = [], []
    with PeakMemory(os.getpid(), 1.0) as memory:
        for _ in range(REPEATS):
            start = time.monotonic()
            model = fit()
            fit_seconds.append(time.monotonic() - start)
            list_seconds.append(time_call(list_all, model))
    return {
        "fit_seconds": summarise_repeats(fit_seconds),
        "list_seconds": summarise_repeats(list_seconds),
        "peak_gib": round(memory.gib, 2),
    }


def own_method(
    shop: DrawnShop, settings: Settings, steps: Any, name: str
) -> tuple[Callable, Callable]:
    """Return how to fit a source of the settings, and how to list with it."""
    spec = read_recommend_sources(settings.recommend)[name]
    data = shop.source_data(settings, steps)
    n_items = shop.n_items

    def fit() -> Any:
        return spec.fit(data)

    def list_all(model: Any) -> int:
        n_scored = K + settings.recommend.max_steps

        def listed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for part in slice_batches(batches, MAX_USERS_PER_BATCH):
                histories = Histories.from_batch(part)
                scores = model.scores(requests_from_histories(histories), n_scored)
                rows = np.repeat(np.arange(histories.n_users), np.diff(scores.indptr)) * n_items
                known = histories.user * n_items + histories.items
                scores.data[np.isin(rows + scores.indices, known)] = -np.inf
                yield pa.RecordBatch.from_arrays([pa.array([top_k(scores, K).nnz])], ["n"])

        return int(steps.mapInArrow(listed, "n long").agg(F.sum("n")).collect()[0][0])

    return fit, list_all


def implicit_methods(steps: Any, n_items: int) -> dict[str, tuple[Callable, Callable]]:
    """The cosine neighbours and the ALS of `implicit`, on the same histories and all cores."""
    from implicit.als import AlternatingLeastSquares
    from implicit.nearest_neighbours import CosineRecommender

    (batch,) = steps.drop("user_id").toArrow().combine_chunks().to_batches()
    histories = Histories.from_batch(batch)
    ones = np.ones(len(histories.items), np.float32)
    matrix = sparse.csr_matrix(histories.matrix(ones, n_items))
    users = np.arange(matrix.shape[0])

    def with_model(make: Callable[[], Any]) -> tuple[Callable, Callable]:
        def fit() -> Any:
            model = make()
            with threadpool_limits(1, "blas"):
                model.fit(matrix, show_progress=False)
            return model

        def list_all(model: Any) -> int:
            items, _ = model.recommend(users, matrix, N=K)
            return int((items >= 0).sum())

        return fit, list_all

    return {
        "implicit_cosine": with_model(lambda: CosineRecommender(K=100)),
        "implicit_als": with_model(
            lambda: AlternatingLeastSquares(factors=32, iterations=10, random_state=1)
        ),
    }


PARTS = {"serve": serve, "growth": growth}


def main() -> None:
    """Run the requested parts."""
    parser = make_parser(__doc__, PARTS, config="base")
    parser.add_argument("--items", type=int, default=100_000, help="for `serve`")
    parser.add_argument("--serve-users", type=int, default=100_000, help="for `serve`")
    parser.add_argument("--users", type=int, default=10_000, help="at 1x, for `growth`")
    parser.add_argument("--items-at-1", type=int, default=2_000, help="at 1x, for `growth`")
    arguments = parser.parse_args()
    settings = load_settings(arguments.config, arguments.set)
    for part in arguments.parts:
        spark = start_spark(settings.spark, "benchmark")  # `serve` stops its session
        save_result("recommend", part, PARTS[part](spark, settings, arguments))


if __name__ == "__main__":
    main()
