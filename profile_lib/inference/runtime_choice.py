"""Which runtimes there are, and whether int8 can run a model here; needs no torch."""

from importlib.util import find_spec
from typing import Literal

from profile_lib.errors import InputError
from profile_lib.model.int8_manifest import read_int8_manifest

RuntimeName = Literal["auto", "torch_fp32", "torch_bf16", "openvino_int8"]


def check_runtime(requested: RuntimeName, folder: str) -> None:
    """Raise InputError where int8 is wanted and the model in `folder` cannot run in it."""
    if requested == "openvino_int8" and (reason := find_int8_obstacle(folder)) is not None:
        raise InputError(f"refresh.runtime: openvino_int8, but {reason}")


def find_int8_obstacle(folder: str) -> str | None:
    """Why the model in `folder` does not run in int8 on this machine; None where it does."""
    manifest = read_int8_manifest(folder)
    if manifest is None:
        return f"{folder} has no int8 encoder; train it with quantization.enabled true"
    if not manifest.is_accepted:
        lost = ", ".join(
            f"{n} {k:.4f}"
            for n, k in manifest.quality_ratios.items()
            if k < manifest.min_quality_ratio
        )
        return f"int8 keeps of fp32's test measures: {lost}; wanted {manifest.min_quality_ratio} or more"
    if find_spec("openvino") is None:
        return "the package openvino is not installed; install the extra int8"
    return None if _supports_int8() else "this processor has no int8 instructions"


def _supports_int8() -> bool:
    import openvino

    return "INT8" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
