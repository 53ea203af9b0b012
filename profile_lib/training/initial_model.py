"""Build the model that a training starts from."""

from collections.abc import Sequence

import torch

from profile_lib.model.encoder import ProfileModel
from profile_lib.model.encoder_source import load_encoder, read_separator_id
from profile_lib.model.numeric_encoder import NumericStatistics
from profile_lib.model.spec import ModelSpec
from profile_lib.model.tasks import CategorySpec
from profile_lib.training.data.snapshot import Snapshot


def build_initial_model(
    encoder: str | None,
    snapshot: Snapshot,
    numbers: Sequence[NumericStatistics],
    categories: Sequence[CategorySpec],
    *,
    n_vector_numbers: int = 0,
    seed: int,
    encoder_layers: int | None,
    numeric_bins: int,
    numeric_hidden: int,
    joined_size: int,
    dropout: float,
    encoder_dropout: float | None,
) -> ProfileModel:
    """Build a model from a pretrained encoder and new layers.

    The new layers get random weights from `seed`. `encoder` is a folder or hub name; None builds a
    model of numbers alone. `numbers` are the statistics of the numeric features; the last
    `n_vector_numbers` features are components of vectors. Raises InputError if the encoder has
    fewer than `encoder_layers` layers or reads fewer tokens than the snapshot's texts have.
    """
    bert, separator_id = None, 0
    if encoder is not None:
        separator_id = read_separator_id(encoder)
        bert = load_encoder(encoder, encoder_layers, snapshot.max_tokens, encoder_dropout)
    spec = ModelSpec(
        tasks=snapshot.tasks,
        numeric=tuple(number.name for number in numbers),
        n_vector_numbers=n_vector_numbers,
        categories=tuple(categories),
        numeric_bins=numeric_bins,
        numeric_hidden=numeric_hidden,
        joined_size=joined_size,
        dropout=dropout,
        max_tokens=snapshot.max_tokens,
        separator_id=separator_id,
        bert=None if bert is None else bert.config.to_dict(),
    )
    torch.manual_seed(seed)
    model = ProfileModel(spec, bert)
    model.numbers.set_statistics(numbers)
    return model
