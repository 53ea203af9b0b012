"""How fast profiles are inferred: ours beside the textbook's UDF, others' and a bare loop.

    python benchmarks/inference.py speed memory --config conf/ga.yaml

Reads the table `examples` and the model of the settings (run the jobs up to train_model first),
and writes each part into benchmarks/results/inference.json. All methods of `speed` encode the same
distinct texts, turn by turn, on two cores; of ours the time holds vectors, answers and reasons.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch
from measure import PeakMemory, save_result, summarise_repeats
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from transformers import AutoModel, AutoTokenizer

from profile_lib.config.settings import Settings, load_settings
from profile_lib.delta.store import Store
from profile_lib.inference.udf import InferenceCounters, add_predictions
from profile_lib.model.checkpoint import load_model
from profile_lib.model.manifest import check_model
from profile_lib.spark.session import cached, start_spark
from profile_lib.tables import EXAMPLES

REPEATS = 5
TEXTS = 2000
MAX_TOKENS = 128  # tokens that the textbook pads to
TARGETS = {"textbook": 6.0, "bare_int8_loop": 0.85, "padding": 0.08}
ROW_COUNTS = (10_000, 100_000, 1_000_000)
N_DISTINCT_TEXTS = 2000  # texts among these rows


def speed(settings: Settings) -> dict[str, Any]:
    """Texts a second of each method, and ours against them."""
    spark, folder = start_spark(settings.spark, "benchmark"), model_folder(settings)
    n_cores = spark.sparkContext.defaultParallelism
    torch.set_num_threads(n_cores)
    texts = distinct_texts(spark, settings, TEXTS)
    with cached(texts) as frame, tempfile.TemporaryDirectory() as scratch:
        n, arrays = frame.count(), frame.select("text", "token_ids", "n_tokens").toPandas()
        save_encoder(folder, scratch)
        counters = InferenceCounters.create(spark.sparkContext)
        methods: dict[str, Callable[[], object]] = {
            "textbook": lambda: write(frame.select(textbook(scratch)("text"))),
            "predict_batch_udf": lambda: write(frame.select(batch_udf(scratch)("token_ids"))),
            "sentence_transformers": sentence_encoder(scratch, arrays["text"].tolist()),
            "bare_int8_loop": bare_loop(folder, settings, arrays, n_cores),
            "ours": lambda: write(ours(frame, settings, "auto", counters)),
        }
        for method in methods.values():
            method()  # workers start, models load
        texts_before = counters.texts.value
        seconds: dict[str, list[float]] = {name: [] for name in methods}
        for turn in range(REPEATS):
            for name, method in methods.items():
                began = time.monotonic()
                method()
                seconds[name].append(time.monotonic() - began)
                print(turn, name, f"{n / seconds[name][-1]:.1f} texts/s", flush=True)
    assert counters.texts.value == texts_before * (1 + REPEATS)
    against = {
        f"speedup_over_{name}": summarise_repeats(
            [a / b for a, b in zip(of, seconds["ours"], strict=True)]
        )
        for name, of in seconds.items()
        if name != "ours"
    }
    return {
        "texts": n,
        "mean_tokens": round(float(arrays["n_tokens"].mean()), 1),
        "texts_per_second": {
            name: summarise_repeats([n / s for s in of]) for name, of in seconds.items()
        },
        **against,
        "padding": round(
            counters.padding.value / (counters.tokens.value + counters.padding.value), 4
        ),
        "target": TARGETS,
    }


def distinct_texts(spark: SparkSession, settings: Settings, n: int) -> DataFrame:
    """Rows of the test split, each with another text, drawn by hash."""
    examples = Store(spark, settings.paths.tables).read(EXAMPLES).where("split = 'test'")
    different = examples.dropDuplicates(["text"]).orderBy(F.xxhash64("text")).limit(n)
    return different.repartition(spark.sparkContext.defaultParallelism)


def model_folder(settings: Settings) -> str:
    """Where the model lies."""
    return f"{settings.paths.models}/{settings.training.name}"


def save_encoder(folder: str, target: str) -> None:
    """The model's encoder and tokenizer as transformers reads them."""
    model, _, _ = load_model(folder)
    assert model.bert is not None
    model.bert.save_pretrained(target)
    AutoTokenizer.from_pretrained(folder).save_pretrained(target)


