"""What the int8 encoder beside a model's weights tells of itself; knows no runtime of it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from profile_lib.errors import InputError, describe_invalid_keys

INT8_FOLDER, INT8_GRAPH, INT8_MANIFEST = (
    "int8",
    "encoder.xml",
    "int8.json",
)  # folder, and files in it


class Int8Manifest(BaseModel):
    """How an int8 encoder came about, and whether it may serve."""

    model_config = ConfigDict(frozen=True)
    weights: str  # SHA-256 of the weights that it was made from
    calibration_texts: int
    quality_ratios: dict[str, float]  # "task measure" → its share of fp32's, on the test examples
    min_quality_ratio: float  # the share of every measure that was wanted
    is_accepted: bool


def read_int8_manifest(folder: str) -> Int8Manifest | None:
    """What is told of the int8 encoder of the model in `folder`; None where none was made.

    Raises InputError where the description is none.
    """
    path = Path(folder) / INT8_FOLDER / INT8_MANIFEST
    if not path.is_file():
        return None
    try:
        return Int8Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise InputError(
            f"{path}: not a description of int8: {describe_invalid_keys(error)}"
        ) from error
