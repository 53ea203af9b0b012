"""Measure how fast texts are inferred, and the memory of the workers.

    python -m benchmarks.inference speed memory --config conf/ga.yaml

Reads the table `examples` and the model of the settings (run the jobs up to train_model first).
`speed` compares profile_lib with a textbook's pandas UDF, Spark's predict_batch_udf,
sentence-transformers and a bare OpenVINO loop: each encodes the same distinct texts, turn by turn,
on two cores; the time of profile_lib includes vectors, predictions and reasons. Writes
benchmarks/results/inference.json.
"""

import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from transformers import AutoModel, AutoTokenizer

from benchmarks.measure import (
    PeakMemory,
    make_parser,
    run_parts,
    summarise_ratios,
    summarise_repeats,
    time_call,
)
from profile_lib.config.settings import Settings, load_settings
from profile_lib.delta.store import Store
from profile_lib.inference.udf import InferenceCounters, add_predictions
from profile_lib.model.checkpoint import load_model
from profile_lib.model.manifest import check_model
from profile_lib.spark.session import cached, start_spark
from profile_lib.tables import EXAMPLES

REPEATS = 5
TEXTS = 2000
MAX_TOKENS = 128  # the length to which the textbook pads
TARGETS = {"textbook_udf": 6.0, "bare_int8_loop": 0.85, "padding": 0.08}
ROW_COUNTS = (10_000, 100_000, 1_000_000)
N_DISTINCT_TEXTS = 2000  # texts among these rows


def speed(settings: Settings) -> dict[str, Any]:
    """Measure texts per second of each method, and the speedup of profile_lib over it."""
    spark, folder = start_spark(settings.spark, "benchmark"), model_folder(settings)
    n_cores = spark.sparkContext.defaultParallelism
    torch.set_num_threads(n_cores)
    texts = distinct_texts(spark, settings, TEXTS)
    with cached(texts) as frame, tempfile.TemporaryDirectory() as scratch:
        n, arrays = frame.count(), frame.select("text", "token_ids", "n_tokens").toPandas()
        save_encoder(folder, scratch)
        counters = InferenceCounters.create(spark.sparkContext)
        methods: dict[str, Callable[[], object]] = {
            "textbook_udf": lambda: write(frame.select(textbook_udf(scratch)("text"))),
            "predict_batch_udf": lambda: write(frame.select(batch_udf(scratch)("token_ids"))),
            "sentence_transformers": sentence_encoder(scratch, arrays["text"].tolist()),
            "bare_int8_loop": bare_loop(folder, settings, arrays, n_cores),
            "profile_lib": lambda: write(predict(frame, settings, "auto", counters)),
        }
        for method in methods.values():
            method()  # starts the workers and loads the models
        texts_before = counters.texts.value
        seconds: dict[str, list[float]] = {name: [] for name in methods}
        for turn in range(REPEATS):
            for name, method in methods.items():
                seconds[name].append(time_call(method))
                print(turn, name, f"{n / seconds[name][-1]:.1f} texts/s", flush=True)
    assert counters.texts.value == texts_before * (1 + REPEATS)
    n_tokens, n_padding = counters.tokens.value, counters.padding.value
    return {
        "texts": n,
        "mean_tokens": round(float(arrays["n_tokens"].mean()), 1),
        "padding": round(n_padding / (n_tokens + n_padding), 4),
        "texts_per_second": {
            name: summarise_repeats([n / s for s in values]) for name, values in seconds.items()
        },
        "speedup_over": {
            name: summarise_ratios(values, seconds["profile_lib"])
            for name, values in seconds.items()
            if name != "profile_lib"
        },
        "target": TARGETS,
    }


def distinct_texts(spark: SparkSession, settings: Settings, n: int) -> DataFrame:
    """Draw rows of the test split with distinct texts by a hash."""
    examples = (
        Store(spark, settings.paths.tables, settings.paths.identity)
        .read(EXAMPLES)
        .where("split = 'test'")
    )
    distinct = examples.dropDuplicates(["text"]).orderBy(F.xxhash64("text")).limit(n)
    return distinct.repartition(spark.sparkContext.defaultParallelism)


def model_folder(settings: Settings) -> str:
    """The folder of the settings' model."""
    return f"{settings.paths.models}/{settings.training.name}"


def save_encoder(folder: str, target: str) -> None:
    """Save the model's encoder and tokenizer as transformers reads them."""
    model, _, _ = load_model(folder)
    assert model.bert is not None
    model.bert.save_pretrained(target)
    AutoTokenizer.from_pretrained(folder).save_pretrained(target)


def write(frame: DataFrame) -> None:
    """Compute every row of the frame."""
    frame.write.format("noop").mode("overwrite").save()


