"""Declare the tables of impressions, feedback, its measures and experiment readouts."""

from collections.abc import Iterable

from profile_lib.tables.table import (
    BOOLEAN,
    DATE,
    DOUBLE,
    INT,
    LONG,
    STRING,
    STRINGS,
    TIMESTAMP,
    Table,
    TableColumn,
    optional,
    required,
    rerun_instructions,
)

# What a shown item is, by itself and by the request that it was shown in.
IMPRESSION_COLUMNS: tuple[TableColumn, ...] = (
    required("impression_id", STRING, "given by what showed it"),
    required("request_id", STRING, "one for all slots of a list"),
    required("user_id", STRING, "pseudonym"),
    required("item_id", STRING, "the item"),
    required("slot", INT, "place in the list, from 1"),
    required("shown_ts", TIMESTAMP, "when it was shown, UTC"),
    required("shown_date", DATE, "the UTC date of shown_ts"),
    required("sources", STRINGS, "sources that proposed it"),
    optional("segment", STRING, "of the user, when it was shown"),
    optional("propensity", DOUBLE, "probability with which this item was shown in this slot"),
    required("model_version", STRING, "the model that ranked it"),
    optional("experiment", STRING, "name of the experiment that the request was a part of"),
    optional("variant", STRING, "the user's arm of it"),
    optional("query", STRING, "normalised search text, where it was a search"),
    optional("channel", STRING, "as in events"),
    optional("device", STRING, "as in events"),
    optional("region", STRING, "as in events"),
)

IMPRESSIONS = Table(
    "impressions",
    "What was shown, one row an item in a slot of a list",
    key=("impression_id",),
    partition_by=("shown_date",),
    cluster_by=("user_id",),
    rebuild_instructions="move {path} away: what is shown from then on is logged anew",
    columns=(*IMPRESSION_COLUMNS, required("ingest_ts", TIMESTAMP, "when it was known here, UTC")),
)

FEEDBACK = Table(
    "feedback",
    "What became of each item shown",
    key=("impression_id",),
    partition_by=("shown_date",),
    cluster_by=("user_id",),
    rebuild_instructions=rerun_instructions("record_feedback"),
    deletion_vectors=True,
    columns=(
        *IMPRESSION_COLUMNS,
        required("is_clicked", BOOLEAN, "whether a click is credited to it"),
        required("is_carted", BOOLEAN, "whether the item was put in the cart for it"),
        required("is_bought", BOOLEAN, "whether a purchase is credited to it"),
        required("revenue", DOUBLE, "price times quantity over these purchases"),
        optional("clicked_ts", TIMESTAMP, "time of the first click credited to it"),
        required("is_complete", BOOLEAN, "whether the window for all this is known to be over"),
    ),
)


def _metric_with_interval(name: str, comment: str) -> Iterable[TableColumn]:
    yield optional(name, DOUBLE, comment)
    yield optional(f"{name}_low", DOUBLE, "lower end of its interval, null where users are alike")
    yield optional(f"{name}_high", DOUBLE, "upper end of its interval, null where users are alike")


FEEDBACK_MEASURES = Table(
    "feedback_measures",
    "How well what was shown on a day did, by slot, source, segment, model, …",
    key=("shown_date", "dimension", "value"),
    rebuild_instructions=rerun_instructions("record_feedback"),
    columns=(
        required("shown_date", DATE, "the day, of which items with complete feedback count"),
        required("dimension", STRING, "column of feedback, or all"),
        required("value", STRING, "value of the column, of each in a list; unknown where null"),
        required("n_users", LONG, "users who were shown something"),
        required("n_impressions", LONG, "items shown"),
        required("n_clicked", LONG, "of these clicked"),
        required("n_bought", LONG, "of these bought, with a click or without"),
        required("revenue", DOUBLE, "price times quantity over their purchases"),
        *_metric_with_interval("ctr", "share of the shown that was clicked"),
        *_metric_with_interval("cvr", "share of the clicked that was bought"),
        *_metric_with_interval("revenue_per_1000", "revenue per thousand shown"),
    ),
)

EXPERIMENT_READOUTS = Table(
    "experiment_readouts",
    "What a look at an experiment told, valid however often one looks",
    key=("as_of_date", "experiment", "variant", "measure"),
    rebuild_instructions="move {path} away and run python jobs/record_feedback.py --config FILE",
    columns=(
        required("as_of_date", DATE, "the UTC date of the last that was known"),
        required("experiment", STRING, "its name"),
        required("variant", STRING, "the arm that is compared with the control"),
        required("measure", STRING, "ctr, or revenue a user"),
        required("n_users", LONG, "users in the arm"),
        required("n_control", LONG, "users in the control"),
        optional("value", DOUBLE, "the measure in the arm"),
        optional("control_value", DOUBLE, "the measure in the control"),
        optional("difference", DOUBLE, "value less control_value"),
        optional("low", DOUBLE, "lower end of the difference's confidence sequence"),
        optional("high", DOUBLE, "upper end of the difference's confidence sequence"),
        optional("p_value", DOUBLE, "always valid: of no difference"),
        required("mismatch_p_value", DOUBLE, "always valid: of users in arms by the shares wanted"),
        required("verdict", STRING, "better, worse, open, early or mismatched"),
    ),
)
