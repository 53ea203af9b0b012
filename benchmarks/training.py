"""Compare training with Hugging Face's Trainer, and several processes with one.

    python -m benchmarks.training trainer ranks --config conf/ga.yaml

Reads the table `examples` of the settings (run the jobs up to build_examples first). Writes
benchmarks/results/training.json.
"""

import argparse
import socket
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.optim import AdamW

from benchmarks.measure import make_parser, run_parts, summarise_ratios, summarise_repeats
from benchmarks.prepared_training import ROWS, WARM_UP_STEPS, PreparedTraining, prepare_training
from profile_lib.config.settings import load_settings
from profile_lib.model.checkpoint import load_model
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.training.data.petastorm_loader import read_shard
from profile_lib.training.distributed.process_group import SingleProcess
from profile_lib.training.distributed.rank_job import INITIAL_MODEL
from profile_lib.training.fit import FitJob
from profile_lib.training.objectives.supervised import SupervisedObjective

REPEATS = 5
PARALLEL_ROWS = 2048  # of a pass by two processes, so that each has about ROWS
LONG_TEXT_TOKENS = 128  # as many as BERT's own tasks have
TARGETS = {"trainer": 2.0, "ranks": 0.95, "ddp": 1.0, "data_wait": 0.02}


def trainer(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare with the Trainer and its defaults, on the same rows and two threads.

    The Trainer's default collator takes rows of one length, so they come padded to the limit; a
    collator that pads to the longest row of the batch is measured as well. Texts are cut where the
    settings cut them, and at LONG_TEXT_TOKENS.
    """
    max_tokens = load_settings(arguments.config, arguments.set).examples.max_tokens
    rows = {max_tokens: ROWS, LONG_TEXT_TOKENS: ROWS // 2}
    lengths = {f"{n}_tokens": compare_trainer_at_length(arguments, n, rows[n]) for n in rows}
    return lengths | {"target_ratio": TARGETS["trainer"], "target_data_wait": TARGETS["data_wait"]}


def compare_trainer_at_length(
    arguments: argparse.Namespace, max_tokens: int, n_rows: int
) -> dict[str, Any]:
    """Compare with the Trainer on texts of at most `max_tokens`."""
    with tempfile.TemporaryDirectory() as folder:
        training = prepare_training(arguments, folder, n_rows, max_tokens)
        measured, default, trimming = [], [], []
        for _ in range(REPEATS):
            measured.append(training.rate("in_process", 1, 2))
            default.append(trainer_rate(training, trims_padding=False))
            trimming.append(trainer_rate(training, trims_padding=True))
        mean_tokens = training.mean_tokens()
    rates = [m["rate"] for m in measured]
    return {
        "rows": n_rows,
        "mean_tokens": mean_tokens,
        "ratio": summarise_ratios(rates, default),
        "ratio_to_trimming": summarise_ratios(rates, trimming),
        "data_wait": summarise_repeats([m["data_wait"] for m in measured]),
    }


def trainer_rate(training: PreparedTraining, *, trims_padding: bool) -> float:
    """Examples per second of one pass of the Trainer over the snapshot's train rows."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    encoder = encoder_folder(training.settings.model.encoder)
    rows = trainer_rows(training, trims_padding=trims_padding)
    model = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=2)
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=1, use_cpu=True, report_to=[], save_strategy="no",
            logging_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        collator = None
        if trims_padding:
            collator = DataCollatorWithPadding(AutoTokenizer.from_pretrained(encoder))
        run = Trainer(model, arguments, train_dataset=rows, data_collator=collator)
        start = time.monotonic()
        run.train()
        return len(rows) / (time.monotonic() - start)


def trainer_rows(training: PreparedTraining, *, trims_padding: bool) -> list[dict[str, Any]]:
    """The snapshot's train rows in the form that the Trainer reads."""
    rows = []
    for window in read_shard(training.snapshot.split("train"), 0, 1, (0,), 4096, True):
        columns = (window["token_ids"], window["n_tokens"], window["labels"])
        for ids, n, labels in zip(*columns, strict=True):
            input_ids = ids[:n] if trims_padding else ids
            mask = (np.arange(len(input_ids)) < n).astype(int)
            rows.append(
                {
                    "input_ids": input_ids.tolist(),
                    "attention_mask": mask.tolist(),
                    "labels": int(labels[0]),
                }
            )
    return rows


def ranks(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare two Horovod processes with one of two threads, and with torch's DDP over Gloo."""
    rates: dict[str, list[float]] = {"single_process": [], "horovod": [], "ddp": []}
    with tempfile.TemporaryDirectory() as folder:
        training = prepare_training(arguments, folder, PARALLEL_ROWS)
        for _ in range(REPEATS):
            single = training.rate("in_process", 1, 2)
            rates["single_process"].append(single["rate_after_warm_up"])
            rates["horovod"].append(training.rate("horovod", 2, 1)["rate_after_warm_up"])
            rates["ddp"].append(ddp_rate(training))
    return {
        "rows": PARALLEL_ROWS,
        "two_ranks_to_one": summarise_ratios(rates["horovod"], rates["single_process"]),
        "target_two_ranks_to_one": TARGETS["ranks"],
        "horovod_to_ddp": summarise_ratios(rates["horovod"], rates["ddp"]),
        "target_horovod_to_ddp": TARGETS["ddp"],
    }


def ddp_rate(training: PreparedTraining) -> float:
    """Examples per second of a plain loop under DistributedDataParallel, on the same batches."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = training.job(1)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rate"
        torch.multiprocessing.spawn(train_ddp_rank, (job, port, str(out)), nprocs=2)
        return float(out.read_text())


def train_ddp_rank(rank: int, job: FitJob, port: int, out: str) -> None:
    """Train as one of two processes; the first writes the rate into the file `out`."""
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.set_num_threads(job.threads)
    model, spec, _ = load_model(f"{job.folder}/{INITIAL_MODEL}")
    group = SingleProcess()
    group.rank, group.size = rank, 2
    loader = job.make_loader("train", group, 0)
    objective = SupervisedObjective(spec.tasks, job.weights, job.plan, None)
    stage = objective.stages[1]
    parameter_groups = list(objective.parameter_groups(model, stage))
    wrapped = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = AdamW(parameter_groups, fused=True)
    model.train()
    # Shards differ in length, so all processes train on as many batches as the shortest shard has.
    n_steps = torch.tensor(sum(1 for _ in loader.batches(stage.batch_size, (0,), with_text=True)))
    dist.all_reduce(n_steps, dist.ReduceOp.MIN)
    batches = islice(loader.batches(stage.batch_size, (0,), with_text=True), int(n_steps))
    for step, batch in enumerate(batches):
        if step == WARM_UP_STEPS:
            start = time.monotonic()
        tensors = {name: torch.from_numpy(values) for name, values in batch.items()}
        sums = objective.loss_sums(wrapped, tensors, stage)
        optimizer.zero_grad()
        (sums / objective.weight_sums(tensors).clamp(min=1)).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), job.plan.max_grad_norm)
        optimizer.step()
    dist.barrier()
    if rank == 0:
        rows = (int(n_steps) - WARM_UP_STEPS) * stage.batch_size
        Path(out).write_text(str(rows / (time.monotonic() - start)))
    dist.destroy_process_group()


PARTS = {"trainer": trainer, "ranks": ranks}


def main() -> None:
    """Run the requested parts."""
    arguments = make_parser(__doc__, PARTS).parse_args()
    run_parts("training", PARTS, arguments.parts, arguments)


if __name__ == "__main__":
    main()
