"""Average the ratings that a user gave."""

from profile_lib.features.event_log import EventLog
from profile_lib.features.numeric.registry import FeatureColumns, numeric_feature
from profile_lib.tables.table import DOUBLE, optional


@numeric_feature(optional("rating", DOUBLE, "mean rating by the user, stars, 1 to 5"))
def average_ratings(log: EventLog) -> FeatureColumns:
    """Average the ratings."""
    yield "rating", log.pairs.mean(log["rating"])
