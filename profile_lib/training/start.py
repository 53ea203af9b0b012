"""A pretrained encoder and the snapshot's statistics in, the model to start from out."""

from collections.abc import Sequence

import torch
from transformers import AutoTokenizer

from profile_lib.model.encoder import ModelSpec, ProfileModel, TaskSpec, load_encoder
from profile_lib.model.numbers import NumberStatistics
from profile_lib.training.snapshot import LabelledTask, Snapshot


def start_model(
    encoder: str,
    snapshot: Snapshot,
    tasks: Sequence[LabelledTask],
    numbers: Sequence[NumberStatistics],
    *,
    seed: int,
    encoder_layers: int | None,
    numeric_bins: int,
    numeric_hidden: int,
    joined_size: int,
    dropout: float,
) -> tuple[ProfileModel, int]:
    """The encoder joined with parts drawn from `seed`, and the tokenizer's padding id.

    `encoder` is a folder or hub name. Raises InputError where it has too few layers or positions.
    """
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    bert = load_encoder(encoder, encoder_layers, snapshot.max_tokens)
    spec = ModelSpec(
        tasks=tuple(
            TaskSpec(name=t.name, kind=t.kind, classes=snapshot.classes[t.name]) for t in tasks
        ),
        numeric=tuple(of.name for of in numbers),
        numeric_bins=numeric_bins,
        numeric_hidden=numeric_hidden,
        joined_size=joined_size,
        dropout=dropout,
        max_tokens=snapshot.max_tokens,
        separator_id=tokenizer.sep_token_id,
        bert=bert.config.to_dict(),
    )
    torch.manual_seed(seed)
    model = ProfileModel(spec, bert)
    model.numbers.set_statistics(numbers)
    return model, int(tokenizer.pad_token_id)
