"""Check that the last days of events tell until when all are known."""

import pytest

from profile_lib.errors import InputError
from profile_lib.pipelines.known_events import find_known_until
from profile_lib.spark.timestamps import known_until
from profile_lib.tables import EVENTS
from tests.small_shop import event, frame, write_events

DAY = 24 * 60  # minutes
FIRST = event(1, "ann", 5, "view", "tee", 0)
LATER = event(2, "bob", 2 * DAY, "view", "tee", 9)
CLOCK_AHEAD = event(3, "dan", 4 * DAY, "view", "tee", 7 - 3 * DAY)  # arrives on the second day


@pytest.mark.parametrize(
    "events",
    [[FIRST], [FIRST, LATER], [FIRST, CLOCK_AHEAD], [FIRST, LATER, CLOCK_AHEAD]],
    ids=["one day", "two days", "a clock ahead", "a clock ahead of a later day"],
)
def test_the_last_days_give_the_moment_of_all_events(store, events):
    write_events(store, events)
    assert find_known_until(store) == known_until(store.read(EVENTS))


def test_a_day_whose_events_were_deleted_does_not_count(store):
    write_events(store, [FIRST, LATER])
    write_events(store, [LATER], deleted=True)
    assert find_known_until(store) == known_until(frame(store, EVENTS, [FIRST]))
    write_events(store, [FIRST], deleted=True)
    with pytest.raises(InputError, match="found no event"):
        find_known_until(store)
