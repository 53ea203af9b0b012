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

# Columns that impressions and feedback share.
IMPRESSION_COLUMNS: tuple[TableColumn, ...] = (
    required("impression_id", STRING, "id set by the system that showed the item", "raw id"),
    required("request_id", STRING, "id of the list, the same for all its slots", "raw id"),
    required("user_id", STRING, "pseudonym", "pseudonym"),
    required("item_id", STRING, "item"),
    required("slot", INT, "position in the list, from 1"),
    required("shown_ts", TIMESTAMP, "time of the impression, UTC"),
    required("shown_date", DATE, "UTC date of shown_ts"),
    required("sources", STRINGS, "candidate sources that proposed the item"),
    optional("segment", STRING, "segment of the user at the impression", "fact"),
    optional("propensity", DOUBLE, "probability of showing this item in this slot, 0 to 1"),
    required("model_version", STRING, "model that ranked the item"),
    optional("experiment", STRING, "name of the experiment that the request was part of"),
    optional("variant", STRING, "the user's arm of the experiment"),
    optional("query", STRING, "normalised search text; null if the list is not a search", "text"),
    optional("channel", STRING, "as in events"),
    optional("device", STRING, "as in events"),
    optional("region", STRING, "as in events", "fact"),
)

IMPRESSIONS = Table(
    "impressions",
    "Items shown, one row per slot of a list",
    key=("impression_id",),
    partition_by=("shown_date",),
    cluster_by=("user_id",),
    rebuild_instructions="move {path} away: later impressions are then logged into a new table",
    columns=(*IMPRESSION_COLUMNS, required("ingest_ts", TIMESTAMP, "time of arrival, UTC")),
)

FEEDBACK = Table(
    "feedback",
    "Impressions with the clicks and purchases that followed",
    key=("impression_id",),
    partition_by=("shown_date",),
    cluster_by=("user_id",),
    rebuild_instructions=rerun_instructions("record_feedback"),
    deletion_vectors=True,
    columns=(
        *IMPRESSION_COLUMNS,
        required("is_clicked", BOOLEAN, "whether a click is credited to the impression"),
        required("is_carted", BOOLEAN, "whether a cart event is credited to the impression"),
        required("is_bought", BOOLEAN, "whether a purchase is credited to the impression"),
        required(
            "revenue",
            DOUBLE,
            "price times quantity of these purchases less their returns, in the shop's currency",
        ),
        optional("clicked_ts", TIMESTAMP, "time of the first click credited to it, UTC"),
        required("is_complete", BOOLEAN, "whether all events of the feedback window are known"),
    ),
)


def _metric_with_interval(name: str, comment: str) -> Iterable[TableColumn]:
    yield optional(name, DOUBLE, comment)
    for suffix, end in (("low", "lower"), ("high", "upper")):
        yield optional(
            f"{name}_{suffix}", DOUBLE, f"{end} end of its interval; null if all users are alike"
        )


FEEDBACK_MEASURES = Table(
    "feedback_measures",
    "Click and purchase rates of a day's impressions, by slot, source, segment, model and more",
    key=("shown_date", "dimension", "value"),
    rebuild_instructions=rerun_instructions("record_feedback"),
    columns=(
        required("shown_date", DATE, "day of the impressions with complete feedback, UTC"),
        required("dimension", STRING, "column of feedback that impressions are grouped by, or all"),
        required("value", STRING, "value of the column, or item of its list; unknown for null"),
        required("n_users", LONG, "number of users with an impression"),
        required("n_impressions", LONG, "number of impressions"),
        required("n_clicked", LONG, "number of impressions clicked"),
        required("n_bought", LONG, "number of impressions bought, clicked or not"),
        required(
            "revenue", DOUBLE, "value of the purchases less their returns, in the shop's currency"
        ),
        *_metric_with_interval("ctr", "clicked impressions per impression, 0 to 1"),
        *_metric_with_interval("cvr", "bought impressions per clicked impression"),
        *_metric_with_interval(
            "revenue_per_1000", "revenue per 1,000 impressions, in the shop's currency"
        ),
    ),
)

EXPERIMENT_READOUTS = Table(
    "experiment_readouts",
    "Results of each experiment as of a day, valid at every look",
    key=("as_of_date", "experiment", "variant", "measure"),
    rebuild_instructions="move {path} away and run python jobs/record_feedback.py --config FILE",
    columns=(
        required("as_of_date", DATE, "UTC date until which events are known"),
        required("experiment", STRING, "name of the experiment"),
        required("variant", STRING, "arm that is compared with the control"),
        required("measure", STRING, "ctr, or revenue per user"),
        required("n_users", LONG, "number of users in the arm"),
        required("n_control", LONG, "number of users in the control"),
        optional("value", DOUBLE, "measure in the arm"),
        optional("control_value", DOUBLE, "measure in the control"),
        optional("difference", DOUBLE, "value less control_value"),
        optional("low", DOUBLE, "lower end of the difference's confidence sequence"),
        optional("high", DOUBLE, "upper end of the difference's confidence sequence"),
        optional("p_value", DOUBLE, "always-valid p-value of the hypothesis of no difference"),
        required("mismatch_p_value", DOUBLE, "always-valid p-value of the planned shares of users"),
        required("verdict", STRING, "better, worse, open, early or mismatched"),
    ),
)
