"""Read the suppress list, which keeps erased people out."""

from pyspark.sql import DataFrame

from profile_lib.delta.store import Store
from profile_lib.tables import SUPPRESSED_IDS


def read_suppress_list(store: Store) -> DataFrame | None:
    """Return the tokens of erased people; None if nobody was erased."""
    if not store.exists(SUPPRESSED_IDS):
        return None
    return store.read(SUPPRESSED_IDS).select("token")
