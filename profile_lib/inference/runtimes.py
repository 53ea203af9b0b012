"""A model's folder in, what runs its encoder on this machine out: torch or OpenVINO."""

import copy
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from profile_lib.errors import InputError
from profile_lib.inference.runtime_choice import RuntimeName, check_runtime, find_int8_obstacle
from profile_lib.model.encoder import ProfileModel


class Runtime(Protocol):
    """What runs an encoder."""

    name: str
    device: torch.device

    def encode(self, token_ids: np.ndarray, n_tokens: np.ndarray) -> Tensor:
        """(B, T) ids of which `n_tokens` (B,) count → the last hidden states (B, T, H), float32.

        They hold until the next call.
        """


class TorchRuntime:
    """The encoder as it was trained, in fp32 or, on processors and GPUs that have it, bf16."""

    def __init__(self, model: ProfileModel, device: torch.device, is_bf16: bool = False):
        self.name = "torch_bf16" if is_bf16 else "torch_fp32"
        self.model, self.device, self.is_bf16 = model, device, is_bf16

    def encode(self, token_ids: np.ndarray, n_tokens: np.ndarray) -> Tensor:
        """By torch; what bf16 is bad at stays in fp32 (autocast)."""
        tokens = torch.from_numpy(token_ids.astype(np.int64)).to(self.device)
        n = torch.from_numpy(n_tokens.astype(np.int64)).to(self.device)
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.is_bf16),
        ):
            return self.model.encode(tokens, n).float()


def bind_runtime(runtime: Runtime, model: ProfileModel) -> ProfileModel:
    """The model with its encoder run by `runtime`, to be measured like any other."""

    def encode(token_ids: Tensor, n_tokens: Tensor) -> Tensor:
        return runtime.encode(token_ids.numpy(), n_tokens.numpy())

    made = copy.copy(model)
    made.encode = encode  # type: ignore[method-assign]
    return made


def choose_runtime(requested: RuntimeName, folder: str, device: torch.device) -> RuntimeName:
    """The runtime that is wanted or, by `auto`, the fastest that this machine and model allow.

    On a GPU bf16 where it has it; on a processor int8 where it and the model have it, else bf16,
    else fp32. Raises InputError where what is wanted cannot run here.
    """
    if requested == "auto":
        if device.type == "cpu" and find_int8_obstacle(folder) is None:
            return "openvino_int8"
        return "torch_bf16" if supports_bf16(device) else "torch_fp32"
    check_runtime(requested, folder)
    if requested == "torch_bf16" and not supports_bf16(device):
        raise InputError(
            f"refresh.runtime: torch_bf16, but this {device.type} has no bf16; wanted auto or "
            "torch_fp32"
        )
    return requested


def load_runtime(
    name: RuntimeName, folder: str, model: ProfileModel, device: torch.device, threads: int
) -> Runtime:
    """What `choose_runtime` chose, on `threads` threads where it is a processor."""
    torch.set_num_threads(threads)
    if name == "openvino_int8":
        from profile_lib.inference.openvino_int8 import OpenvinoInt8

        return OpenvinoInt8(folder, threads)
    return TorchRuntime(model, device, name == "torch_bf16")


def supports_bf16(device: torch.device) -> bool:
    """Whether bf16 is computed by the hardware, not emulated."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported())
