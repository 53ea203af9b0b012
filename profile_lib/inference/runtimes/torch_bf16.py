"""Run the encoder by torch in bf16, on devices whose hardware computes in it."""

from typing import TYPE_CHECKING

from profile_lib.inference.runtime import RUNTIMES
from profile_lib.inference.runtimes.torch_fp32 import TorchFp32

if TYPE_CHECKING:
    import torch


@RUNTIMES.register("torch_bf16")
class TorchBf16(TorchFp32):
    """The encoder under bf16 autocast."""

    auto_priority = {"cpu": 2, "cuda": 2}
    uses_bf16 = True

    @classmethod
    def find_obstacle(cls, folder: str, device: "torch.device | None") -> str | None:
        """Return a reason if the device has no bf16."""
        if device is None or supports_bf16(device):
            return None
        return f"this {device.type} has no bf16; wanted auto or torch_fp32"


def supports_bf16(device: "torch.device") -> bool:
    """Return whether the hardware computes in bf16; emulation does not count."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported())
