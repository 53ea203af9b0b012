"""Run the encoder by torch in 32-bit floating point."""

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from profile_lib.inference.runtime import RUNTIMES, Runtime

if TYPE_CHECKING:
    import torch

    from profile_lib.model.encoder import ProfileModel


@RUNTIMES.register("torch_fp32")
class TorchFp32(Runtime):
    """The encoder as it was trained."""

    auto_priority = {"cpu": 1, "cuda": 1}
    uses_bf16: ClassVar[bool] = False

    def __init__(self, model: "ProfileModel", device: "torch.device") -> None:
        self.model, self.device = model, device

    @classmethod
    def load(cls, folder: str, model: "ProfileModel", device: "torch.device", threads: int) -> Self:
        """Use the encoder of `model` itself."""
        return cls(model, device)

    def encode(self, token_ids: np.ndarray, n_tokens: np.ndarray) -> "torch.Tensor":
        """Encode by torch; under autocast, operations that bf16 would harm remain in fp32."""
        import torch

        tokens = torch.from_numpy(token_ids.astype(np.int64)).to(self.device)
        lengths = torch.from_numpy(n_tokens.astype(np.int64)).to(self.device)
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.uses_bf16),
        ):
            return self.model.encode(tokens, lengths).float()
