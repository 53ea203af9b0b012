"""Define how the processes that train one model communicate."""

from typing import Protocol

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer


class ProcessGroup(Protocol):
    """The processes that train one model; each calls the same methods in the same order."""

    rank: int
    size: int
    local_rank: int  # the number of this process on its machine, and of the GPU it takes

    def broadcast_model(self, model: nn.Module) -> None:
        """Copy the parameters and buffers of process 0 to every process."""

    def wrap_optimizer(self, optimizer: Optimizer, model: nn.Module, passes: int) -> Optimizer:
        """Return an optimizer whose gradients are summed after `passes` backward passes."""

    def synchronize(self, optimizer: Optimizer) -> None:
        """Wait until the gradients are summed over all processes."""

    def step(self, optimizer: Optimizer) -> None:
        """Apply the gradients, which `synchronize` has summed."""

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over the processes, in each of them."""

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Return the rows of all processes in order of rank, in each of them."""


class SingleProcess:
    """A group of one process, in which nothing is exchanged."""

    rank, size, local_rank = 0, 1, 0

    def broadcast_model(self, model: nn.Module) -> None:
        """Do nothing."""

    def wrap_optimizer(self, optimizer: Optimizer, model: nn.Module, passes: int) -> Optimizer:
        """Return the optimizer."""
        return optimizer

    def synchronize(self, optimizer: Optimizer) -> None:
        """Do nothing."""

    def step(self, optimizer: Optimizer) -> None:
        """Apply the gradients."""
        optimizer.step()

    def sum(self, values: Tensor) -> Tensor:
        """Return the values."""
        return values

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Return the values."""
        return values
