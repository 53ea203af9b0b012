"""Choose the least important attention heads of an encoder, mask heads and remove them.

Heads are counted from 0 in each layer, layers from the lowest. A model's spec lists the heads that
remain in each layer, because they determine the shapes of its weights.
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
    """Shrink each layer of `bert` to as many heads as `heads_left` lists for it.

    Query, key and value lose rows, the dense layer after them loses columns. The new layers have
    random weights, so the caller loads the remaining heads' weights into them.
    """
    for block, heads in zip(attention_blocks(bert), heads_left, strict=True):
        attention, hidden = block.self, block.output.dense.out_features
        size = len(heads) * attention.attention_head_size
        for name in ("query", "key", "value"):
            setattr(attention, name, nn.Linear(hidden, size))
        block.output.dense = nn.Linear(size, hidden)
        attention.num_attention_heads, attention.all_head_size = len(heads), size


def count_heads(bert: "BertModel") -> list[int]:
    """Return the number of heads of each layer."""
    return [block.self.num_attention_heads for block in attention_blocks(bert)]


def attention_blocks(bert: Any) -> list[Any]:
    """Return each layer's attention module.

    Its part `self` holds the heads, `output` joins their results.
    """
    return [layer.attention for layer in bert.encoder.layer]


@contextmanager
def mask_heads(bert: "BertModel", n_rows: int) -> Iterator[list[Tensor]]:
    """Multiply each head's output by a mask per row while the body runs.

    Yields one mask (n_rows, heads) per layer, `n_rows` being the rows of each batch. All are 1 and
    require gradients.
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
    """Return the number of heads to prune: `share` of all, rounded.

    `heads` is the number of heads of each layer. Raises InputError if the result is 0, or so large
    that a layer would lose all its heads.
    """
    n_heads, max_pruned = sum(heads), sum(heads) - len(heads)
    n_pruned = round(share * n_heads)
    if not 0 < n_pruned <= max_pruned:
        raise InputError(
            f"compress.pruned_share: {share:g} of {n_heads} heads are {n_pruned}; wanted 1 to "
            f"{max_pruned}, so that each of the {len(heads)} layers keeps one"
        )
    return n_pruned


def select_important_heads(importances: Sequence[Tensor], share: float) -> HeadIndices:
    """Return the heads that remain if the least important `share` of all is removed.

    Every layer retains at least one head. `importances` holds a tensor (heads,) per layer; each is
    divided by its norm before they are compared, because layers differ in scale (Molchanov et al.
    2017; Michel, Levy & Neubig 2019). Raises InputError as `count_pruned_heads` does.
    """
    n_to_prune = count_pruned_heads([len(layer) for layer in importances], share)
    heads_left = [set(range(len(layer))) for layer in importances]
    scaled = [(layer / layer.norm().clamp(min=1e-12)).tolist() for layer in importances]
    ranked = sorted((x, i, head) for i, layer in enumerate(scaled) for head, x in enumerate(layer))
    for _, i, head in ranked:
        if n_to_prune > 0 and len(heads_left[i]) > 1:
            heads_left[i].remove(head)
            n_to_prune -= 1
    return tuple(tuple(sorted(heads)) for heads in heads_left)
