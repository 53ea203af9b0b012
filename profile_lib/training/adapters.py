"""An encoder in, the same with what is tuned of it chosen out, and back: the only code with peft.

Adapters are merged into the weights when training ends, so that inference knows none of them;
a prefix, which no weight can hold, becomes the model's own.
"""

from typing import Any

import torch
from torch import Tensor, nn

from profile_lib.errors import InputError
from profile_lib.model.encoder import ProfileModel
from profile_lib.training.plan import Tuning


def apply_tuning(model: ProfileModel, tuning: Tuning, n_steps: int) -> None:
    """Freeze what `tuning` leaves as it is, and give the encoder its adapters, drawn at random.

    LoRA (Hu et al. 2021) and AdaLoRA (Zhang et al. 2023) of all attention matrices, IA3 (Liu et
    al. 2022), a prefix of keys and values (Li & Liang 2021), or the top layers alone. `n_steps` is
    what AdaLoRA plans its ranks over. Raises InputError where there are fewer layers.
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
    """Let AdaLoRA move its ranks to where they pay; called between step and zero_grad."""
    tuner = _tuner(model)
    if hasattr(tuner, "update_and_allocate"):
        tuner.update_and_allocate(step)


def orthogonality_penalty(model: nn.Module) -> Tensor | float:
    """How far AdaLoRA's factors are from orthogonal, weighted as peft does; else 0.

    The second term of the loss in Zhang et al. 2023, equation 4; peft adds it only to models that
    compute their loss themselves.
    """
    if _allocator(model) is None:
        return 0.0
    gaps = []
    for name, p in model.named_parameters():
        if p.requires_grad and ("lora_A" in name or "lora_B" in name):
            product = p @ p.T if "lora_A" in name else p.T @ p
            gaps.append(torch.linalg.matrix_norm(product - torch.eye(*product.shape).to(product)))
    bert: Any = model.bert
    config = next(iter(bert.peft_config.values()))
    return config.orth_reg_weight * torch.stack(gaps).mean()


ADALORA_IMPORTANCE = ("ipt", "exp_avg_ipt", "exp_avg_unc")  # by which AdaLoRA moves its ranks


def adalora_importance(model: nn.Module) -> dict[str, Tensor]:
    """What AdaLoRA has gathered so far, which is no parameter but belongs into a checkpoint."""
    allocator = _allocator(model)
    return {
        f"{kind}/{name}": tensor
        for kind in ADALORA_IMPORTANCE
        for name, tensor in getattr(allocator, kind, {}).items()
    }


def restore_adalora_importance(model: nn.Module, held: dict[str, Tensor]) -> None:
    """Give AdaLoRA back what it had gathered."""
    device = next(model.parameters()).device
    for key, tensor in held.items():
        kind, name = key.split("/", 1)
        getattr(_allocator(model), kind)[name] = tensor.to(device)


def _allocator(model: nn.Module) -> Any:
    return getattr(_tuner(model), "rankallocator", None)


def _tuner(model: nn.Module) -> Any:
    """What peft put around the encoder, None where it did not."""
    return getattr(getattr(model, "bert", None), "base_model", None)


def merge_adapters(model: ProfileModel) -> ProfileModel:
    """The model without adapters that answers as it does with them."""
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
    own = {k: v for k, v in model.state_dict().items() if not k.startswith("bert.")}
    plain.load_state_dict(plain.state_dict() | own | prefix)
    return plain


def base_encoder(model: ProfileModel) -> Any:
    """The BertModel itself, within its adapters or without."""
    bert: Any = model.bert
    return bert.get_base_model() if hasattr(bert, "peft_config") else bert


def _freeze_below(bert: Any, top_layers: int) -> None:
    found = len(bert.encoder.layer)
    if top_layers > found:
        raise InputError(
            f"training.tuning.top_layers: {top_layers}, but the encoder has {found} layers"
        )
    bert.embeddings.requires_grad_(False)
    for layer in bert.encoder.layer[: found - top_layers]:
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
