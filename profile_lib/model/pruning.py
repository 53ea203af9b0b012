"""Attention heads of an encoder: which matter least, and an encoder without them.

Heads are counted from 0 in each layer, layers from the lowest. Which are left of each layer is a
tuple of tuples, and stands in a model's spec: it says of what shape the layers are.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from profile_lib.errors import InputError
from profile_lib.model.spec import HeadIndices

if TYPE_CHECKING:
    from transformers import BertModel


def drop_heads(bert: "BertModel", heads_left: HeadIndices) -> None:
    """Leave each layer of `bert` room for so many heads only: query, key and value lose rows, the
    dense layer behind them loses columns. Their weights are drawn anew: load others."""
    for block, heads in zip(attention_blocks(bert), heads_left, strict=True):
        attention, hidden = block.self, block.output.dense.out_features
        size = len(heads) * attention.attention_head_size
        for name in ("query", "key", "value"):
            setattr(attention, name, nn.Linear(hidden, size))
        block.output.dense = nn.Linear(size, hidden)
        attention.num_attention_heads, attention.all_head_size = len(heads), size


def count_heads(bert: "BertModel") -> list[int]:
    """How many heads each layer has."""
    return [block.self.num_attention_heads for block in attention_blocks(bert)]


def attention_blocks(bert: Any) -> list[Any]:
    """Each layer's attention: `self`, the heads, and `output`, which joins what they say."""
    return [layer.attention for layer in bert.encoder.layer]


@contextmanager
def mask_heads(bert: "BertModel", n_rows: int) -> Iterator[list[Tensor]]:
    """While the body runs, what each head says of each row counts as often as a mask tells.

    The masks, (n_rows, heads) a layer, are all 1 and take gradients.
    """
    device = next(bert.parameters()).device
    masks = [torch.ones(n_rows, n, device=device, requires_grad=True) for n in count_heads(bert)]
    hooks = [
        block.output.dense.register_forward_pre_hook(partial(_apply_mask, mask))
        for block, mask in zip(attention_blocks(bert), masks, strict=True)
    ]
    try:
        yield masks
    finally:
        for hook in hooks:
            hook.remove()


def _apply_mask(mask: Tensor, dense: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    by_head = inputs[0].unflatten(-1, (mask.shape[1], -1))
    return (by_head * mask[:, None, :, None]).flatten(-2)


def count_pruned_heads(heads: Sequence[int], share: float) -> int:
    """How many are `share` of all `heads`, which are so many a layer.

    Raises InputError where that is none, or more than leaves each layer one.
    """
    n, most = sum(heads), sum(heads) - len(heads)
    wanted = round(share * n)
    if not 0 < wanted <= most:
        raise InputError(
            f"compress.pruned_share: {share:g} of {n} heads are {wanted}; wanted 1 to {most}, so "
            f"that each of the {len(heads)} layers keeps one"
        )
    return wanted


def select_important_heads(importances: Sequence[Tensor], share: float) -> HeadIndices:
    """The positions of the heads that stay when `share` of all are removed, the least important
    first, but never the last of a layer.

    `importances` (heads,) a layer are compared after each layer's are divided by their length, as
    layers differ in scale (Molchanov et al. 2017; Michel, Levy & Neubig 2019). Raises InputError
    as `count_pruned_heads` does.
    """
    wanted = count_pruned_heads([len(of) for of in importances], share)
    left = [set(range(len(of))) for of in importances]
    scaled = [(of / of.norm().clamp(min=1e-12)).tolist() for of in importances]
    ranked = sorted((x, i, head) for i, of in enumerate(scaled) for head, x in enumerate(of))
    for _, layer, head in ranked:
        if wanted > 0 and len(left[layer]) > 1:
            left[layer].remove(head)
            wanted -= 1
    return tuple(tuple(sorted(heads)) for heads in left)
