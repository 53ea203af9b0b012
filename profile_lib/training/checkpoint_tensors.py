"""Collect the tensors of a training for a checkpoint, and restore them."""

from torch import Tensor, nn
from torch.optim import Optimizer

from profile_lib.training.adapters import adalora_importance, restore_adalora_importance


def collect_tensors(
    model: nn.Module, optimizer: Optimizer, best: dict[str, Tensor] | None
) -> dict[str, Tensor]:
    """Return the weights, the best epoch's weights and the optimizer's state, on the CPU."""
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in (best or {}).items()}
    for name, p in model.named_parameters():
        tensors |= {f"optimizer.{name}/{k}": v for k, v in optimizer.state.get(p, {}).items()}
    tensors |= {f"importance.{k}": v for k, v in adalora_importance(model).items()}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def restore_tensors(
    tensors: dict[str, Tensor], model: nn.Module, optimizer: Optimizer
) -> dict[str, Tensor] | None:
    """Load the weights and the optimizer's state; return the weights of the best epoch.

    The result is None if the checkpoint was written before an epoch ended.
    """
    model.load_state_dict(_with_prefix("model.", tensors))
    restore_adalora_importance(model, _with_prefix("importance.", tensors))
    optimizer_tensors = _with_prefix("optimizer.", tensors)
    for name, p in model.named_parameters():
        if state := _with_prefix(f"{name}/", optimizer_tensors):
            optimizer.state[p] = {k: v.to(p.device) for k, v in state.items()}
    return _with_prefix("best.", tensors) or None


def _with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
