"""Log the progress of a training."""

import logging
from typing import Any

from profile_lib.progress import format_duration, format_rate

log = logging.getLogger(__name__)


def log_training_progress(entry: dict[str, Any]) -> None:
    """Log a progress entry as a line, and as fields in JSON logs."""
    log.info(format_training_progress(entry), extra={"fields": entry})


def format_training_progress(entry: dict[str, Any]) -> str:
    """Format a progress entry: about steps, the end of an epoch, or anything else.

    >>> format_training_progress({"stage": "text", "epoch": 1, "step": 50, "steps": 200,
    ...     "loss": 2.0415, "examples_per_second": 27.6, "seconds_left": 170.0})
    '  text, epoch 1: step 50 of 200, loss 2.0415, 28 examples per second, 2:50 left'
    >>> format_training_progress({"stage": "text", "epoch": 1, "data_wait": 0.01, "seconds": 83.2,
    ...     "validation": {"buys": 0.35631, "loss": 1.998}})
    '  text, epoch 1: done in 1:23, validation loss 1.9980 (buys 0.3563)'
    >>> format_training_progress({"epoch": 0, "validation": {"loss": 5.25}})
    '  before training: validation loss 5.2500'
    >>> format_training_progress({"resumed_at_step": 100})
    '  resumed at step 100'
    """
    if "step" in entry:
        line = (
            f"{_stage(entry)}: step {entry['step']:,} of {entry['steps']:,}, "
            f"loss {entry['loss']:.4f}, {format_rate(entry['examples_per_second'])} examples "
            "per second"
        )
        left = entry.get("seconds_left")
        return line if left is None else f"{line}, {format_duration(left)} left"
    if "validation" in entry:
        return _format_validation(entry)
    if "resumed_at_step" in entry:
        return f"  resumed at step {entry['resumed_at_step']}"
    if "lost_process" in entry:
        return (
            f"  attempt {entry['attempt']} of {entry['max_attempts']} lost a process: "
            f"{entry['lost_process']}"
        )
    return "  " + ", ".join(f"{name} {value}" for name, value in entry.items())


def _format_validation(entry: dict[str, Any]) -> str:
    metrics = dict(entry["validation"])
    if "seconds" in entry:
        line = f"{_stage(entry)}: done in {format_duration(entry['seconds'])},"
    else:
        line = "  before training:"
    if "loss" in metrics:
        line += f" validation loss {metrics.pop('loss'):.4f}"
    others = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
    return f"{line} ({others})" if others else line


def _stage(entry: dict[str, Any]) -> str:
    return f"  {entry['stage']}, epoch {entry['epoch']}"
