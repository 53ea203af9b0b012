"""Measure how stable the clusters of interests are from week to week on GA's clicks.

    python -m benchmarks.segments --config conf/ga.yaml --folder FOLDER

Reads events, items and users of the settings' tables and the model (run the jobs up to train_model
first), works on copies in FOLDER and deletes them afterwards. Starts with the events of the first
weeks, refreshes profiles and clusters users, then repeats this with one more week at a time. Writes
benchmarks/results/segments.json: the measures of each run from `clusterings`, and how many clusters
are new or retired.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from benchmarks.measure import make_parser, save_result
from benchmarks.refresh import scratch_store, time_refresh
from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.pipelines import segment_users
from profile_lib.spark.session import start_spark
from profile_lib.tables import CLUSTERINGS, CLUSTERS, EVENTS

FIRST_WEEKS = 4
RUN_MEASURES = (
    "silhouette", "seed_adjusted_rand", "previous_adjusted_rand", "share_users_unchanged"
)  # fmt: skip


def summarise_runs(store: Store) -> dict[str, Any]:
    """The measures of each run, and its new and retired clusters, by its last day."""
    runs = {}
    clusters = store.read(CLUSTERS).collect()
    for run in store.read(CLUSTERINGS).orderBy("version").collect():
        version = run["version"]
        runs[str(run["as_of_ts"].date())] = {
            "n_users": run["n_users"],
            "n_clusters": run["n_clusters"],
            "new": sum(row["first_version"] == version for row in clusters),
            "retired": sum(row["last_version"] == version - 1 for row in clusters),
            **{name: round(run[name], 4) for name in RUN_MEASURES if run[name] is not None},
        }
    return runs


def main() -> None:
    """Cluster users week after week and save the measures."""
    arguments = make_parser(__doc__, folder_help="where the copies are written").parse_args()
    settings = load_settings(arguments.config, arguments.set)
    source = Store(
        start_spark(settings.spark, "benchmark"), settings.paths.tables, settings.paths.identity
    )
    events, day = source.read(EVENTS), F.col("event_date")
    first, last = events.agg(F.min(day), F.max(day)).collect()[0]
    end = first + timedelta(weeks=FIRST_WEEKS)
    folder = arguments.folder / "segments_benchmark"
    with scratch_store(source, folder, events.where(day < F.lit(end))) as store:
        while True:
            time_refresh(store, settings)
            segment_users.run(store, settings)
            if end > last:
                break
            next_end = end + timedelta(weeks=1)
            store.append(EVENTS, events.where((day >= F.lit(end)) & (day < F.lit(next_end))))
            end = next_end
        runs = summarise_runs(store)
    result = {"first_weeks": FIRST_WEEKS, "runs_by_last_day": runs}
    save_result("segments", Path(arguments.config).stem, result)


if __name__ == "__main__":
    main()
