"""Pretrain an encoder on the texts of the examples."""

import json
import logging
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from transformers import AutoTokenizer

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.features.tokens import add_tokens
from profile_lib.features.vocabulary import train_wordpiece
from profile_lib.files import atomic_folder, explain_full_disk
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.pipelines.training_checkpoints import remove_training
from profile_lib.pipelines.training_launch import run_on_processes, shared_job_arguments
from profile_lib.pipelines.training_plan import make_plan
from profile_lib.pipelines.training_progress import log_training_progress
from profile_lib.pipelines.training_rows import read_examples_until
from profile_lib.tables.features import NUMERIC_FEATURES
from profile_lib.training.data.snapshot import load_snapshot, write_snapshot
from profile_lib.training.distributed.rank_job import INITIAL_MODEL
from profile_lib.training.plan import Augmentation, TrainingPlan, Tuning
from profile_lib.training.pretrain import (
    ENCODER_FOLDER,
    PretrainJob,
    create_encoder,
    load_masked_language_model,
)
from profile_lib.training.training_lock import lock_training_name

log = logging.getLogger(__name__)

ENCODER_SHAPE_FIELDS = {
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
}


def run(store: Store, settings: Settings, day: date | None = None, resume: bool = False) -> None:
    """Pretrain an encoder on the texts of the train split.

    It writes the encoder to the folder `pretrain.name` in `paths.models`, which `model.encoder` may
    name. An encoder trained from scratch has its own vocabulary: build the examples again with it.
    `day` leaves out examples with a cutoff after the end of that day; `resume` continues from the
    last checkpoint. Raises InputError as `FitJob.run` and `run_with_retries` do, and if the sizes
    of a new encoder do not fit each other.
    """
    pretrain = settings.pretrain
    models, work = settings.paths.models, settings.paths.work
    folder = Path(work) / f"train_{pretrain.name}"
    with lock_training_name(pretrain.name, models, work), explain_full_disk(work):
        if not resume:
            remove_training(store.spark, settings, folder)
            prepare_pretraining(read_examples_until(store, day), settings, folder)
        snapshot = load_snapshot(str(folder / "snapshot"))
        shared = shared_job_arguments(store.spark, settings, folder, snapshot, resume)
        weights = (pretrain.words_weight, pretrain.views_weight)
        job = PretrainJob(
            plan=make_pretrain_plan(settings),
            mask_share=pretrain.mask_share,
            **shared | {"weights": weights},
        )
        outcome = run_on_processes(store.spark, settings, job, log_training_progress)
        target = Path(models) / pretrain.name
        with explain_full_disk(str(target)):
            history = {"epochs": outcome.epochs, "curve": outcome.curve}
            encoder = folder / ENCODER_FOLDER
            (encoder / "training.json").write_text(json.dumps(history), encoding="utf-8")
            with atomic_folder(target) as fresh:
                shutil.copytree(encoder, fresh, dirs_exist_ok=True)
    before, after = (outcome.epochs[i]["validation"]["perplexity"] for i in (0, -1))
    log.info(f"{target}: perplexity of masked words {before:,.1f} before, {after:,.1f} after")


def prepare_pretraining(examples: DataFrame, settings: Settings, folder: Path) -> None:
    """Write the snapshot of texts and the initial encoder to `folder`."""
    pretrain, training = settings.pretrain, settings.training
    initial_model = str(folder / INITIAL_MODEL)
    model: Any
    if pretrain.from_scratch:
        texts = examples.where("split = 'train'").select("text")
        tokenizer = train_wordpiece(texts, pretrain.vocabulary, pretrain.vocabulary_texts)
        model = create_encoder(
            tokenizer, pretrain.model_dump(include=ENCODER_SHAPE_FIELDS), training.seed
        )
    else:
        encoder = encoder_folder(settings.model.encoder)
        tokenizer = AutoTokenizer.from_pretrained(encoder)
        model = load_masked_language_model(encoder)
    model.save_pretrained(initial_model)
    tokenizer.save_pretrained(initial_model)
    (folder / "snapshot").mkdir()
    if pretrain.from_scratch:
        texts = examples.drop("token_ids", "n_tokens")
        examples = add_tokens(texts, initial_model, settings.examples.max_tokens)
    write_snapshot(
        examples,
        str(folder / "snapshot"),
        [],
        n_numeric=len(NUMERIC_FEATURES),
        shards=training.shards,
        rows_per_group=training.rows_per_group,
        evaluation_rows=training.evaluation_rows,
    )


def make_pretrain_plan(settings: Settings) -> TrainingPlan:
    """Return the plan of `training`, in which settings of `pretrain` replace those they name."""
    pretrain = settings.pretrain
    return replace(
        make_plan(settings),
        epochs=pretrain.epochs,
        batch_size=pretrain.batch_size,
        encoder_lr=pretrain.lr,
        head_lr=pretrain.lr,
        tuning=Tuning("all"),
        augmentation=Augmentation(**pretrain.augmentation.model_dump()),
    )
