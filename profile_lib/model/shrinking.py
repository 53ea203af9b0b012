"""A model in, a smaller one made of its parts out: fewer layers, or fewer attention heads.

Numbers and heads are the model's own, so that either can be trained on from where it was.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from profile_lib.errors import InputError
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.pruning import attention_blocks
from profile_lib.model.spec import HeadIndices

LAYER = re.compile(r"bert\.encoder\.layer\.(\d+)\.(.*)")


def choose_spaced_layers(n_available: int, n_layers: int) -> list[int]:
    """So many of `n_available` layers, evenly chosen, the lowest among them and, of two or more, the
    highest.

    Raises InputError where there are no more than that.

    >>> choose_spaced_layers(12, 6)
    [0, 2, 4, 7, 9, 11]
    """
    if n_layers >= n_available:
        raise InputError(
            f"compress.student_layers: {n_layers}, but the teacher has {n_available} layers; wanted fewer"
        )
    return np.linspace(0, n_available - 1, n_layers).round().astype(int).tolist()


def build_student(teacher: ProfileModel, n_layers: int) -> ProfileModel:
    """The model with so many of its encoder's layers, evenly chosen.

    Sanh et al., DistilBERT, 2019 (which takes the same six of twelve layers); Sun et al., Patient
    Knowledge Distillation, 2019. Raises InputError as `choose_spaced_layers` does.
    """
    assert teacher.bert is not None
    spec = teacher.spec
    chosen = choose_spaced_layers(len(teacher.bert.encoder.layer), n_layers)
    place = {str(old): new for new, old in enumerate(chosen)}
    state = {}
    for name, tensor in teacher.state_dict().items():
        if (of := LAYER.fullmatch(name)) is None:
            state[name] = tensor[chosen] if name == "prefix" else tensor
        elif of[1] in place:
            state[f"bert.encoder.layer.{place[of[1]]}.{of[2]}"] = tensor
    changed: dict[str, Any] = {"bert": {**(spec.bert or {}), "num_hidden_layers": n_layers}}
    if spec.heads_left is not None:
        changed["heads_left"] = tuple(spec.heads_left[i] for i in chosen)
    student = ProfileModel(spec.model_copy(update=changed))
    student.load_state_dict(state)
    return student.eval()


def prune_heads(model: ProfileModel, kept_heads: HeadIndices) -> ProfileModel:
    """The model with the heads at the positions `kept_heads` of each layer, the others cut out.

    It answers as the model does with the others' columns of the dense layer behind them at zero.
    """
    assert model.bert is not None
    spec, state = model.spec, model.state_dict()
    size = attention_blocks(model.bert)[0].self.attention_head_size
    for i, heads in enumerate(kept_heads):
        rows, at = _head_rows(heads, size), f"bert.encoder.layer.{i}.attention"
        for name in ("query", "key", "value"):
            for kind in ("weight", "bias"):
                state[f"{at}.self.{name}.{kind}"] = state[f"{at}.self.{name}.{kind}"][rows]
        state[f"{at}.output.dense.weight"] = state[f"{at}.output.dense.weight"][:, rows]
    left = tuple(
        tuple(of[i] for i in heads)
        for of, heads in zip(spec.attention_heads, kept_heads, strict=True)
    )
    pruned = ProfileModel(spec.model_copy(update={"heads_left": left}))
    pruned.load_state_dict(state)
    return pruned.eval()


def _head_rows(heads: Sequence[int], size: int) -> Tensor:
    """Where the heads' own numbers stand."""
    return (torch.tensor(heads).unsqueeze(1) * size + torch.arange(size)).flatten()
