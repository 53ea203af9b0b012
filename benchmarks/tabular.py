"""Models of numbers and categories alone, on public data: who buys in a visit, who is how old.

    python benchmarks/tabular.py shoppers journey --data FOLDER

FOLDER holds online_shoppers_intention/ and complete_journey/ as they are downloaded. Writes
benchmarks/results/tabular.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import save_result
from pyspark.sql import Window
from pyspark.sql import functions as F

from profile_lib.config.settings import load_settings, with_values
from profile_lib.model.checkpoint import save_model
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.pipelines.model_training import fit
from profile_lib.pipelines.training_inputs import MODEL_SHAPE_FIELDS
from profile_lib.spark.session import start_spark
from profile_lib.training.data.numeric_statistics import compute_numeric_statistics
from profile_lib.training.data.snapshot import write_snapshot
from profile_lib.training.data.task_labels import LabelledTask
from profile_lib.training.distributed.rank_job import INITIAL_MODEL
from profile_lib.training.initial_model import build_initial_model

CATEGORIES = (
    "Month", "OperatingSystems", "Browser", "Region", "TrafficType", "VisitorType", "Weekend"
)  # fmt: skip
JOBS = ("ingest_events", "build_behaviour", "build_examples", "train_model")


def shoppers(arguments: argparse.Namespace) -> dict[str, Any]:
    """Whether a visit ends in a purchase: one row a visit, no text, no user, no time."""
    (file,) = Path(arguments.data, "online_shoppers_intention").glob("*.csv*")
    settings = with_values(
        load_settings("base"),
        {"model.text": False, "training.n_processes": 1, "training.numeric_epochs": 20,
         "model.tasks": [{"name": "buys", "label": "buys", "kind": "binary", "weight": 1.0}]},
    )  # fmt: skip
    spark = start_spark(settings.spark, "benchmark")
    rows = spark.read.csv(str(file), header=True)
    numbers = tuple(c for c in rows.columns if c not in (*CATEGORIES, "Revenue"))
    place = Window.orderBy(F.xxhash64(*rows.columns), *rows.columns)
    draw = F.row_number().over(place) % 10  # the rows have no key and no time
    split = F.when(draw < 6, "train").when(draw < 8, "validation").otherwise("test")
    examples = rows.select(
        F.row_number().over(place).alias("user_id"),
        F.lit(0).alias("cutoff_ts"),
        split.alias("split"),
        F.array(*(F.col(c).cast("double") for c in numbers)).alias("numeric"),
        *CATEGORIES,
        F.lower("Revenue").eqNullSafe("true").cast("int").alias("buys"),
        F.lit(1.0).alias("sampling_weight"),
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder, given = Path(scratch), settings.training
        snapshot = write_snapshot(
            examples, str(folder / "snapshot"),
            [LabelledTask("buys", "buys", "binary", 1.0)],
            n_numeric=len(numbers), shards=given.shards, rows_per_group=given.rows_per_group,
            evaluation_rows=given.evaluation_rows, categorical=CATEGORIES,
            segments=("VisitorType",), with_text=False,
        )  # fmt: skip
        statistics = compute_numeric_statistics(
            spark.read.parquet(snapshot.split("train")), numbers, settings.model.numeric_bins
        )
        model = build_initial_model(
            None, snapshot, statistics, snapshot.categories,
            seed=given.seed, **settings.model.model_dump(include=MODEL_SHAPE_FIELDS),
        )  # fmt: skip
        save_model(str(folder / INITIAL_MODEL), model, encoder_folder("default"), {}, {})
        began = time.monotonic()
        fitted = fit(spark, settings, folder, snapshot, lambda entry: None)
        return {"seconds": round(time.monotonic() - began, 1)} | without_details(fitted.report)


def journey(arguments: argparse.Namespace) -> dict[str, Any]:
    """Age and income bands of households that the model was not shown in training."""
    raw = Path(arguments.data, "complete_journey").absolute()
    with tempfile.TemporaryDirectory() as folder:
        changes = [f"paths.{name}={folder}/{name}" for name in ("tables", "models", "work")]
        files = {"events": "transactions_sample", "products": "products",
                 "demographics": "demographics"}  # fmt: skip
        changes += [f"ingest.inputs.{k}={raw}/{name}.csv.gz" for k, name in files.items()]
        changes += ["tracking.uri=null"]
        sets = [part for change in changes for part in ("--set", change)]
        began = time.monotonic()
        for job in JOBS:
            command = [sys.executable, f"jobs/{job}.py", "--config", "conf/complete_journey.yaml"]
            subprocess.run([*command, *sets], check=True)
        seconds = round(time.monotonic() - began, 1)
        report = json.loads((Path(folder) / "models" / "profiles" / "report.json").read_text())
        return {"seconds_from_files": seconds} | without_details(report["tasks"])


def without_details(report: dict[str, Any]) -> dict[str, Any]:
    """The measures without bins and curves."""
    left_out = ("calibration", "classification_report", "curves")
    return {
        task: {key: value for key, value in entry.items() if key not in left_out}
        for task, entry in report.items()
    }


PARTS = {part.__name__: part for part in (shoppers, journey)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--data", required=True, help="the folder of both data sets")
    chosen = parser.parse_args()
    for part in chosen.parts:
        save_result("tabular", part, PARTS[part](chosen))
