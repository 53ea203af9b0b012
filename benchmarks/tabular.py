"""Measure models of numbers and categories alone on public data.

    python -m benchmarks.tabular shoppers journey --data FOLDER

`shoppers` predicts whether a visit ends in a purchase, `journey` the age and income band of a
household. FOLDER holds online_shoppers_intention/ and complete_journey/ as they are downloaded.
Writes benchmarks/results/tabular.json.
"""

import argparse
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from benchmarks.measure import (
    job_command,
    path_overrides,
    read_report_summary,
    run_parts,
    summarise_report,
)
from profile_lib.config.settings import Settings, load_settings, with_values
from profile_lib.model.checkpoint import save_model
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.pipelines.model_training import fit
from profile_lib.pipelines.training_inputs import MODEL_SHAPE_FIELDS
from profile_lib.spark.session import start_spark
from profile_lib.training.data.numeric_statistics import compute_numeric_statistics
from profile_lib.training.data.snapshot import Snapshot, write_snapshot
from profile_lib.training.data.task_labels import LabelledTask
from profile_lib.training.distributed.rank_job import INITIAL_MODEL
from profile_lib.training.initial_model import build_initial_model

CATEGORIES = (
    "Month", "OperatingSystems", "Browser", "Region", "TrafficType", "VisitorType", "Weekend"
)  # fmt: skip
JOBS = ("ingest_events", "build_behaviour", "build_examples", "train_model")


def shoppers(arguments: argparse.Namespace) -> dict[str, Any]:
    """Predict whether a visit ends in a purchase: one row per visit, no text, user or time."""
    (file,) = Path(arguments.data, "online_shoppers_intention").glob("*.csv*")
    settings = with_values(
        load_settings("base"),
        {"model.text": False, "training.n_processes": 1, "training.numeric_epochs": 20,
         "model.tasks": [{"name": "buys", "label": "buys", "kind": "binary", "weight": 1.0}]},
    )  # fmt: skip
    spark = start_spark(settings.spark, "benchmark")
    rows = spark.read.csv(str(file), header=True)
    numbers = tuple(c for c in rows.columns if c not in (*CATEGORIES, "Revenue"))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        snapshot = write_visits(visit_examples(rows, numbers), settings, folder, len(numbers))
        statistics = compute_numeric_statistics(
            spark.read.parquet(snapshot.split("train")), numbers, settings.model.numeric_bins
        )
        model = build_initial_model(
            None, snapshot, statistics, snapshot.categories,
            seed=settings.training.seed, **settings.model.model_dump(include=MODEL_SHAPE_FIELDS),
        )  # fmt: skip
        save_model(str(folder / INITIAL_MODEL), model, encoder_folder("default"), {}, {})
        start = time.monotonic()
        fitted = fit(spark, settings, folder, snapshot, lambda entry: None)
        seconds = round(time.monotonic() - start, 1)
    return {"seconds": seconds, "test": summarise_report(fitted.report)}


def visit_examples(rows: DataFrame, numbers: tuple[str, ...]) -> DataFrame:
    """Examples of visits, split by a hash of the row: visits have neither key nor time."""
    number = F.row_number().over(Window.orderBy(F.xxhash64(*rows.columns), *rows.columns))
    tenth = number % 10
    split = F.when(tenth < 6, "train").when(tenth < 8, "validation").otherwise("test")
    return rows.select(
        number.alias("user_id"),
        F.lit(0).alias("cutoff_ts"),
        split.alias("split"),
        F.array(*(F.col(c).cast("double") for c in numbers)).alias("numeric"),
        *CATEGORIES,
        F.lower("Revenue").eqNullSafe("true").cast("int").alias("buys"),
        F.lit(1.0).alias("sampling_weight"),
    )


def write_visits(examples: DataFrame, settings: Settings, folder: Path, n_numeric: int) -> Snapshot:
    """Write the examples as a snapshot of numbers and categories."""
    training = settings.training
    return write_snapshot(
        examples, str(folder / "snapshot"),
        [LabelledTask("buys", "buys", "binary", 1.0)],
        n_numeric=n_numeric, shards=training.shards, rows_per_group=training.rows_per_group,
        evaluation_rows=training.evaluation_rows, categorical=CATEGORIES,
        segments=("VisitorType",), with_text=False,
    )  # fmt: skip


def journey(arguments: argparse.Namespace) -> dict[str, Any]:
    """Predict age and income bands of households that training did not see."""
    raw = Path(arguments.data, "complete_journey").absolute()
    files = {"events": "transactions_sample", "products": "products",
             "demographics": "demographics"}  # fmt: skip
    config = "conf/complete_journey.yaml"
    with tempfile.TemporaryDirectory() as folder:
        overrides = path_overrides(Path(folder))
        overrides += [f"ingest.inputs.{k}={raw}/{name}.csv.gz" for k, name in files.items()]
        overrides += ["tracking.uri=null"]
        start = time.monotonic()
        for job in JOBS:
            subprocess.run(job_command(job, config, overrides), check=True)
        seconds = round(time.monotonic() - start, 1)
        report = read_report_summary(load_settings(config, overrides))
        return {"seconds_from_files": seconds, "test": report}


PARTS = {"shoppers": shoppers, "journey": journey}


def main() -> None:
    """Run the requested parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--data", required=True, help="the folder of both data sets")
    arguments = parser.parse_args()
    run_parts("tabular", PARTS, arguments.parts, arguments)


if __name__ == "__main__":
    main()
