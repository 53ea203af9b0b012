"""Compare the values of two computations."""

import math


def agree(found: object, expected: object, relative: float = 1e-5, absolute: float = 1e-6) -> bool:
    """Whether two values are equal, floats within a tolerance, in nested maps and lists too.

    Sums in another order, and texts encoded in other passes, differ in their last digits.
    """
    if isinstance(expected, float):
        if not isinstance(found, float | int):
            return False
        both_nan = math.isnan(found) and math.isnan(expected)
        return both_nan or math.isclose(found, expected, rel_tol=relative, abs_tol=absolute)
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and found.keys() == expected.keys()
            and all(agree(found[key], expected[key], relative, absolute) for key in expected)
        )
    if isinstance(expected, list | tuple):  # a Row is a tuple
        return (
            isinstance(found, list | tuple)
            and len(found) == len(expected)
            and all(agree(*pair, relative, absolute) for pair in zip(found, expected, strict=True))
        )
    return found == expected
