"""What the loop asks of the processes that train together, and the answer of one alone."""

from typing import Protocol

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer


class ProcessGroup(Protocol):
    """Processes in step: each calls the same methods in the same order."""

    rank: int
    size: int
    local_rank: int  # on this machine: the GPU it takes

    def broadcast_model(self, model: nn.Module) -> None:
        """Give every rank the parameters and buffers of rank 0."""

    def wrap_optimizer(self, optimizer: Optimizer, model: nn.Module, passes: int) -> Optimizer:
        """An optimizer whose gradients are summed over the ranks after so many backward passes."""

    def synchronize(self, optimizer: Optimizer) -> None:
        """Wait until the gradients are summed."""

    def step(self, optimizer: Optimizer) -> None:
        """Apply gradients that have been synchronized."""

    def sum(self, values: Tensor) -> Tensor:
        """The sum over the ranks, on each of them."""

    def gather(self, values: np.ndarray) -> np.ndarray:
        """The rows of all ranks in order of rank, on each of them."""


class SingleProcess:
    """One process: nothing to share, to sum or to wait for."""

    rank, size, local_rank = 0, 1, 0

    def broadcast_model(self, model: nn.Module) -> None:
        """Nobody to give them to."""

    def wrap_optimizer(self, optimizer: Optimizer, model: nn.Module, passes: int) -> Optimizer:
        """The optimizer as it is."""
        return optimizer

    def synchronize(self, optimizer: Optimizer) -> None:
        """Nothing to wait for."""

    def step(self, optimizer: Optimizer) -> None:
        """Apply the gradients."""
        optimizer.step()

    def sum(self, values: Tensor) -> Tensor:
        """The values themselves."""
        return values

    def gather(self, values: np.ndarray) -> np.ndarray:
        """The values themselves."""
        return values
