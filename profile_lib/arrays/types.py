"""Name the numpy array types that all modules share."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Longs = NDArray[np.int64]
Integers = NDArray[np.integer]
Floats = NDArray[np.floating]
Flags = NDArray[np.bool_]
Strings = NDArray[np.object_]
Numbers = NDArray[Any]
