"""Build profiles: facts from behaviour and attributes, then predictions of the model."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.spark.ranked_classes import rank_classes
from profile_lib.tables import USER_PROFILES
from profile_lib.tables.profiles import PREDICTED_COLUMNS, REASON
from profile_lib.tables.table import user_bucket

PROFILE_VERSION = 3  # increase it with each change here: all profiles are then computed again
FACT_COLUMNS = [name for name in USER_PROFILES.column_names() if name not in PREDICTED_COLUMNS]
PREDICTED_MAPS = ("inferred", "propensities", "predicted_values", "predicted_labels")
NEXT_CATEGORY = "next_category"  # the task that predicts the profile's next categories


class TaskHead(NamedTuple):
    """A task of the model, and how a profile stores its predictions."""

    name: str
    classes: Sequence[str]  # empty if there is one prediction
    column: str  # one of PREDICTED_MAPS
    to_value: Callable[[Column], Column]  # converts its array of predictions to the column's value

    @property
    def width(self) -> int:
        """The number of its predictions."""
        return len(self.classes) or 1


def select_profile_facts(
    behaviour: DataFrame, users: DataFrame, *, events_version: Column, user_buckets: int
) -> DataFrame:
    """Return the columns FACT_COLUMNS of a profile for each row of behaviour.

    `behaviour` has the column pending_input as well.
    """
    declared_region = F.when(F.col("region_seen_ts").isNull(), F.col("region"))
    attributes = users.withColumn("declared_region", declared_region).drop("region")
    joined = behaviour.join(attributes, "user_id", "left")
    columns = {
        "user_bucket": user_bucket(user_buckets),
        "declared": _declared(),
        "purchasing_power": F.coalesce("bought_price_level", "price_level"),
        "sentiment": (F.col("rating") - 3) / 2,
        "segment": derive_segment(),
        "as_of_ts": F.col("cutoff_ts"),
        "events_version": events_version.cast("long"),
        "profile_version": F.lit(PROFILE_VERSION),
    }
    return joined.withColumns(columns).select(*FACT_COLUMNS)


def decode_predictions(
    predicted: DataFrame,
    heads: Sequence[TaskHead],
    *,
    model_version: str,
    n_reasons: int,
    n_next_categories: int,
) -> DataFrame:
    """Build profiles from FACT_COLUMNS and the model's `prediction`.

    A profile whose prediction is null keeps its pending input and has empty predictions.
    """
    outputs = F.col("prediction.outputs")
    slices, start = {}, 1
    for head in heads:
        slices[head.name] = F.slice(outputs, start, head.width)
        start += head.width
    predictions = {
        **{column: _values_by_task(heads, slices, column) for column in PREDICTED_MAPS},
        "interest_vector": F.col("prediction.vector"),
        "next_categories": _next_categories(heads, slices, n_next_categories),
        "reasons": _reasons(heads, n_reasons),
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
    """Column: the strongest segment name that holds for the user as of the cutoff."""
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
    others = F.coalesce(F.col("attributes"), F.create_map().cast("map<string,string>"))
    return F.map_filter(F.map_concat(others, facts), lambda _, value: value.isNotNull())


def _values_by_task(heads: Sequence[TaskHead], slices: dict[str, Column], column: str) -> Column:
    """Column: the values of the tasks that a profile stores in `column`, by name."""
    pairs: list[Column] = []
    for head in heads:
        has_own_column = column == "inferred" and head.name == NEXT_CATEGORY
        if head.column == column and not has_own_column:
            pairs += [F.lit(head.name), head.to_value(slices[head.name])]
    return F.create_map(*pairs).cast(USER_PROFILES.schema[column].dataType)


def _next_categories(heads: Sequence[TaskHead], slices: dict[str, Column], n: int) -> Column:
    for head in heads:
        if head.name == NEXT_CATEGORY:
            return rank_classes(slices[head.name], head.classes, n)
    return F.array().cast("array<struct<name:string,weight:double>>")


def _reasons(heads: Sequence[TaskHead], n_reasons: int) -> Column:
    pairs: list[Column] = []
    for number, head in enumerate(heads):
        first = number * n_reasons + 1
        events = F.slice("prediction.reason_events", first, n_reasons)
        effects = F.slice("prediction.reason_effects", first, n_reasons)
        both = F.filter(
            F.arrays_zip(events.alias("event"), effects.alias("effect")),
            lambda x: x["event"] < F.size("recent"),  # a short history has fewer than n_reasons
        )
        pairs += [F.lit(head.name), F.transform(both, _reason)]
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
