"""Build training examples: model input as of a cutoff, labelled with later events."""

from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.examples.labels import label_cutoffs
from profile_lib.examples.split import sample_negatives, split_by_time
from profile_lib.features.model_inputs import select_model_inputs
from profile_lib.features.tokens import add_tokens
from profile_lib.model.encoder_source import encoder_folder
from profile_lib.pipelines.person_data import read_person_events, read_person_users
from profile_lib.spark.timestamps import midnight
from profile_lib.tables import BEHAVIOUR, EXAMPLES, ITEMS


def run(store: Store, settings: Settings, day: date | None = None) -> None:
    """Build the examples of all cutoffs in `behaviour`, or of those on `day`.

    Raises InputError if `model.encoder` names no encoder that can be used.
    """
    config = settings.examples
    horizon = timedelta(hours=config.horizon_hours)
    behaviour = store.read(BEHAVIOUR)
    if day is not None:
        behaviour = behaviour.where(F.to_date("cutoff_ts") == F.lit(day))
    cutoffs = split_by_time(
        behaviour.select("user_id", "cutoff_ts"),
        midnight(config.validation_from),
        midnight(config.test_from),
        horizon,
    )
    labelled = label_cutoffs(
        cutoffs,
        _select_later_events(read_person_events(store), cutoffs, horizon),
        store.read(ITEMS),
        read_person_users(store),
        horizon,
    )
    sampled = sample_negatives(labelled, config.negative_downsampling_rate, config.seed)
    inputs = add_tokens(
        select_model_inputs(behaviour, config.max_text_events),
        encoder_folder(settings.model.encoder),
        config.max_tokens,
    )
    examples = sampled.join(inputs, ["user_id", "cutoff_ts"])
    where = None if day is None else f"CAST(cutoff_ts AS DATE) = '{day}'"
    store.replace(EXAMPLES, examples, where=where)


def _select_later_events(events: DataFrame, cutoffs: DataFrame, horizon: timedelta) -> DataFrame:
    """Select the events on the dates that the horizons of cutoffs touch."""
    end = F.col("cutoff_ts") + F.lit(horizon)
    dates = F.explode(F.sequence(F.to_date("cutoff_ts"), F.to_date(end))).alias("date")
    rows = cutoffs.select(dates).distinct().collect()  # one row per day
    return events.where(F.col("event_date").isin(*(row["date"] for row in rows)))
