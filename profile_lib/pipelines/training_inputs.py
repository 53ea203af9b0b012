"""Write the snapshot and the initial model of a training to its folder."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from profile_lib.config.settings import Settings
from profile_lib.errors import InputError
from profile_lib.model.checkpoint import save_model
from profile_lib.pipelines.training_rows import RowSchema, example_row_schema
from profile_lib.training.data.numeric_statistics import compute_numeric_statistics
from profile_lib.training.data.snapshot import Snapshot, write_snapshot
from profile_lib.training.data.task_labels import LabelledTask
from profile_lib.training.distributed.rank_job import INITIAL_MODEL
from profile_lib.training.initial_model import build_initial_model
from profile_lib.training.training_record import flatten

FIXED_SETTINGS_FILE = "settings.json"  # in the folder of the initial model
MODEL_SHAPE_FIELDS = {
    "encoder_layers", "numeric_bins", "numeric_hidden", "joined_size", "dropout", "encoder_dropout"
}  # fmt: skip


def prepare_snapshot(
    examples: DataFrame, settings: Settings, folder: Path, rows: RowSchema | None = None
) -> Snapshot:
    """Write the snapshot of the examples to `folder`. Raises InputError as `write_snapshot`.

    `rows` describes them; None stands for the table of examples.
    """
    training, model = settings.training, settings.model
    rows = rows or example_row_schema()
    (folder / "snapshot").mkdir(parents=True)
    return write_snapshot(
        examples,
        str(folder / "snapshot"),
        [LabelledTask(**task.model_dump()) for task in model.tasks],
        n_numeric=len(rows.numeric),
        shards=training.shards,
        rows_per_group=training.rows_per_group,
        evaluation_rows=training.evaluation_rows,
        categorical=rows.categories,
        segments=rows.segments,
        with_text=model.text,
        key=rows.key,
        request=rows.request,
    )


def prepare_initial_model(
    spark: SparkSession,
    snapshot: Snapshot,
    settings: Settings,
    folder: Path,
    encoder: str,
    versions: dict[str, int],
    rows: RowSchema | None = None,
) -> None:
    """Write the model that the training starts from to `folder`.

    `versions` are those of the tables that the examples come from; `rows` is that of the snapshot.
    Raises InputError if `encoder` has fewer layers or reads fewer tokens than the settings need.
    """
    model = settings.model
    rows = rows or example_row_schema()
    train_rows = spark.read.parquet(snapshot.split("train"))
    names = rows.numeric if model.numbers else ()
    statistics = compute_numeric_statistics(train_rows, names, model.numeric_bins)
    initial = build_initial_model(
        encoder if model.text else None,
        snapshot,
        statistics,
        snapshot.categories if model.numbers else (),
        n_vector_numbers=rows.n_vector_numbers,
        seed=settings.training.seed,
        **model.model_dump(include=MODEL_SHAPE_FIELDS),
    )
    files = {
        "numbers.json": [asdict(number) for number in statistics],
        FIXED_SETTINGS_FILE: fixed_settings(settings),
    }
    save_model(str(folder / INITIAL_MODEL), initial, encoder, {}, versions, files)


def fixed_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that a training's snapshot and initial model depend on."""
    training = settings.training.model_dump(include={"rows_per_group", "evaluation_rows"})
    return {"model": settings.model.model_dump(mode="json"), "training": training}


def check_fixed_settings(expected_settings: dict[str, Any], folder: Path) -> None:
    """Raise InputError unless a training with the `expected_settings` was begun in `folder`."""
    path = folder / INITIAL_MODEL / FIXED_SETTINGS_FILE
    if not path.is_file():
        raise InputError(f"{folder}: no training was begun here; train without --resume")
    stored = flatten(json.loads(path.read_text(encoding="utf-8")))
    expected = flatten(expected_settings)
    if changed := [
        f"{key} was {stored.get(key)}, is {value}"
        for key, value in expected.items()
        if stored.get(key) != value
    ]:
        raise InputError(
            f"{folder}: begun with other settings: {'; '.join(changed)}. Train without --resume, "
            "or with the settings it was begun with"
        )
