"""What the int8 encoder beside a model's weights tells of itself; knows no runtime of it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from profile_lib.errors import InputError, wrong_keys

INT8, GRAPH, DESCRIPTION = "int8", "encoder.xml", "int8.json"  # folder, and files in it


class Int8About(BaseModel):
    """How an int8 encoder came about, and whether it may serve."""

    model_config = ConfigDict(frozen=True)
    weights: str  # SHA-256 of the weights that it was made from
    calibration_texts: int
    kept: dict[str, float]  # "task measure" → its share of fp32's, on the test examples
    least: float  # the share of every measure that was wanted
    is_accepted: bool


def read_int8(folder: str) -> Int8About | None:
    """What is told of the int8 encoder of the model in `folder`; None where none was made.

    Raises InputError where the description is none.
    """
    path = Path(folder) / INT8 / DESCRIPTION
    if not path.is_file():
        return None
    try:
        return Int8About.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise InputError(f"{path}: not a description of int8: {wrong_keys(error)}") from error
