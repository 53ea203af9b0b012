"""Quantize a trained model's encoder to int8; no other file uses NNCF.

This is post-training quantization by NNCF: the calibration texts determine the scales of weights
and activations, with SmoothQuant (Xiao et al. 2023) for the activations of a transformer.
"""

import io
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.jit import TracerWarning
from transformers.utils import logging as transformers_logging

from profile_lib.model.encoder import ProfileModel
from profile_lib.model.int8_manifest import INT8_GRAPH
from profile_lib.training.data.split_columns import read_texts


class _Encoder(nn.Module):
    """The encoder of a model with the signature that OpenVINO traces: token ids and mask."""

    def __init__(self, model: ProfileModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        return self.model.encode(token_ids, mask.sum(1))


def read_calibration_texts(folder: str, max_texts: int) -> list[np.ndarray]:
    """Return the token ids, (T,) each without padding, of a split's first `max_texts` rows."""
    token_ids, n_tokens = read_texts(folder, max_texts)
    return [ids[:length] for ids, length in zip(token_ids, n_tokens, strict=True)]


def quantize_encoder(model: ProfileModel, texts: list[np.ndarray], folder: Path) -> None:
    """Write the model's encoder in int8, calibrated on `texts`, to `folder` for OpenVINO."""
    with _without_output_and_telemetry():
        import nncf
        import openvino

        nncf.set_log_level(logging.ERROR)
        transformers_logging.set_verbosity_error()
        example = torch.from_numpy(np.stack([texts[0], texts[0]]))
        graph = openvino.convert_model(
            _Encoder(model.eval()), example_input=(example, torch.ones_like(example))
        )
        inputs = [(text[None], np.ones((1, len(text)), np.int64)) for text in texts]
        quantized = nncf.quantize(
            graph,
            nncf.Dataset(inputs),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(inputs),
        )
        folder.mkdir(parents=True, exist_ok=True)
        openvino.save_model(quantized, folder / INT8_GRAPH)


@contextmanager
def _without_output_and_telemetry() -> Iterator[None]:
    """Silence progress bars, and the usage reports that OpenVINO and NNCF send except in CI.

    No information about a shop or its models leaves the machine.
    """
    names = ("CI", "NNCF_CI")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "true"))
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            # The trace is valid for any number of tokens, and it never reads the deprecated
            # attribute.
            warnings.filterwarnings("ignore", category=TracerWarning, module="transformers")
            warnings.filterwarnings(
                "ignore", ".*is_gradient_checkpointing", FutureWarning, module="transformers"
            )
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
