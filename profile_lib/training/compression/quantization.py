"""A fitted model and texts of train in, its encoder in int8 out: the only code that quantizes.

Post-training quantization by NNCF: scales of weights and activations are found by passing the
calibration texts, with SmoothQuant (Xiao et al. 2023) for the activations of a transformer.
"""

import io
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn
from transformers.utils import logging as transformers_logging

from profile_lib.model.encoder import ProfileModel
from profile_lib.model.int8_manifest import INT8_GRAPH


class _Encoder(nn.Module):
    """The encoder alone, as OpenVINO traces it: ids and mask in, the last hidden states out."""

    def __init__(self, model: ProfileModel):
        super().__init__()
        self.model = model

    def forward(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        return self.model.encode(token_ids, mask.sum(1))


def read_calibration_texts(snapshot: str, n: int) -> list[np.ndarray]:
    """The token ids of the first `n` rows of a snapshot's folder, whose order is drawn by hash."""
    texts: list[np.ndarray] = []
    for path in sorted(Path(snapshot).glob("*.parquet")):
        rows = pq.read_table(path, columns=["token_ids", "n_tokens"]).slice(0, n - len(texts))
        for ids, length in zip(rows["token_ids"], rows["n_tokens"], strict=True):
            texts.append(np.array(ids.as_py()[: length.as_py()], np.int64))
        if len(texts) == n:
            break
    return texts


def quantize_encoder(model: ProfileModel, texts: list[np.ndarray], folder: Path) -> None:
    """Write the model's encoder, calibrated on `texts`, into `folder` as OpenVINO reads it."""
    with _without_output():
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
def _without_output() -> Iterator[None]:
    """Without progress bars, and without the usage reports that OpenVINO and NNCF send elsewhere
    than in CI: nobody outside is told what runs on a shop's data."""
    names = ("CI", "NNCF_CI")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "true"))
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
