"""Choose a runtime by the setting, the device and the model.

Drivers import this module, so it imports neither torch nor OpenVINO.
"""

import copy
from typing import TYPE_CHECKING

from profile_lib.errors import InputError, wanted_one_of
from profile_lib.inference.runtime import RUNTIMES, Runtime

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from profile_lib.model.encoder import ProfileModel

AUTO = "auto"


def check_runtime(requested: str, folder: str, device: "torch.device | None" = None) -> None:
    """Raise InputError if `requested` is unknown or cannot run the model in `folder`.

    Without a `device`, as on a driver, only the model and the packages are checked.
    """
    if requested == AUTO:
        return
    if requested not in (names := RUNTIMES.names()):
        wanted = wanted_one_of([AUTO, *names], requested)
        raise InputError(f"{RUNTIMES.setting}: found {requested}; {wanted}")
    if (reason := RUNTIMES.get(requested).find_obstacle(folder, device)) is not None:
        raise InputError(f"{RUNTIMES.setting}: {requested}, but {reason}")


def choose_runtime(requested: str, folder: str, device: "torch.device") -> type[Runtime]:
    """Return the requested runtime or, for `auto`, the best that can run the model.

    The best is the one with the highest `auto_priority` for the device. Raises InputError if the
    requested runtime is unknown, or if it, or every runtime for `auto`, cannot run the model.
    """
    check_runtime(requested, folder, device)
    if requested != AUTO:
        return RUNTIMES.get(requested)
    runtimes = [RUNTIMES.get(name) for name in RUNTIMES.names()]
    candidates = [runtime for runtime in runtimes if device.type in runtime.auto_priority]
    candidates.sort(key=lambda runtime: -runtime.auto_priority[device.type])
    for candidate in candidates:
        if candidate.find_obstacle(folder, device) is None:
            return candidate
    raise InputError(f"{RUNTIMES.setting}: {AUTO}, but no runtime runs {folder} on {device.type}")


def bind_runtime(runtime: Runtime, model: "ProfileModel") -> "ProfileModel":
    """Return a copy of the model whose encoder `runtime` runs."""

    def encode(token_ids: "Tensor", n_tokens: "Tensor") -> "Tensor":
        return runtime.encode(token_ids.numpy(), n_tokens.numpy())

    bound = copy.copy(model)
    bound.encode = encode  # type: ignore[method-assign]
    return bound
