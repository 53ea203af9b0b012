"""Compare fine-tuning from a pretrained encoder with fine-tuning from the original one.

    python -m benchmarks.pretraining --config conf/ga.yaml

Draws rows of the settings' table `examples`, pretrains on their masked words, and fine-tunes a
model of the text alone from both encoders on the same budget. Writes
benchmarks/results/pretraining.json.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks.measure import make_parser, path_overrides, save_result, summarise_repeats
from profile_lib.config.settings import Settings, load_settings, with_values
from profile_lib.delta.store import Store
from profile_lib.pipelines import pretrain_encoder, train_model
from profile_lib.spark.session import start_spark
from profile_lib.tables import EXAMPLES

ROWS = {"train": 12_000, "validation": 2_000, "test": 8_000}
SEEDS = (13, 14)
METRICS = {
    "buys_roc_auc": ("buys", "roc_auc"),
    "buys_pr_auc": ("buys", "pr_auc"),
    "next_category_accuracy": ("next_category", "accuracy"),
}
TEXT_ONLY = {
    "model.numbers": False, "training.numeric_epochs": 0, "training.epochs": 1,
    "training.negative_downsampling_rate": 1.0, "training.ablations": {}, "tracking.uri": None,
}  # fmt: skip


def sample_examples(examples: DataFrame) -> DataFrame:
    """Draw at most ROWS of each split by a hash."""
    order = F.xxhash64("user_id", "cutoff_ts")
    parts = [examples.where(F.col("split") == s).orderBy(order).limit(n) for s, n in ROWS.items()]
    return parts[0].unionByName(parts[1]).unionByName(parts[2])


def train_and_measure(store: Store, settings: Settings, name: str, changes: dict[str, Any]) -> Any:
    """Train under `changes`; return each task's metrics on the test rows."""
    changed = with_values(settings, {**changes, "training.name": name})
    train_model.run(store, changed)
    report = json.loads(Path(changed.paths.models, name, "report.json").read_text())
    return {task: entry["model"] for task, entry in report["tasks"].items()}


def compare_encoders(arguments: argparse.Namespace) -> dict[str, Any]:
    """Pretrain once, then fine-tune from both encoders with each seed."""
    settings = load_settings(arguments.config, arguments.set)
    spark = start_spark(settings.spark, "benchmark")
    examples = Store(spark, settings.paths.tables, settings.paths.identity).read(EXAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        overrides = [*arguments.set, *path_overrides(Path(folder))]
        settings = with_values(load_settings(arguments.config, overrides), TEXT_ONLY)
        store = Store(spark, settings.paths.tables, settings.paths.identity)
        store.replace(EXAMPLES, sample_examples(examples))
        start = time.monotonic()
        pretrain_encoder.run(store, settings)
        seconds = time.monotonic() - start
        target = Path(settings.paths.models, settings.pretrain.name)
        epochs = json.loads((target / "training.json").read_text())["epochs"]
        encoders = {"original_encoder": {}, "pretrained_encoder": {"model.encoder": str(target)}}
        measured: dict[str, list[Any]] = {name: [] for name in encoders}
        for seed in SEEDS:
            for name, changes in encoders.items():
                seeded = {**changes, "training.seed": seed}
                measured[name].append(train_and_measure(store, settings, f"{name}_{seed}", seeded))
    perplexities = [round(epoch["validation"]["perplexity"], 2) for epoch in epochs]
    return {
        "rows": ROWS,
        "pretraining_seconds": round(seconds),
        "perplexity": {"before": perplexities[0], "after": perplexities[-1]},
        **{
            encoder: {
                name: summarise_repeats([run[task][metric] for run in runs])
                for name, (task, metric) in METRICS.items()
            }
            for encoder, runs in measured.items()
        },
    }


if __name__ == "__main__":
    save_result("pretraining", "pretraining", compare_encoders(make_parser(__doc__).parse_args()))
