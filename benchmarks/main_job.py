"""Measure the main job: the demo, and GA from files to profiles.

    python -m benchmarks.main_job demo ga [--keep FOLDER]

`demo` is `make demo` in a folder of its own; `ga` is the whole job on two months of GA, whose
tables and model stay in FOLDER for other benchmarks. Writes benchmarks/results/main_job.json.
"""

import argparse
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from benchmarks.measure import (
    job_command,
    open_store,
    read_report_summary,
    run_measured,
    run_parts,
    settings_in_folder,
)
from profile_lib.config.settings import Settings
from profile_lib.tables import EVENTS, IDENTITY, SESSIONS, USER_PROFILES


def demo(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure `make demo` after set-up, and how many profiles find the user's true interest."""
    config = "conf/demo.yaml"
    with tempfile.TemporaryDirectory() as folder:
        settings, overrides = settings_in_folder(Path(folder), config)
        command = job_command("run_all", config, overrides)
        measured = run_measured(command, Path(folder) / "log")
        interests = measure_true_interests(settings)
        return measured | interests | {"test": read_report_summary(settings)}


def ga(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure August and September of GA from files to the profile of every user seen."""
    config, kept_folder = "conf/ga.yaml", arguments.keep
    with nullcontext(kept_folder) if kept_folder else tempfile.TemporaryDirectory() as folder:
        settings, overrides = settings_in_folder(Path(folder), config)
        log = Path(folder) / "log"
        measured = run_measured(job_command("run_all", config, overrides), log)
        print(log.read_text()[-6000:])
        store = open_store(settings)
        rows = {t.name: store.read(t).count() for t in (EVENTS, SESSIONS, USER_PROFILES)}
        return measured | {"rows": rows, "test": read_report_summary(settings)}


def measure_true_interests(settings: Settings) -> dict[str, Any]:
    """Return how many users have 10 or more events, and the share whose top interest is true."""
    store = open_store(settings)
    truth = store.spark.read.parquet(f"{settings.simulate.truth_path}/users")
    raw_ids = store.read(IDENTITY).select("user_id", F.col("raw_id").alias("uid"))
    n_events = store.read(EVENTS).groupBy("user_id").count().where("count >= 10")
    judged = (
        store.read(USER_PROFILES)
        .join(n_events, "user_id")
        .join(raw_ids, "user_id")
        .join(truth.where("NOT is_bot"), "uid")
        .select((F.get("categories", F.lit(0))["name"] == F.col("top_category")).alias("is_true"))
    )
    row = judged.agg(F.count("*"), F.avg(F.col("is_true").cast("int"))).first()
    assert row is not None
    return {"users_with_10_events": row[0], "true_top_category": round(row[1], 4)}


PARTS = {"demo": demo, "ga": ga}


def main() -> None:
    """Run the requested parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--keep", help="an empty folder for GA's tables and model")
    arguments = parser.parse_args()
    run_parts("main_job", PARTS, arguments.parts, arguments)


if __name__ == "__main__":
    main()
