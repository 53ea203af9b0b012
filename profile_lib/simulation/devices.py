"""Give events the ids of devices, and logins only while logged in.

A row's ids depend on the seed, the person and the visit. Each person has several devices, and uses
the first one most. The last one may be a tablet that two people share. A browser sends a cookie, an
app the id of its installation, and some apps send both. Within a visit a person may log in and out.
A logout may delete the cookie. A visit that follows has another one then.
"""

from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

DEVICE_COLUMNS = ("installation", "cookie")  # raw columns that add_devices adds
HOUSEHOLD_SIZE = 2  # people who may share a tablet
BROWSER_SHARE, APP_SHARE = 0.5, 0.3  # of devices; the others send both ids
LOGGED_IN_SHARE = 0.3  # of visits with a login: it lasts from an earlier visit
RESET_SHARE = 0.5  # of logouts: the cookie is deleted


class DeviceHabits(NamedTuple):
    """How people use devices and log in."""

    per_person: float  # mean number of devices
    shared_share: float  # share of households with a shared tablet
    logout_share: float  # share of visits with a login that end with a logout
    anonymous_share: float  # share of visits without a login


def add_devices(rows: DataFrame, habits: DeviceHabits, seed: int) -> DataFrame:
    """Add `person`, DEVICE_COLUMNS and a `uid` that is null while nobody is logged in.

    `rows` has `uid`, which becomes `person`, and the columns user, visit_number, event_number and
    milliseconds.
    """

    def uniform(name: str, *keys: str) -> Column:
        bits = F.xxhash64(F.lit(seed), F.lit(name), *keys)
        return F.pmod(bits, F.lit(1 << 40)) / F.lit(float(1 << 40))

    visit = ("user", "visit_number")
    n_devices = 1 + F.floor((2 * habits.per_person - 1) * uniform("devices", "user"))
    household = F.floor(F.col("user") / HOUSEHOLD_SIZE)
    placed = rows.withColumnRenamed("uid", "person").withColumns(
        {
            "household": household,
            "n_devices": n_devices,
            "n_events": F.count("*").over(Window.partitionBy(*visit)),
        }
    )
    placed = placed.withColumn(
        "number", F.floor(F.col("n_devices") * F.pow(uniform("uses", *visit), 2))
    )
    shares = uniform("shares", "household") < habits.shared_share
    is_shared = shares & (F.col("n_devices") > 1) & (F.col("number") == F.col("n_devices") - 1)
    own = F.concat_ws("-", F.lit("d"), "user", "number")
    placed = placed.withColumn("is_shared", is_shared).withColumn(
        "gadget", F.when(is_shared, F.concat_ws("-", F.lit("t"), "household")).otherwise(own)
    )
    logged = placed.withColumns(_login_times(habits, uniform))
    return logged.transform(lambda frame: _name_ids(frame, uniform)).drop(
        "household",
        "n_devices",
        "n_events",
        "number",
        "is_shared",
        "gadget",
        "login_at",
        "logout_at",
    )


def _login_times(habits: DeviceHabits, uniform) -> dict[str, Column]:  # type: ignore[no-untyped-def]
    """Return the first event with a login, and the first after the logout.

    Nobody stays logged in on a shared device.
    """
    visit = ("user", "visit_number")
    is_anonymous = uniform("anonymous", *visit) < habits.anonymous_share
    is_kept = ~F.col("is_shared") & (uniform("still in", *visit) < LOGGED_IN_SHARE)
    midway = F.floor(F.col("n_events") * uniform("login", *visit))
    login = F.when(is_anonymous, F.col("n_events")).when(is_kept, 0).otherwise(midway)
    leaves = F.col("is_shared") | (uniform("logout", *visit) < habits.logout_share)
    tail = F.floor(0.3 * F.col("n_events") * uniform("tail", *visit))
    logout = F.when(leaves, F.greatest(login + 1, F.col("n_events") - tail))
    return {"login_at": login, "logout_at": F.coalesce(logout, F.col("n_events"))}


def _name_ids(logged: DataFrame, uniform) -> DataFrame:  # type: ignore[no-untyped-def]
    """Add raw ids; a cookie has the number of its device's earlier deletions."""
    is_last = (F.col("event_number") == F.col("logout_at") - 1) & (
        F.col("login_at") < F.col("n_events")
    )
    leaves = (F.col("logout_at") < F.col("n_events")) | F.col("is_shared")
    deletes = is_last & leaves & (uniform("reset", "user", "visit_number") < RESET_SHARE)
    order = ("milliseconds", "user", "visit_number", "event_number")
    before = Window.partitionBy("gadget").orderBy(*order).rowsBetween(Window.unboundedPreceding, -1)
    n_deleted = F.coalesce(F.sum(deletes.cast("long")).over(before), F.lit(0))
    kind = uniform("gadget kind", "gadget")
    is_in = (F.col("event_number") >= F.col("login_at")) & (
        F.col("event_number") < F.col("logout_at")
    )
    return logged.withColumns(
        {
            "installation": F.when(kind >= BROWSER_SHARE, F.concat(F.lit("i-"), "gadget")),
            "cookie": F.when(
                (kind < BROWSER_SHARE) | (kind >= BROWSER_SHARE + APP_SHARE),
                F.concat_ws("-", F.lit("c"), "gadget", n_deleted),
            ),
            "uid": F.when(is_in, F.col("person")),
        }
    )
