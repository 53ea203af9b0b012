"""Define the interface of inference runtimes, and register them by name."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from profile_lib.registry import Registry

if TYPE_CHECKING:  # a driver that only plans an inference starts without torch
    import torch

    from profile_lib.model.encoder import ProfileModel


class Runtime(ABC):
    """An engine that runs the text encoder of a saved model.

    To add a runtime, put a file with a decorated subclass into `runtimes/`. Drivers import that
    file too, so it imports its engine within its methods.
    """

    auto_priority: ClassVar[Mapping[str, int]] = MappingProxyType({})
    """Priority per device type for `refresh.runtime=auto`; without one, auto skips the runtime."""
    loads_torch_encoder: ClassVar[bool] = True
    """Whether `load` needs the encoder's torch weights in the model that it is given."""
    device: "torch.device"
    """The device of the tensors that `encode` returns."""

    @classmethod
    def find_obstacle(cls, folder: str, device: "torch.device | None") -> str | None:
        """Return why this runtime cannot run the model in `folder`, or None if it can.

        The reason completes the sentence "the runtime was requested, but". `device` is None on a
        driver, which does not know the devices of its workers.
        """
        return None

    @classmethod
    @abstractmethod
    def load(cls, folder: str, model: "ProfileModel", device: "torch.device", threads: int) -> Self:
        """Load the encoder of the model in `folder`, for `threads` threads of a processor."""

    @abstractmethod
    def encode(self, token_ids: np.ndarray, n_tokens: np.ndarray) -> "torch.Tensor":
        """Return the last hidden states (B, T, H), float32, of padded token ids (B, T).

        A row's ids after the first `n_tokens`, (B,), are padding. The next call may overwrite the
        result.
        """


RUNTIMES: Registry[type[Runtime]] = Registry("refresh.runtime", "profile_lib.inference.runtimes")