def pooled(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean over the tokens that are not padding."""
    return (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)


def textbook_udf(encoder: str) -> Callable[..., Any]:
    """An iterator pandas UDF as tutorials show it: it tokenizes, and pads to MAX_TOKENS."""

    @F.pandas_udf("array<float>")  # type: ignore[call-overload]
    def embed(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        tokenizer, model = (
            AutoTokenizer.from_pretrained(encoder),
            AutoModel.from_pretrained(encoder),
        )
        for texts in batches:
            vectors: list[np.ndarray] = []
            for first in range(0, len(texts), 32):
                batch = tokenizer(
                    texts[first : first + 32].tolist(), padding="max_length", truncation=True,
                    max_length=MAX_TOKENS, return_tensors="pt",
                )  # fmt: skip
                with torch.inference_mode():
                    hidden = model(**batch).last_hidden_state
                vectors += list(pooled(hidden, batch["attention_mask"]).numpy())
            yield pd.Series(vectors)

    return embed


def batch_udf(encoder: str) -> Callable[..., Any]:
    """Spark's predict_batch_udf over the table's token arrays, which it does not trim."""

    def load() -> Callable[[np.ndarray], np.ndarray]:
        model = AutoModel.from_pretrained(encoder)

        def predict(token_ids: np.ndarray) -> np.ndarray:
            ids = torch.from_numpy(token_ids.astype(np.int64))
            mask = (ids != 0).long()
            with torch.inference_mode():
                hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
            return pooled(hidden, mask).numpy()

        return predict

    return predict_batch_udf(
        load, return_type=T.ArrayType(T.FloatType()), batch_size=32, input_tensor_shapes=[[48]]
    )


def sentence_encoder(encoder: str, texts: list[str]) -> Callable[[], object]:
    """The encode method of sentence-transformers, which sorts by length and trims."""
    from sentence_transformers import SentenceTransformer, models

    transformer = models.Transformer(encoder, max_seq_length=MAX_TOKENS)
    pooling = models.Pooling(transformer.get_word_embedding_dimension())
    model = SentenceTransformer(modules=[transformer, pooling], device="cpu")
    return lambda: model.encode(texts, batch_size=32, show_progress_bar=False)


def bare_loop(
    folder: str, settings: Settings, arrays: pd.DataFrame, threads: int
) -> Callable[[], object]:
    """OpenVINO's int8 encoder alone, over sorted and trimmed passes in this process."""
    from profile_lib.inference.runtimes.openvino_int8 import OpenvinoInt8

    runtime = OpenvinoInt8(folder, threads)
    ids = np.stack(arrays["token_ids"].to_list()).astype(np.int64)
    lengths = arrays["n_tokens"].to_numpy(np.int64)
    order = np.argsort(-lengths, kind="stable")

    def run() -> None:
        first = 0
        while first < len(order):
            size = max(1, settings.refresh.batch_tokens // int(lengths[order[first]]))
            rows = order[first : first + size]
            runtime.encode(ids[rows, : lengths[rows].max()], lengths[rows]).mean(1)
            first += size

    return run


def predict(
    frame: DataFrame, settings: Settings, runtime: str, counters: InferenceCounters
) -> DataFrame:
    """Vectors, predictions and reasons as a refresh computes them."""
    folder, refresh = model_folder(settings), settings.refresh
    manifest = check_model(folder)
    return add_predictions(
        frame,
        folder,
        categories=manifest.spec.categories,
        model_version=manifest.model_version,
        runtime=runtime,
        batch_tokens=refresh.batch_tokens,
        max_events=settings.examples.max_text_events,
        n_reasons=refresh.n_reasons,
        counters=counters,
    ).select("prediction")


def memory(settings: Settings) -> dict[str, Any]:
    """Measure the peak memory of the Python workers at each of ROW_COUNTS."""
    spark = start_spark(settings.spark, "benchmark")
    counters = InferenceCounters.create(spark.sparkContext)
    few = distinct_texts(spark, settings, 100)
    write(predict(few, settings, "auto", counters))  # starts the workers
    peaks = {}
    for rows in ROW_COUNTS:
        texts = distinct_texts(spark, settings, N_DISTINCT_TEXTS)
        with cached(texts.crossJoin(spark.range(rows // N_DISTINCT_TEXTS))) as frame:
            n = frame.count()
            (daemon,) = [
                p for p in psutil.Process().children(recursive=True)
                if is_daemon(p) and not is_forked_worker(p)
            ]  # fmt: skip
            with PeakMemory(daemon.pid, every_seconds=1) as peak:
                write(predict(frame, settings, "auto", counters))
            peaks[str(n)] = round(peak.gib, 2)
            print(n, peak.gib, flush=True)
    return {"workers_peak_gib_by_rows": peaks}


def is_daemon(process: psutil.Process) -> bool:
    """Whether a process runs pyspark's daemon, as its forked workers do too."""
    return "pyspark.daemon" in " ".join(process.cmdline())


def is_forked_worker(process: psutil.Process) -> bool:
    """Whether the daemon forked the process."""
    parent = process.parent()
    return parent is not None and is_daemon(parent)


PARTS = {"speed": speed, "memory": memory}


def main() -> None:
    """Run the requested parts."""
    arguments = make_parser(__doc__, PARTS).parse_args()
    settings = load_settings(arguments.config, arguments.set)
    run_parts("inference", PARTS, arguments.parts, settings)


if __name__ == "__main__":
    main()
