"""examples and a model → a student with fewer layers and one with fewer heads, beside it."""

import json
import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from jobs.command import main
from jobs.fitting import (
    BEGUN_WITH,
    NAMES,
    Fitted,
    begun_with,
    check_begun_with,
    examples_until,
    for_ranks,
    forget_checkpoints,
    forget_training,
    launched,
    plan_of,
    prepare_snapshot,
    print_progress,
)
from jobs.quantizing import check_quantization, make_int8
from jobs.saving import save_fitted
from profile_lib.config import Settings, with_values
from profile_lib.errors import InputError
from profile_lib.model.about import About, read_about
from profile_lib.model.checkpoint import load_model, save_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.pruning import most_important, n_pruned
from profile_lib.model.smaller import pruned_of, spaced_layers, student_of
from profile_lib.model.spec import HeadsLeft
from profile_lib.store import Store
from profile_lib.tables import EXAMPLES
from profile_lib.tracking import Tracker
from profile_lib.training.compression import (
    Compared,
    Table,
    compare,
    compression_lines,
    compression_table,
    interest_vectors,
    rates,
    read_texts,
)
from profile_lib.training.distil import DistilJob, Teaching, as_taught
from profile_lib.training.evaluate import measure_alone, read_users
from profile_lib.training.fit import AnswerJob, load_fitted
from profile_lib.training.folders import told_when_full
from profile_lib.training.head_importance import head_importance
from profile_lib.training.launch import check_division
from profile_lib.training.lock import only_training
from profile_lib.training.objectives import Supervised
from profile_lib.training.rank import START, Outcome, device_of
from profile_lib.training.ranks import Alone
from profile_lib.training.snapshot import Snapshot, load_snapshot

TEACHER, STUDENT, PRUNED = "teacher", "student", "pruned"
TEACHING = set(Teaching.__dataclass_fields__)
MADE_WITH = {"student_layers", "pruned_share", "importance_rows", "negatives_kept"}


def run(store: Store, settings: Settings, day: date | None, resume: bool = False) -> None:
    """Make both of the model training.name, on all examples, or on those with a cutoff up to the
    end of `day`, and measure all three on the test split.

    `resume` goes on from the last checkpoint. Raises InputError where the model is missing, reads
    no text, has too few layers or heads for what is asked, or was trained on other examples.
    """
    given, names = compress_settings(settings), names_of(settings)
    training, models, work = given.training, given.paths.models, given.paths.work
    check_division(
        training.batch_size, training.numeric_batch_size, training.shards, training.ranks
    )
    check_quantization(given)
    about = read_about(f"{models}/{training.name}")
    check_teacher(about, given)
    folder = Path(work) / f"train_{names[STUDENT]}"
    tracker = Tracker.of(given.tracking.model_dump())
    with (
        only_training(names[STUDENT], models, work),
        only_training(names[PRUNED], models, work),
        told_when_full(work),
    ):
        if resume:
            check_begun_with(made_with(given, about), folder / PRUNED)
        else:
            prepare(store, given, day, folder, about)
        snapshot = as_taught(load_snapshot(str(folder / "snapshot")), about.spec, NAMES)
        fitted = fit_all(store.spark, given, folder, snapshot, resume)
        table = measure_all(given, snapshot, fitted, names)
        told = given.model_dump(include={"examples", "model", "training", "compress"})
        for kind, files in ((PRUNED, {}), (STUDENT, {"compression.json": table})):
            int8 = make_int8(store.spark, given, folder / kind, snapshot, fitted[kind])
            save_fitted(
                models, tracker, names[kind], fitted[kind], folder / kind / START,
                told=told, sections={}, files=files, folders=int8,
            )  # fmt: skip
    print("\n".join(compression_lines(table)))


def compress_settings(settings: Settings) -> Settings:
    """The training's settings with what is the compression's own."""
    own = settings.compress
    chosen = own.model_dump(include={"epochs", "negatives_kept", "evaluation_rows"})
    chosen |= dict.fromkeys(("encoder_lr", "head_lr", "numbers_lr"), own.lr)
    changes = {f"training.{key}": value for key, value in chosen.items()}
    return with_values(settings, {**changes, "training.tuning.method": "all", "model.text": True})


def names_of(settings: Settings) -> dict[str, str]:
    """What each model is called. Raises InputError where two would be called the same."""
    own = settings.compress
    names = {TEACHER: settings.training.name, STUDENT: own.student_name, PRUNED: own.pruned_name}
    if len(set(names.values())) < len(names):
        told = ", ".join(f"{kind} {name}" for kind, name in names.items())
        raise InputError(
            f"compress: {told}; wanted three names: change compress.student_name or "
            "compress.pruned_name"
        )
    return names


def check_teacher(about: About, settings: Settings) -> None:
    """Raise InputError where nothing smaller can be made of the model as asked."""
    spec, own = about.spec, settings.compress
    if spec.bert is None:
        raise InputError(
            f"{about.model_version}: reads no text, so it has no encoder to make smaller; wanted a "
            "model trained with model.text=true"
        )
    spaced_layers(len(spec.heads), own.student_layers)
    n_pruned([len(heads) for heads in spec.heads], own.pruned_share)


