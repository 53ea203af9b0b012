"""Describe the int8 encoder in a model's folder; needs neither torch nor OpenVINO."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from profile_lib.model.manifest import read_description

INT8_FOLDER = "int8"
INT8_GRAPH, INT8_MANIFEST = "encoder.xml", "int8.json"  # files in that folder


class Int8Manifest(BaseModel):
    """The origin of an int8 encoder, its quality, and whether it may serve."""

    model_config = ConfigDict(frozen=True)
    weights: str  # SHA-256 of the weights that it was made from
    calibration_texts: int
    quality_ratios: dict[str, float]  # "task metric" → ratio to fp32's value on the test examples
    min_quality_ratio: float  # smallest ratio with which it may serve
    is_accepted: bool


def read_int8_manifest(folder: str) -> Int8Manifest | None:
    """Read the manifest of a model's int8 encoder.

    Returns None if the model has none. Raises InputError if the manifest is invalid.
    """
    path = Path(folder) / INT8_FOLDER / INT8_MANIFEST
    if not path.is_file():
        return None
    return read_description(path, Int8Manifest, "the manifest of an int8 encoder")
