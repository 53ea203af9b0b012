"""user_profiles → user_segments, clusters with the record of their runs, and audiences."""

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.pipelines.audiences import Audiences
from profile_lib.pipelines.cluster_users import ClusterRun
from profile_lib.tables import USER_PROFILES


def run(store: Store, settings: Settings) -> None:
    """Put users together by the profiles as they are now, and fill the audiences.

    Nothing new in the profiles and the settings of clusters: these stay. Raises InputError where a
    day is given, where a rule or a list of users cannot be used, before anything is written, and
    where the interest vectors cannot be compared.
    """
    version = store.version(USER_PROFILES)
    profiles = store.read(USER_PROFILES, version)
    audiences = Audiences(store, settings.segments, profiles)
    ClusterRun(store, settings.segments, profiles, version).catch_up()
    audiences.fill()
