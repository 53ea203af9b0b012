"""How stable clusters of interests are, week after week, on GA's clicks.

    python benchmarks/segments.py --config conf/ga.yaml --folder FOLDER

Reads events, items and users of the settings' tables and the model (run the jobs up to train_model
first), works on copies in FOLDER, which it deletes afterwards. The events of the first weeks come
in, profiles are refreshed and users put together; then a week at a time, the same again. Told is of
each run what `clusterings` says of it, how many clusters are known by their ids from the run before
and how many are new or retired. Writes benchmarks/results/segments.json.
"""

import argparse
from datetime import timedelta
from pathlib import Path
from typing import Any

from measure import save_result
from pyspark.sql import functions as F
from refresh import scratch_store, time_refresh

from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.pipelines import segment_users
from profile_lib.spark.session import start_spark
from profile_lib.tables import CLUSTERINGS, CLUSTERS, EVENTS

FIRST_WEEKS = 4
RUN_MEASURES = (
    "n_users", "n_clusters", "silhouette", "seed_adjusted_rand", "previous_adjusted_rand", "previous_mean_jaccard",
    "share_users_unchanged",
)  # fmt: skip


def summarise_runs(store: Store) -> list[dict[str, Any]]:
    """Of each run its measures, and what became of the clusters of the run before."""
    runs = []
    clusters = store.read(CLUSTERS).collect()  # few, ever
    for run in store.read(CLUSTERINGS).orderBy("version").collect():
        version = run["version"]
        entry = {name: round(run[name], 4) for name in RUN_MEASURES if run[name] is not None}
        entry["until"] = str(run["as_of_ts"].date())
        entry["new"] = sum(row["first_version"] == version for row in clusters)
        entry["retired"] = sum(row["last_version"] == version - 1 for row in clusters)
        runs.append(entry)
    alive = [row for row in clusters if not row["is_retired"]]
    runs[-1]["descriptions"] = {row["cluster_id"]: row["description"] for row in alive}
    return runs


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="conf/ga.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    parser.add_argument("--folder", required=True, help="where the copies are written")
    arguments = parser.parse_args()
    settings = load_settings(arguments.config, arguments.set)
    source = Store(start_spark(settings.spark, "benchmark"), settings.paths.tables)
    events, day = source.read(EVENTS), F.col("event_date")
    first, last = events.agg(F.min(day), F.max(day)).collect()[0]
    until = first + timedelta(weeks=FIRST_WEEKS)
    folder = Path(arguments.folder) / "segments_benchmark"
    with scratch_store(source, folder, events.where(day < F.lit(until))) as store:
        while True:
            time_refresh(store, settings)
            segment_users.run(store, settings)
            if until > last:
                break
            after = until + timedelta(weeks=1)
            store.append(EVENTS, events.where((day >= F.lit(until)) & (day < F.lit(after))))
            until = after
        runs = summarise_runs(store)
    save_result("segments", Path(arguments.config).stem, {"first_weeks": FIRST_WEEKS, "runs": runs})


if __name__ == "__main__":
    main()
