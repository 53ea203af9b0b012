"""Hold what is known about the users of requests for items."""

from dataclasses import dataclass

import numpy as np

from profile_lib.arrays.types import Floats, Longs
from profile_lib.recommend.data.histories import Histories
from profile_lib.recommend.data.profile_columns import PROFILE_NUMBERS


@dataclass(frozen=True)
class Requests:
    """Requests of n users, each as of the second `now`, (n,), since 1970.

    `histories`: the users' interactions. `interest_vectors`: (n, J). `profile_numbers`: (n, U), in
    the order of PROFILE_NUMBERS. `query_vectors`: (n, d), of the text of the search or page on
    which the items are shown. Unknown values are NaN. `contexts`: (n, c), for each context of the
    shop (such as the region) the number of its value, or MISSING.
    """

    histories: Histories
    interest_vectors: Floats
    profile_numbers: Floats
    query_vectors: Floats
    contexts: Longs
    now: Longs


def requests_from_histories(steps: Histories) -> Requests:
    """Build requests from histories alone, each as of a second after the user's last step."""
    unknown = np.zeros((steps.n_users, 0), np.float32)
    now = np.zeros(steps.n_users, np.int64)
    now[steps.user] = steps.seconds + 1  # each user's last step overwrites the earlier ones
    numbers = np.full((steps.n_users, len(PROFILE_NUMBERS)), np.nan, np.float32)
    return Requests(steps, unknown, numbers, unknown, np.zeros((steps.n_users, 0), np.int64), now)
