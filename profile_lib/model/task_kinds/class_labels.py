"""Check the classes of a task's labels and order them by frequency."""

from collections.abc import Mapping

from profile_lib.errors import InputError


def describe_counts(name: str, label: str, counts: Mapping[str, int]) -> str:
    """Return the beginning of an error message about a task's labels in the train split."""
    found = ", ".join(f"{n:,} × {value}" for value, n in sorted(counts.items())) or "none"
    return f"examples: labels of {name} ({label}) in train: {found}"


def order_classes(name: str, label: str, counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return the classes that occur in the train split, most frequent first, ties by name.

    Raises InputError if there are fewer than two.
    """
    train_counts = {value: n for value, n in counts.items() if n > 0}
    if len(train_counts) < 2:
        raise InputError(
            f"{describe_counts(name, label, counts)}; wanted two classes or more: take the task "
            "out of model.tasks, or give data that has it"
        )
    return tuple(sorted(train_counts, key=lambda value: (-train_counts[value], value)))
