"""examples → a model: fitted on as many ranks as asked, tested beside its baselines."""

import shutil
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F
from safetensors.torch import load_file

from jobs.command import main
from profile_lib.config import Settings
from profile_lib.encoders import encoder_folder
from profile_lib.model.checkpoint import save_model
from profile_lib.store import Store
from profile_lib.tables import EXAMPLES, NUMERIC_FEATURES
from profile_lib.training.baselines import read_numbers
from profile_lib.training.distribute import check_division, train
from profile_lib.training.evaluate import evaluate, report_lines
from profile_lib.training.plan import Plan
from profile_lib.training.rank import FITTED, START, RankJob
from profile_lib.training.snapshot import LabelledTask, write_snapshot
from profile_lib.training.start import start_model
from profile_lib.training.statistics import number_statistics

NAMES = tuple(column.name for column in NUMERIC_FEATURES)
SHAPE = {"encoder_layers", "numeric_bins", "numeric_hidden", "joined_size", "dropout"}
PLAN = set(Plan.__dataclass_fields__) - {"task_weights"}


def run(store: Store, settings: Settings, day: date | None) -> None:
    """Train on all examples, or on those with a cutoff up to the end of `day`."""
    given = settings.training
    check_division(given.batch_size, given.numeric_batch_size, given.shards, given.ranks)
    encoder = encoder_folder(settings.model.encoder)
    folder = Path(settings.paths.work) / f"train_{given.name}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "snapshot").mkdir(parents=True)
    tasks = [LabelledTask(**task.model_dump()) for task in settings.model.tasks]
    examples = store.read(EXAMPLES)
    version = store.version(EXAMPLES)
    if day is not None:
        examples = examples.where(F.col("cutoff_ts") < F.lit(day + timedelta(days=1)))
    snapshot = write_snapshot(
        examples,
        str(folder / "snapshot"),
        tasks,
        n_numeric=len(NAMES),
        shards=given.shards,
        rows_a_group=given.rows_a_group,
        evaluation_rows=given.evaluation_rows,
    )
    train_rows = store.spark.read.parquet(snapshot.split("train"))
    numbers = number_statistics(train_rows, NAMES, settings.model.numeric_bins)
    model, pad_id = start_model(
        encoder,
        snapshot,
        tasks,
        numbers,
        seed=given.seed,
        **settings.model.model_dump(include=SHAPE),
    )
    save_model(str(folder / START), model, encoder, model.spec, {}, {})
    plan = Plan(**given.model_dump(include=PLAN), task_weights=tuple(task.weight for task in tasks))
    job = RankJob(
        str(folder), snapshot, plan, given.shards, given.window, given.threads_a_rank, pad_id
    )
    outcome = train(store.spark, job, given.ranks, print_progress)
    report = evaluate(
        model.spec.tasks,
        next((task.name for task in tasks if task.label == "next_category"), None),
        outcome.predictions,
        read_numbers(snapshot.split("train"), given.baseline_rows),
        read_numbers(snapshot.split("test"), snapshot.rows["test"]),
        given.seed,
    )
    model.load_state_dict(load_file(folder / FITTED))
    about = save_model(
        f"{settings.paths.models}/{given.name}",
        model,
        encoder,
        model.spec,
        report,
        {EXAMPLES.name: version},
        {
            "numbers.json": [asdict(of) for of in numbers],
            "report.json": report,
            "training.json": {"epochs": outcome.epochs, "curve": outcome.curve},
        },
    )
    print(f"{about.model_version}: on the test examples")
    print("\n".join(report_lines(report)))


def print_progress(entry: dict[str, Any]) -> None:
    """One line of progress; values of validation after a colon."""
    told = dict(entry)
    for name, value in told.pop("validation", {}).items():
        told[f"validation {name}"] = round(value, 4)
    print("  " + ", ".join(f"{name} {value}" for name, value in told.items()), flush=True)


if __name__ == "__main__":
    main("train_model", run, __doc__)
