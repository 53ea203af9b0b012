"""Run the quantized encoder of a model folder by OpenVINO; no other file runs it."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from profile_lib.inference.runtime import RUNTIMES, Runtime
from profile_lib.model.int8_manifest import INT8_FOLDER, INT8_GRAPH, read_int8_manifest

if TYPE_CHECKING:
    import torch

    from profile_lib.model.encoder import ProfileModel

# oneDNN compiles code for each text length of a pass: about four entries per length, together 6 MB.
# Its default of a thousand entries takes gigabytes; with a tenth of this capacity the lengths of
# one batch would evict each other.
CACHE_CAPACITY = 256


@RUNTIMES.register("openvino_int8")
class OpenvinoInt8(Runtime):
    """The int8 encoder on this machine's processor."""

    auto_priority = {"cpu": 3}
    loads_torch_encoder = False

    def __init__(self, folder: str, threads: int) -> None:
        import openvino
        import torch

        self.device = torch.device("cpu")
        # The variable applies to all models of this process.
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(CACHE_CAPACITY))
        options = {
            "CPU_RUNTIME_CACHE_CAPACITY": CACHE_CAPACITY,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # each process would pin itself to the same first cores
            "INFERENCE_PRECISION_HINT": "f32",  # for the operations that are not int8
            "PERFORMANCE_HINT": "LATENCY",  # one stream: batches run one after the other
        }
        graph = Path(folder) / INT8_FOLDER / INT8_GRAPH
        compiled = openvino.Core().compile_model(graph, "CPU", options)
        self._request = compiled.create_infer_request()

    @classmethod
    def find_obstacle(cls, folder: str, device: "torch.device | None") -> str | None:
        """Return a reason if int8 is missing, lost too much quality, or cannot run here."""
        manifest = read_int8_manifest(folder)
        if manifest is None:
            return f"{folder} has no int8 encoder; train it with quantization.enabled true"
        if not manifest.is_accepted:
            wanted = manifest.min_quality_ratio
            ratios = manifest.quality_ratios.items()
            lost = ", ".join(f"{name} {ratio:.4f}" for name, ratio in ratios if ratio < wanted)
            return (
                f"int8 keeps too little of fp32's test metrics: {lost}; wanted {wanted} or more of "
                "each"
            )
        if find_spec("openvino") is None:
            return "the package openvino is not installed; install the extra int8"
        return None if _processor_has_int8() else "this processor has no int8 instructions"

    @classmethod
    def load(cls, folder: str, model: "ProfileModel", device: "torch.device", threads: int) -> Self:
        """Compile the int8 graph of `folder`; neither `model` nor `device` is used."""
        return cls(folder, threads)

    def encode(self, token_ids: np.ndarray, n_tokens: np.ndarray) -> "torch.Tensor":
        """Encode by OpenVINO, which overwrites the result at the next call."""
        import torch

        mask = (np.arange(token_ids.shape[1]) < n_tokens[:, None]).astype(np.int64)
        tokens = np.ascontiguousarray(token_ids, np.int64)
        outputs = self._request.infer([tokens, mask], share_inputs=True, share_outputs=True)
        return torch.from_numpy(outputs[0])


def _processor_has_int8() -> bool:
    import openvino

    return "INT8" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
