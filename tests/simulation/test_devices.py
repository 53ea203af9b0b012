"""Simulated people use several devices, share some, and log in and out within visits."""

from dataclasses import replace
from datetime import date

import pytest

from profile_lib.simulation.devices import DeviceHabits
from profile_lib.simulation.simulate import RAW_COLUMNS, simulate_events
from tests.simulation.test_simulate import SHOP

HABITS = DeviceHabits(per_person=2.5, shared_share=0.5, logout_share=0.3, anonymous_share=0.25)


@pytest.fixture(scope="module")
def both_ways(spark):
    """The events of a shop with the login alone, and with devices."""
    shop = replace(SHOP, n_users=400, bots_share=0.0)
    plain, devices = (
        simulate_events(spark, shop, date(2026, 1, 1), 0.0, habits) for habits in (None, HABITS)
    )
    return tuple(f.toPandas().sort_values("event_id", ignore_index=True) for f in (plain, devices))


def test_devices_change_nothing_but_the_ids_of_events(both_ways):
    plain, devices = both_ways
    rest = [name for name in RAW_COLUMNS if name != "uid"]
    assert devices[rest].equals(plain[rest])
    assert devices.person.equals(plain.uid)
    assert set(devices.uid.dropna()) <= set(plain.uid)
    assert (devices.uid.isna() | (devices.uid == devices.person)).all()
    assert (devices.installation.notna() | devices.cookie.notna()).all()


def test_a_person_has_the_wanted_number_of_devices_and_some_visits_never_log_in(both_ways):
    events = both_ways[1]
    gadget = events.installation.str[2:].fillna(events.cookie.str[2:].str.rsplit("-", n=1).str[0])
    n_devices = gadget.groupby(events.person).nunique()
    assert n_devices.mean() == pytest.approx(2.2, abs=0.3)  # some are never used
    n_people = events.person.groupby(gadget).nunique()
    assert set(n_people) == {1, 2}
    assert set(gadget[gadget.map(n_people) == 2].str[0]) == {"t"}
    logged_in = events.uid.notna().groupby(events.visit).any()
    assert logged_in.mean() == pytest.approx(0.75, abs=0.05)
    middles = events.sort_values(["visit", "time"]).groupby("visit").uid.agg(["first", "size"])
    assert middles["first"].notna().any()


def test_a_cookie_changes_only_after_a_logout(both_ways):
    events = both_ways[1].dropna(subset="cookie").sort_values(["time", "event_id"])
    device = events.cookie.str.rsplit("-", n=1).str[0]
    number = events.cookie.str.rsplit("-", n=1).str[1].astype(int)
    steps = number.groupby(device).diff().dropna()
    assert set(steps) == {0, 1}
    before = events.uid.groupby(device).shift()[steps.index]
    assert before[steps == 1].notna().all()
