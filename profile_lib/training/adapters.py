"""Add adapters to an encoder and merge them; no other file uses peft.

Adapters are merged into the weights when training ends, so that inference needs no peft. A prefix
cannot be merged into weights; it becomes a part of the model.
"""

from typing import Any

import torch
from torch import Tensor, nn

from profile_lib.errors import InputError
from profile_lib.model.encoder import ProfileModel
from profile_lib.training.plan import Tuning


def apply_tuning(model: ProfileModel, tuning: Tuning, n_steps: int) -> None:
    """Freeze the parameters that `tuning` excludes, and add its adapters with random weights.

    Methods are LoRA (Hu et al. 2021) and AdaLoRA (Zhang et al. 2023) on all attention matrices,
    IA3 (Liu et al. 2022), a prefix of keys and values (Li & Liang 2021), or the top layers alone.
    AdaLoRA schedules its ranks over `n_steps`. Raises InputError if the encoder has fewer layers
    than are to be tuned.
    """
    bert = model.bert
    if bert is None or tuning.method == "all":
        return
    if tuning.method == "top":
        _freeze_below(bert, tuning.top_layers)
        return
    from peft import get_peft_model

    model.bert = get_peft_model(bert, _peft_config(tuning, n_steps))


def reallocate_adalora_ranks(model: nn.Module, step: int) -> None:
    """Reallocate AdaLoRA's ranks after optimizer step `step`; other models stay unchanged.

    It reads the gradients, so it comes before they are set to zero.
    """
    tuner = _tuner(model)
    if hasattr(tuner, "update_and_allocate"):
        tuner.update_and_allocate(step)


def orthogonality_penalty(model: nn.Module) -> Tensor | float:
    """Return AdaLoRA's penalty for factors that are not orthogonal; 0 for other models.

    It is the second term of the loss in Zhang et al. 2023, equation 4, with peft's weight. peft
    adds it only to models that compute the loss themselves, which ours do not.
    """
    if _allocator(model) is None:
        return 0.0
    distances = []
    for name, p in model.named_parameters():
        if p.requires_grad and ("lora_A" in name or "lora_B" in name):
            product = p @ p.T if "lora_A" in name else p.T @ p
            identity = torch.eye(*product.shape).to(product)
            distances.append(torch.linalg.matrix_norm(product - identity))
    bert: Any = model.bert
    config = next(iter(bert.peft_config.values()))
    return config.orth_reg_weight * torch.stack(distances).mean()


# Attributes in which AdaLoRA gathers the importance of its ranks.
ADALORA_IMPORTANCE = ("ipt", "exp_avg_ipt", "exp_avg_unc")


def adalora_importance(model: nn.Module) -> dict[str, Tensor]:
    """Return AdaLoRA's importance scores: a checkpoint needs them, but no state_dict has them."""
    allocator = _allocator(model)
    return {
        f"{kind}/{name}": tensor
        for kind in ADALORA_IMPORTANCE
        for name, tensor in getattr(allocator, kind, {}).items()
    }


def restore_adalora_importance(model: nn.Module, importance: dict[str, Tensor]) -> None:
    """Restore AdaLoRA's importance scores from a checkpoint."""
    device = next(model.parameters()).device
    for key, tensor in importance.items():
        kind, name = key.split("/", 1)
        getattr(_allocator(model), kind)[name] = tensor.to(device)


def _allocator(model: nn.Module) -> Any:
    return getattr(_tuner(model), "rankallocator", None)


def _tuner(model: nn.Module) -> Any:
    """Return peft's wrapper of the encoder, None if there is none."""
    return getattr(getattr(model, "bert", None), "base_model", None)


def merge_adapters(model: ProfileModel) -> ProfileModel:
    """Return a model without adapters that has the same outputs.

    A model that has no adapters is returned as it is.
    """
    bert: Any = model.bert
    if not hasattr(bert, "peft_config"):
        return model
    config, spec, prefix = next(iter(bert.peft_config.values())), model.spec, {}
    if config.is_prompt_learning:
        layers = bert.get_prompt(1).layers
        keys_and_values = torch.stack([torch.stack([x.keys[0], x.values[0]]) for x in layers])
        prefix = {"prefix": keys_and_values.detach().clone()}
        spec = spec.model_copy(update={"prefix_tokens": config.num_virtual_tokens})
    plain = ProfileModel(spec, bert.get_base_model() if prefix else bert.merge_and_unload())
    others = {k: v for k, v in model.state_dict().items() if not k.startswith("bert.")}
    plain.load_state_dict(plain.state_dict() | others | prefix)
    return plain


def base_encoder(model: ProfileModel) -> Any:
    """Return the BertModel, unwrapped if it has adapters."""
    bert: Any = model.bert
    return bert.get_base_model() if hasattr(bert, "peft_config") else bert


def _freeze_below(bert: Any, top_layers: int) -> None:
    n_layers = len(bert.encoder.layer)
    if top_layers > n_layers:
        raise InputError(
            f"training.tuning.top_layers: {top_layers}, but the encoder has {n_layers} layers; "
            f"wanted at most {n_layers}"
        )
    bert.embeddings.requires_grad_(False)
    for layer in bert.encoder.layer[: n_layers - top_layers]:
        layer.requires_grad_(False)


def _peft_config(tuning: Tuning, n_steps: int) -> Any:
    import peft

    attention = ["query", "key", "value"]
    match tuning.method:
        case "lora":
            return peft.LoraConfig(r=tuning.rank, lora_alpha=tuning.alpha, target_modules=attention)
        case "adalora":
            return peft.AdaLoraConfig(
                init_r=tuning.rank + tuning.rank // 2,
                target_r=tuning.rank,
                lora_alpha=tuning.alpha,
                target_modules=attention,
                tinit=n_steps // 10,
                tfinal=n_steps // 2,
                deltaT=max(1, n_steps // 100),
                total_step=n_steps,
            )
        case "ia3":
            return peft.IA3Config(
                target_modules=["key", "value", "output.dense"],
                feedforward_modules=["output.dense"],
            )
    return peft.PrefixTuningConfig(
        task_type="FEATURE_EXTRACTION", num_virtual_tokens=tuning.prefix_tokens
    )