def write(frame: DataFrame) -> None:
    """Compute all of the frame."""
    frame.write.format("noop").mode("overwrite").save()


def pooled(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean over the true tokens."""
    return (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)


def textbook(encoder: str) -> Callable[..., Any]:
    """An iterator pandas UDF as it stands in tutorials: it tokenizes, and pads to 128."""

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
    """Spark's own predict_batch_udf over the token arrays of the table, which it does not trim."""

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
    """sentence-transformers' encode, which sorts by length and trims."""
    from sentence_transformers import SentenceTransformer, models

    transformer = models.Transformer(encoder, max_seq_length=MAX_TOKENS)
    pooling = models.Pooling(transformer.get_word_embedding_dimension())
    model = SentenceTransformer(modules=[transformer, pooling], device="cpu")
    return lambda: model.encode(texts, batch_size=32, show_progress_bar=False)


def bare_loop(
    folder: str, settings: Settings, arrays: pd.DataFrame, threads: int
) -> Callable[[], object]:
    """OpenVINO's int8 encoder alone over sorted, trimmed passes in this process."""
    from profile_lib.inference.runtimes.openvino_int8 import OpenvinoInt8

    runtime = OpenvinoInt8(folder, threads)
    ids = np.stack(arrays["token_ids"].to_list()).astype(np.int64)
    lengths = arrays["n_tokens"].to_numpy(np.int64)
    order = np.argsort(-lengths, kind="stable")

    def run() -> None:
        at = 0
        while at < len(order):
            size = max(1, settings.refresh.batch_tokens // int(lengths[order[at]]))
            pack = order[at : at + size]
            runtime.encode(ids[pack, : lengths[pack].max()], lengths[pack]).mean(1)
            at += size

    return run


def ours(
    frame: DataFrame, settings: Settings, runtime: str, counters: InferenceCounters
) -> DataFrame:
    """Vectors, answers and reasons as a refresh computes them."""
    folder, given = model_folder(settings), settings.refresh
    manifest = check_model(folder)
    return add_predictions(
        frame,
        folder,
        categories=manifest.spec.categories,
        model_version=manifest.model_version,
        runtime=runtime,
        batch_tokens=given.batch_tokens,
        max_events=settings.examples.max_text_events,
        n_reasons=given.n_reasons,
        counters=counters,
    ).select("prediction")


def memory(settings: Settings) -> dict[str, Any]:
    """Peak memory of the Python workers, at few rows and at ten and a hundred times as many."""
    spark = start_spark(settings.spark, "benchmark")
    counters = InferenceCounters.create(spark.sparkContext)
    write(ours(distinct_texts(spark, settings, 100), settings, "auto", counters))  # starts workers
    peaks = {}
    for rows in ROW_COUNTS:
        texts = distinct_texts(spark, settings, N_DISTINCT_TEXTS)
        with cached(texts.crossJoin(spark.range(rows // N_DISTINCT_TEXTS))) as frame:
            n = frame.count()
            (daemon,) = [
                p for p in psutil.Process().children(recursive=True)
                if "pyspark.daemon" in " ".join(p.cmdline()) and not is_below(p)
            ]  # fmt: skip
            with PeakMemory(daemon.pid, every_seconds=1) as peak:
                write(ours(frame, settings, "auto", counters))
            peaks[str(n)] = round(peak.gib, 2)
            print(n, peak.gib, flush=True)
    return {"peak_gib_of_workers_by_rows": peaks}


def is_below(process: psutil.Process) -> bool:
    """Whether a Python worker forked it, or the daemon is its parent."""
    parent = process.parent()
    return parent is not None and "pyspark.daemon" in " ".join(parent.cmdline())


PARTS = {"speed": speed, "memory": memory}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--config", default="conf/ga.yaml")
    arguments = parser.parse_args()
    settings = load_settings(arguments.config)
    for part in arguments.parts:
        save_result("inference", part, PARTS[part](settings))


if __name__ == "__main__":
    main()
