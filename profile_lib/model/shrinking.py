"""Build a smaller model from a model's parts: fewer layers or fewer attention heads.

The numeric encoder and the task heads are copied, so that training can continue from them.
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
    """Choose `n_layers` of `n_available` layers, evenly spaced.

    The lowest is always chosen, and the highest if `n_layers` is 2 or more. Raises InputError
    unless `n_layers` is less than `n_available`.

    >>> choose_spaced_layers(12, 6)
    [0, 2, 4, 7, 9, 11]
    """
    if n_layers >= n_available:
        raise InputError(
            f"compress.student_layers: {n_layers}, but the teacher has {n_available} layers; "
            "wanted fewer"
        )
    return np.linspace(0, n_available - 1, n_layers).round().astype(int).tolist()


def build_student(teacher: ProfileModel, n_layers: int) -> ProfileModel:
    """Build a model with `n_layers` of the teacher's encoder layers, evenly spaced.

    Sanh et al., DistilBERT, 2019 (which takes the same six of twelve layers); Sun et al., Patient
    Knowledge Distillation, 2019. Raises InputError as `choose_spaced_layers` does.
    """
    assert teacher.bert is not None
    spec = teacher.spec
    chosen = choose_spaced_layers(len(teacher.bert.encoder.layer), n_layers)
    new_index = {str(old): new for new, old in enumerate(chosen)}
    state = {}
    for name, tensor in teacher.state_dict().items():
        if (layer := LAYER.fullmatch(name)) is None:
            state[name] = tensor[chosen] if name == "prefix" else tensor
        elif layer[1] in new_index:
            state[f"bert.encoder.layer.{new_index[layer[1]]}.{layer[2]}"] = tensor
    changes: dict[str, Any] = {"bert": {**(spec.bert or {}), "num_hidden_layers": n_layers}}
    if spec.heads_left is not None:
        changes["heads_left"] = tuple(spec.heads_left[i] for i in chosen)
    student = ProfileModel(spec.model_copy(update=changes))
    student.load_state_dict(state)
    return student.eval()


def prune_heads(model: ProfileModel, kept_heads: HeadIndices) -> ProfileModel:
    """Build a copy of the model that has only the attention heads `kept_heads`.

    `kept_heads` holds per layer indices among the heads that the layer still has. The copy predicts
    as the model would if the other heads returned zeros.
    """
    assert model.bert is not None
    spec, state = model.spec, model.state_dict()
    size = attention_blocks(model.bert)[0].self.attention_head_size
    for i, heads in enumerate(kept_heads):
        rows, name = _head_rows(heads, size), f"bert.encoder.layer.{i}.attention"
        for part in ("query", "key", "value"):
            for kind in ("weight", "bias"):
                state[f"{name}.self.{part}.{kind}"] = state[f"{name}.self.{part}.{kind}"][rows]
        state[f"{name}.output.dense.weight"] = state[f"{name}.output.dense.weight"][:, rows]
    heads_left = tuple(
        tuple(indices[i] for i in heads)
        for indices, heads in zip(spec.attention_heads, kept_heads, strict=True)
    )
    pruned = ProfileModel(spec.model_copy(update={"heads_left": heads_left}))
    pruned.load_state_dict(state)
    return pruned.eval()


def _head_rows(heads: Sequence[int], size: int) -> Tensor:
    """Return the indices of the rows of these heads, `size` rows per head."""
    return (torch.tensor(heads).unsqueeze(1) * size + torch.arange(size)).flatten()
