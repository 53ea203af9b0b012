"""Whether two computations say the same."""

import pytest


def agree(found: object, wanted: object) -> bool:
    """Whether all is equal, floats to a millionth or five digits: sums of another order, and texts
    that share another pass, differ in the last ones."""
    if isinstance(wanted, float):
        return found == pytest.approx(wanted, rel=1e-5, abs=1e-6, nan_ok=True)
    if isinstance(wanted, dict):
        same = isinstance(found, dict) and found.keys() == wanted.keys()
        return same and all(agree(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        same = isinstance(found, list) and len(found) == len(wanted)
        return same and all(map(agree, found, wanted))
    return found == wanted
