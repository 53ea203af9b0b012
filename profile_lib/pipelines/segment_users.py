"""Segment users by their profiles, and fill the audiences."""

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.pipelines.audiences import Audiences
from profile_lib.pipelines.cluster_users import ClusterRun
from profile_lib.tables import USER_PROFILES


def run(store: Store, settings: Settings) -> None:
    """Write user_segments, clusters, clusterings and audiences from the current profiles.

    Clusters stay as they are if neither the profiles nor their settings have changed. Raises
    InputError if the interest vectors cannot be compared and, before anything is written, if a rule
    or a list of seeds cannot be used.
    """
    version = store.version(USER_PROFILES)
    profiles = store.read(USER_PROFILES, version)
    audiences = Audiences(store, settings.segments, profiles)
    ClusterRun(store, settings.segments, profiles, version).catch_up()
    audiences.fill()
