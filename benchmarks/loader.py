"""Compare the training loader with Petastorm's make_reader.

    python -m benchmarks.loader --config conf/ga.yaml

Reads the table `examples` of the settings (run the jobs up to build_examples first). Writes
benchmarks/results/loader.json.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from petastorm import make_reader
from petastorm.codecs import NdarrayCodec, ScalarCodec
from petastorm.etl.dataset_metadata import materialize_dataset
from petastorm.unischema import Unischema, UnischemaField, dict_to_spark_row
from pyspark.sql import DataFrame
from pyspark.sql.types import FloatType, IntegerType, LongType

from benchmarks.measure import make_parser, save_result, summarise_ratios, summarise_repeats
from benchmarks.prepared_training import PreparedTraining, prepare_training
from profile_lib.training.distributed.process_group import SingleProcess

REPEATS = 5
ROWS = 60_000  # rows that both loaders read
TARGET_RATIO = 20.0


def measure_loader(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure rows per second, ready as batches, of both loaders."""
    warnings.filterwarnings("ignore", module="petastorm")
    with tempfile.TemporaryDirectory() as folder:
        training = prepare_training(arguments, folder, ROWS)
        dataset = (Path(folder) / "petastorm").as_uri()
        write_petastorm_dataset(training, dataset)
        n, rates, reader_rates = training.snapshot.rows["train"], [], []
        for repeat in range(REPEATS):
            loader = training.job(1).make_loader("train", SingleProcess(), 0)
            rates.append(n / time_iteration(loader.batches(32, (repeat,), with_text=True)))
            with make_reader(dataset, num_epochs=1, reader_pool_type="dummy") as reader:
                reader_rates.append(n / time_iteration(iter(reader)))
    return {
        "rows": n,
        "loader_per_second": summarise_repeats(rates),
        "make_reader_per_second": summarise_repeats(reader_rates),
        "ratio": summarise_ratios(rates, reader_rates),
        "target_ratio": TARGET_RATIO,
    }


def write_petastorm_dataset(training: PreparedTraining, target: str) -> None:
    """Write the snapshot's train rows as a Petastorm dataset."""
    rows = training.spark.read.parquet(training.snapshot.split("train"))
    schema = example_schema(rows, training.snapshot.max_tokens)
    kinds = {"token_ids": np.int32, "numeric": np.float32, "labels": np.float32}
    scalars = {"n_tokens": np.int32, "weight": np.float32, "row_hash": np.int64}

    def encode(row: Any) -> Any:
        arrays = {name: np.array(row[name], kind) for name, kind in kinds.items()}
        return dict_to_spark_row(
            schema, arrays | {name: kind(row[name]) for name, kind in scalars.items()}
        )

    with materialize_dataset(training.spark, target, schema, 16):
        encoded = training.spark.createDataFrame(rows.rdd.map(encode), schema.as_spark_schema())
        encoded.write.parquet(target)


def example_schema(rows: DataFrame, max_tokens: int) -> Unischema:
    """The Petastorm schema of a snapshot's rows."""
    first = rows.first()
    assert first is not None
    return Unischema(
        "Examples",
        [
            UnischemaField("token_ids", np.int32, (max_tokens,), NdarrayCodec(), False),
            UnischemaField("n_tokens", np.int32, (), ScalarCodec(IntegerType()), False),
            UnischemaField("numeric", np.float32, (len(first["numeric"]),), NdarrayCodec(), False),
            UnischemaField("labels", np.float32, (len(first["labels"]),), NdarrayCodec(), False),
            UnischemaField("weight", np.float32, (), ScalarCodec(FloatType()), False),
            UnischemaField("row_hash", np.int64, (), ScalarCodec(LongType()), False),
        ],
    )


def time_iteration(items: Iterator[Any]) -> float:
    """Seconds to consume an iterator."""
    start = time.monotonic()
    for _ in items:
        continue
    return time.monotonic() - start


if __name__ == "__main__":
    save_result("loader", "loader", measure_loader(make_parser(__doc__).parse_args()))
