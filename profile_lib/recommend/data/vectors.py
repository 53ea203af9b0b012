"""Scale vectors to length one."""

import numpy as np

from profile_lib.arrays.types import Floats


def normalise_rows(vectors: Floats) -> Floats:
    """Scale each row to length 1, as float32; rows of zeros stay.

    >>> normalise_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).round(6).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