def made_with(settings: Settings, teacher: About) -> dict[str, Any]:
    """What both models' starts and the snapshot were made by."""
    made = settings.compress.model_dump(include=MADE_WITH)
    return {"teacher": teacher.model_version, "compress": made, **begun_with(settings)}


def prepare(store: Store, given: Settings, day: date | None, folder: Path, about: About) -> None:
    """Write the teacher, the examples as ranks read them, and both models' starts to `folder`."""
    forget_training(store.spark, given, folder)
    for kind in (STUDENT, PRUNED):
        forget_checkpoints(store.spark, given, folder / kind)
    source = folder / TEACHER / START
    shutil.copytree(f"{given.paths.models}/{given.training.name}", source)
    teacher, spec, _ = load_model(str(source))
    examples, versions = examples_until(store, day), {EXAMPLES.name: store.version(EXAMPLES)}
    snapshot = as_taught(prepare_snapshot(examples, given, folder), spec, NAMES)
    starts = {
        STUDENT: student_of(teacher, given.compress.student_layers),
        PRUNED: pruned_of(teacher, heads_to_keep(store.spark, given, folder, snapshot, teacher)),
    }
    numbers = json.loads((source / "numbers.json").read_text(encoding="utf-8"))
    told = {"numbers.json": numbers, BEGUN_WITH: made_with(given, about)}
    for kind, model in starts.items():
        save_model(str(folder / kind / START), model, str(source), {}, versions, told)


def heads_to_keep(
    spark: SparkSession, given: Settings, folder: Path, snapshot: Snapshot, teacher: ProfileModel
) -> HeadsLeft:
    """Those that matter most to the training's loss on compress.importance_rows of the train split,
    here: a few batches need no ranks."""
    plan, own, alone = plan_of(given), given.compress, Alone()
    shared = for_ranks(spark, given, folder / TEACHER, snapshot, False)
    feed = AnswerJob(plan=plan, **shared).feed("train", alone, teacher.spec.pad_id)
    size, kept = plan.batch_size, plan.negatives_kept
    batches = feed.batches(size, (plan.seed,), with_text=True, kept=kept)
    few = islice(batches, math.ceil(own.importance_rows / size))
    objective = Supervised(snapshot.tasks, shared["weights"], plan, None)
    found = head_importance(teacher, objective, few, device_of(alone))
    return most_important(found, own.pruned_share)


def fit_all(
    spark: SparkSession, given: Settings, folder: Path, snapshot: Snapshot, resume: bool
) -> dict[str, Fitted]:
    """Ask the teacher, then fit the student and the pruned model to what it says."""
    own, tasks, training = given.compress, snapshot.tasks, given.training
    shared = for_ranks(spark, given, folder / TEACHER, snapshot, resume)
    said = launched(spark, given, AnswerJob(plan=plan_of(given), **shared), print_progress)
    teacher, _, _ = load_model(str(folder / TEACHER / START))
    fitted = {TEACHER: Fitted(teacher, said, measure_alone(tasks, said.predictions))}
    users = read_users(snapshot.folder)
    for kind, epochs in ((STUDENT, own.epochs), (PRUNED, own.recovery_epochs)):
        print(f"  {kind}", flush=True)
        outcome = distil(spark, given, folder / kind, snapshot, epochs, resume)
        both = outcome.predictions, said.predictions
        report = compare(tasks, *both, users, training.seed, training.bootstrap_resamples)
        fitted[kind] = Fitted(load_fitted(str(folder / kind)), outcome, report)
    return fitted


def distil(
    spark: SparkSession,
    given: Settings,
    folder: Path,
    snapshot: Snapshot,
    epochs: int,
    resume: bool,
) -> Outcome:
    """Fit what lies in `folder` to its tasks and to what the teacher beside it says."""
    job = DistilJob(
        plan=replace(plan_of(given), epochs=epochs),
        teacher=str(folder.parent / TEACHER / START),
        teaching=Teaching(**given.compress.model_dump(include=TEACHING)),
        **for_ranks(spark, given, folder, snapshot, resume),
    )
    return launched(spark, given, job, print_progress)


def measure_all(
    given: Settings, snapshot: Snapshot, fitted: Mapping[str, Fitted], names: Mapping[str, str]
) -> Table:
    """The table of all models, their speed measured in this process on the same test texts."""
    own, device = given.compress, device_of(Alone())
    texts = read_texts(snapshot.split("test"), own.speed_rows)
    passes = {
        kind: partial(
            interest_vectors, of.model.to(device), texts, given.refresh.batch_tokens, device
        )
        for kind, of in fitted.items()
    }
    speeds = rates(passes, len(texts.n_tokens), own.speed_repeats, time.perf_counter)
    return compression_table(
        {
            kind: Compared(names[kind], of.model, of.report, passes[kind](), speeds[kind])
            for kind, of in fitted.items()
        }
    )


if __name__ == "__main__":
    main("compress_model", run, __doc__, {"resume": "go on from the last checkpoint"})
