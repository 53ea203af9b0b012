"""Declare every table once, one module per stage."""

from profile_lib.tables.catalog import ITEM_STATISTICS, ITEMS
from profile_lib.tables.events import EVENTS, REJECTED_EVENTS, SESSIONS
from profile_lib.tables.examples import EXAMPLES
from profile_lib.tables.features import BEHAVIOUR
from profile_lib.tables.feedback import (
    EXPERIMENT_READOUTS,
    FEEDBACK,
    FEEDBACK_MEASURES,
    IMPRESSIONS,
)
from profile_lib.tables.ingestion import DAILY_VALUE_COUNTS, DATA_QUALITY, INGESTED_FILES
from profile_lib.tables.privacy import PSEUDONYM_VERSIONS
from profile_lib.tables.profiles import PROFILE_REFRESH_STATE, USER_PROFILES, USER_PROFILES_HISTORY
from profile_lib.tables.recommendations import RECOMMENDATION_REFRESH_STATE, RECOMMENDATIONS
from profile_lib.tables.segments import AUDIENCES, CLUSTERINGS, CLUSTERS, USER_SEGMENTS
from profile_lib.tables.table import Table
from profile_lib.tables.users import IDENTITY, USERS

TABLES = (
    INGESTED_FILES, DATA_QUALITY, DAILY_VALUE_COUNTS, PSEUDONYM_VERSIONS, EVENTS, REJECTED_EVENTS,
    IDENTITY, USERS, ITEMS, ITEM_STATISTICS, SESSIONS, BEHAVIOUR, EXAMPLES, USER_PROFILES,
    PROFILE_REFRESH_STATE, USER_PROFILES_HISTORY, IMPRESSIONS, FEEDBACK, FEEDBACK_MEASURES,
    EXPERIMENT_READOUTS, USER_SEGMENTS, CLUSTERS, CLUSTERINGS, AUDIENCES, RECOMMENDATIONS,
    RECOMMENDATION_REFRESH_STATE,
)  # fmt: skip

__all__ = [
    "AUDIENCES",
    "BEHAVIOUR",
    "CLUSTERINGS",
    "CLUSTERS",
    "DAILY_VALUE_COUNTS",
    "DATA_QUALITY",
    "EVENTS",
    "EXAMPLES",
    "EXPERIMENT_READOUTS",
    "FEEDBACK",
    "FEEDBACK_MEASURES",
    "IDENTITY",
    "IMPRESSIONS",
    "INGESTED_FILES",
    "ITEMS",
    "ITEM_STATISTICS",
    "PROFILE_REFRESH_STATE",
    "PSEUDONYM_VERSIONS",
    "RECOMMENDATIONS",
    "RECOMMENDATION_REFRESH_STATE",
    "REJECTED_EVENTS",
    "SESSIONS",
    "TABLES",
    "Table",
    "USERS",
    "USER_PROFILES",
    "USER_PROFILES_HISTORY",
    "USER_SEGMENTS",
]
