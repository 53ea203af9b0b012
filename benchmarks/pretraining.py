"""What pretraining on one's own clicks is worth: masked words, then fine-tuning from both starts.

    python benchmarks/pretraining.py --config conf/ga.yaml

Reads the table `examples` of the settings and draws rows of it. Writes the part `pretraining` of
benchmarks/results/training.json: perplexity before and after, and what a model of the text alone
reaches on the same budget from the encoder as it comes and from the pretrained one.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import save_result, summarise_repeats
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings, load_settings, with_values
from profile_lib.delta.store import Store
from profile_lib.pipelines import pretrain_encoder, train_model
from profile_lib.spark.session import start_spark
from profile_lib.tables import EXAMPLES

ROWS = {"train": 12_000, "validation": 2_000, "test": 8_000}
SEEDS = (13, 14)
TEXT_ONLY = {
    "model.numbers": False, "training.numeric_epochs": 0, "training.epochs": 1,
    "training.negative_downsampling_rate": 1.0, "training.ablations": {}, "tracking.uri": None,
}  # fmt: skip


def sample_examples(examples: DataFrame) -> DataFrame:
    """At most ROWS of each split, drawn by a hash."""
    order = F.xxhash64("user_id", "cutoff_ts")
    parts = [examples.where(F.col("split") == s).orderBy(order).limit(n) for s, n in ROWS.items()]
    return parts[0].unionByName(parts[1]).unionByName(parts[2])


def train_and_measure(store: Store, settings: Settings, name: str, changes: dict[str, Any]) -> Any:
    """What each task of a model fitted under `changes` measures on the test rows."""
    chosen = with_values(settings, {**changes, "training.name": name})
    train_model.run(store, chosen)
    report = json.loads(Path(chosen.paths.models, name, "report.json").read_text())
    return {task: entry["model"] for task, entry in report["tasks"].items()}


def main(arguments: argparse.Namespace) -> None:
    """Pretrain once, fine-tune from both encoders with each seed."""
    given = load_settings(arguments.config)
    spark = start_spark(given.spark, "benchmark")
    examples = Store(spark, given.paths.tables).read(EXAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        own = {f"paths.{name}": f"{folder}/{name}" for name in ("tables", "models", "work")}
        settings = with_values(given, {**own, **TEXT_ONLY})
        store = Store(spark, settings.paths.tables)
        store.replace(EXAMPLES, sample_examples(examples))
        began = time.monotonic()
        pretrain_encoder.run(store, settings)
        seconds = time.monotonic() - began
        target = Path(settings.paths.models, settings.pretrain.name)
        epochs = json.loads((target / "training.json").read_text())["epochs"]
        starts = {"original_encoder": {}, "pretrained_encoder": {"model.encoder": str(target)}}
        found: dict[str, list[Any]] = {name: [] for name in starts}
        for seed in SEEDS:
            for name, changes in starts.items():
                seeded = {**changes, "training.seed": seed}
                found[name].append(train_and_measure(store, settings, f"{name}_{seed}", seeded))
    told = {
        name: {
            "buys_roc_auc": summarise_repeats([m["buys"]["roc_auc"] for m in of]),
            "buys_pr_auc": summarise_repeats([m["buys"]["pr_auc"] for m in of]),
            "next_category_accuracy": summarise_repeats(
                [m["next_category"]["accuracy"] for m in of]
            ),
        }
        for name, of in found.items()
    }
    perplexities = [epoch["validation"]["perplexity"] for epoch in epochs]
    about = {"rows": ROWS, "pretraining_seconds": round(seconds), "perplexity": perplexities}
    save_result("training", "pretraining", about | told)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="conf/ga.yaml")
    main(parser.parse_args())
