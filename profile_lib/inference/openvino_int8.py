"""The int8 encoder beside a model's weights, run by OpenVINO: the only code that runs it."""

import os
from pathlib import Path

import numpy as np
import openvino
import torch
from torch import Tensor

from profile_lib.model.int8_manifest import INT8_FOLDER, INT8_GRAPH

# oneDNN compiles for each number of tokens that a pass has, 6 MB a number, and keeps a thousand of
# what it made, some four a number. Of a tenth of that the lengths of one batch push each other out.
CACHE_CAPACITY = 256


class OpenvinoInt8:
    """The quantized encoder on `threads` threads of this processor."""

    name = "openvino_int8"
    device = torch.device("cpu")

    def __init__(self, folder: str, threads: int):
        os.environ.setdefault(
            "ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(CACHE_CAPACITY)
        )  # for all models
        options = {
            "CPU_RUNTIME_CACHE_CAPACITY": CACHE_CAPACITY,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # each process would pin itself to the same first cores
            "INFERENCE_PRECISION_HINT": "f32",  # of what is not int8
            "PERFORMANCE_HINT": "LATENCY",  # one stream: a batch after the other
        }
        compiled = openvino.Core().compile_model(
            Path(folder) / INT8_FOLDER / INT8_GRAPH, "CPU", options
        )
        self._request = compiled.create_infer_request()

    def encode(self, token_ids: np.ndarray, n_tokens: np.ndarray) -> Tensor:
        """The memory of the answer is used again by the next call."""
        mask = (np.arange(token_ids.shape[1]) < n_tokens[:, None]).astype(np.int64)
        tokens = np.ascontiguousarray(token_ids, np.int64)
        found = self._request.infer([tokens, mask], share_inputs=True, share_outputs=True)
        return torch.from_numpy(found[0])
