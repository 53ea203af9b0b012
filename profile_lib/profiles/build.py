"""Build profiles: select the facts, then decode the model's predictions."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.spark.ranked_classes import rank_classes
from profile_lib.tables import USER_PROFILES
from profile_lib.tables.profiles import PREDICTED_COLUMNS, REASON
from profile_lib.tables.table import user_bucket

FACT_COLUMNS = [name for name in USER_PROFILES.column_names() if name not in PREDICTED_COLUMNS]
USER_FACTS = ("age_band", "gender", "region", "attributes")  # columns of users that a profile shows
PREDICTED_MAPS = ("inferred", "propensities", "predicted_values", "predicted_labels")
NEXT_CATEGORY = "next_category"  # the task that predicts the profile's next categories


class PredictedTask(NamedTuple):
    """A task of the model, and how a profile stores its predictions."""

    name: str
    classes: Sequence[str]  # empty if there is one prediction
    column: str  # one of PREDICTED_MAPS
    to_value: Callable[[Column], Column]  # converts the array of predictions to the value

    @property
    def width(self) -> int:
        """The number of predictions of the task."""
        return len(self.classes) or 1


def select_profile_facts(
    behaviour: DataFrame,
    users: DataFrame,
    *,
    events_version: Column,
    profile_version: int,
    user_buckets: int,
) -> DataFrame:
    """Return FACT_COLUMNS of the profile of each row of behaviour.

    `behaviour` has the columns of the table and `pending_input`; `users` is the table of users,
    `profile_version` the version of the code, and `user_buckets` the number of buckets.
    """
    facts = users.select("user_id", *USER_FACTS).withColumnRenamed("region", "declared_region")
    joined = behaviour.join(facts, "user_id", "left")
    columns = {
        "user_bucket": user_bucket(user_buckets),
        "declared": _declared(),
        "purchasing_power": F.coalesce("bought_price_level", "price_level"),
        "sentiment": (F.col("rating") - 3) / 2,
        "segment": derive_segment(),
        "as_of_ts": F.col("cutoff_ts"),
        "events_version": events_version.cast("long"),
        "profile_version": F.lit(profile_version),
    }
    return joined.withColumns(columns).select(*FACT_COLUMNS)


def decode_predictions(
    predicted: DataFrame,
    tasks: Sequence[PredictedTask],
    *,
    model_version: str,
    n_reasons: int,
    n_next_categories: int,
) -> DataFrame:
    """Build profiles from FACT_COLUMNS and the model's `prediction`.

    `tasks` are in the order of the model's outputs. A profile whose prediction is null keeps its
    pending input and has empty predictions.
    """
    outputs = F.col("prediction.outputs")
    slices, start = {}, 1
    for task in tasks:
        slices[task.name] = F.slice(outputs, start, task.width)
        start += task.width
    predictions = {
        **{column: _values_by_task(tasks, slices, column) for column in PREDICTED_MAPS},
        "interest_vector": F.col("prediction.vector"),
        "next_categories": _next_categories(tasks, slices, n_next_categories),
        "reasons": _reasons(tasks, n_reasons),
    }
    is_predicted, types = F.col("prediction.vector").isNotNull(), USER_PROFILES.schema
    columns = {
        name: F.when(is_predicted, value).otherwise(_empty_value(types[name].dataType))
        for name, value in predictions.items()
    }
    columns["pending_input"] = F.when(~is_predicted, F.col("pending_input"))
    columns["model_version"] = F.lit(model_version)
    return predicted.withColumns(columns).select(*USER_PROFILES.column_names())


def _empty_value(type: T.DataType) -> Column:
    empty = F.create_map() if isinstance(type, T.MapType) else F.array()
    return empty.cast(type)


def derive_segment() -> Column:
    """Return the user's segment: the stage closest to a loyal buyer that applies."""
    return (
        F.when(F.col("n_orders") >= 2, "loyal buyer")
        .when(F.col("n_orders") == 1, "buyer")
        .when(F.col("n_checkout_session") > 0, "at the till")
        .when(F.col("n_in_cart") > 0, "filled cart")
        .when(F.col("n_sessions") >= 2, "returning visitor")
        .when(F.col("n_events") >= 3, "new visitor")
        .otherwise("passer-by")
    )


def _declared() -> Column:
    facts = F.create_map(
        F.lit("age_band"), F.col("age_band"),
        F.lit("gender"), F.col("gender"),
        F.lit("region"), F.col("declared_region"),
    )  # fmt: skip
    known = F.map_filter(facts, lambda _, value: value.isNotNull())
    # A name that occurs twice would fail the query; the column takes precedence.
    others = F.map_filter("attributes", lambda name, _: ~F.map_contains_key(known, name))
    return F.map_concat(F.coalesce(others, F.create_map().cast("map<string,string>")), known)


def _values_by_task(
    tasks: Sequence[PredictedTask], slices: dict[str, Column], column: str
) -> Column:
    """Return a map of the values of the tasks that a profile stores in `column`."""
    pairs: list[Column] = []
    for task in tasks:
        has_own_column = column == "inferred" and task.name == NEXT_CATEGORY
        if task.column == column and not has_own_column:
            pairs += [F.lit(task.name), task.to_value(slices[task.name])]
    return F.create_map(*pairs).cast(USER_PROFILES.schema[column].dataType)


def _next_categories(tasks: Sequence[PredictedTask], slices: dict[str, Column], n: int) -> Column:
    for task in tasks:
        if task.name == NEXT_CATEGORY:
            return rank_classes(slices[task.name], task.classes, n)
    return F.array().cast("array<struct<name:string,weight:double>>")


def _reasons(tasks: Sequence[PredictedTask], n_reasons: int) -> Column:
    """Return a map of each task's reasons; the model returns `n_reasons` event indices per task."""
    pairs: list[Column] = []
    for number, task in enumerate(tasks):
        first = number * n_reasons + 1
        events = F.slice("prediction.reason_events", first, n_reasons)
        effects = F.slice("prediction.reason_effects", first, n_reasons)
        existing = F.filter(
            F.arrays_zip(events.alias("event"), effects.alias("effect")),
            # A short history has fewer than n_reasons; a score of numbers alone has none.
            lambda x: (x["event"] < F.size("recent")) & (x["effect"] != 0),
        )
        pairs += [F.lit(task.name), F.transform(existing, _reason)]
    return F.create_map(*pairs).cast(f"map<string,array<{REASON.simpleString()}>>")


def _reason(x: Column) -> Column:
    event = F.get(F.col("recent"), x["event"])
    return F.struct(
        event["event_ts"].alias("event_ts"),
        event["event_type"].alias("event_type"),
        event["item_id"].alias("item_id"),
        F.coalesce(event["title"], event["text"]).alias("text"),
        x["effect"].cast("double").alias("effect"),
    )
