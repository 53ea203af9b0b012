"""Each moment of a shared device belongs to the nearest login, if that is near enough."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from profile_lib.people.graph import ALWAYS, NEVER, find_known_times
from profile_lib.people.shared_time import Runs, divide_shared_time

WINDOW = 3
RUN = st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(0, 20), st.integers(0, 6))
EDGE = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 9))


def find_owner(runs: list[tuple[int, int, int, int]], device: int, moment: int) -> int | None:
    """Return the person of the nearest run; of equally near ones, that of the earliest."""
    near = [
        (max(first - moment, moment - first - length, 0), first, first + length, person)
        for number, person, first, length in runs
        if number == device
    ]
    return min(near)[3] if near and min(near)[0] <= WINDOW else None


@given(st.lists(RUN, max_size=8))
def test_a_moment_belongs_to_the_nearest_run_and_no_two_intervals_overlap(runs):
    device, person, first, length = (
        (np.array(v, dtype=np.int64) for v in zip(*runs, strict=True))
        if runs
        else (np.zeros(0, dtype=np.int64),) * 4
    )
    known = np.arange(len(runs))
    found, start, until = divide_shared_time(
        Runs(device, person, first, first + length, known), WINDOW
    )
    for number in (0, 1):
        for moment in range(-5, 32):
            inside = (found.id == number) & (start <= moment) & (moment < until)
            owners = found.person[inside].tolist()
            expected = find_owner(runs, number, moment)
            assert owners == ([] if expected is None else [expected])


@given(st.lists(EDGE, max_size=12), st.permutations(range(12)))
def test_a_path_is_known_with_its_last_link_and_the_order_of_links_does_not_matter(edges, order):
    a, b, time = (np.array([e[n] for e in edges], dtype=np.int64) for n in range(3))
    start = np.full(7, NEVER)
    start[0] = ALWAYS
    known = find_known_times(start, a, b, time)
    for moment in range(10):
        reached = {0}
        for _ in range(7):
            reached |= {y for x, y, t in edges if x in reached and t <= moment}
            reached |= {x for x, y, t in edges if y in reached and t <= moment}
        assert {int(n) for n in np.flatnonzero(known <= moment)} == reached
    shuffled = [n for n in order if n < len(edges)]
    assert np.array_equal(known, find_known_times(start, b[shuffled], a[shuffled], time[shuffled]))
