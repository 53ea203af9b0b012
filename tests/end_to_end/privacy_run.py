"""Run all jobs on a seeded shop in one process, with every log in a file.

    python -m tests.end_to_end.privacy_run FOLDER

The key is in the environment. FOLDER gets the raw files, tables, models, checkpoints, logs and
event logs, and in `output` what a person may print: plans, settings and error messages. In a copy
of the tables and other folders, FOLDER/erased, people are erased and all files ingested again.
"""

import gzip
import json
import runpy
import shutil
import sys
import traceback
from datetime import datetime
from pathlib import Path

from pyspark.errors import AnalysisException

from profile_lib.config.settings import Settings, load_settings
from profile_lib.delta.store import Store
from profile_lib.events.readers import read_input
from profile_lib.pipelines.event_source import open_source
from profile_lib.spark.session import start_spark
from profile_lib.tables import DATA_QUALITY, ERASURE_RECEIPTS, EVENTS, IDENTITY, INGESTED_FILES
from tests.end_to_end.seeded_ids import make_token, seed_files
from tests.recommending import log_impressions_of_views
from tests.worlds import tiny_shop

ROOT = Path(__file__).parents[2]
JOBS = (
    "ingest_events", "build_sessions", "build_behaviour", "build_examples", "train_model",
    "refresh_profiles", "segment_users", "fit_recommender", "recommend_items",
)  # fmt: skip
LATE_FILE = "part-late.json.gz"  # arrives before the stream
N_ERASED = 100
COPIED = ("tables", "identity", "models", "work", "exported", "checkpoint")


def write_settings(folder: Path) -> str:
    """Write the settings of a shop of a few users, whose Spark logs its events uncompressed."""
    conf = {
        "spark.eventLog.enabled": "true", "spark.eventLog.dir": f"file://{folder}/eventlog",
        "spark.eventLog.compress": "false", "spark.local.dir": f"{folder}/local",
    }  # fmt: skip
    seeded = {name: f"{folder}/seeded/{name}" for name in ("events", "users")}
    audiences = {"everyone": "n_orders >= 0"}
    return tiny_shop(
        folder,
        spark={"conf": conf},
        simulate={"n_users": 150},
        ingest={"inputs": seeded, "pseudonym_key": None},
        training={"n_processes": 1, "baseline_rows": 200, "bootstrap_resamples": 5},
        segments={"audiences": audiences, "export_folder": f"{folder}/exported"},
        stream={"checkpoint": f"{folder}/checkpoint", "source": "files"},
        recommend={"min_clicks": 50},
    )


def run_job(name: str, *arguments: str) -> int:
    """Run a job in this process, with its settings; return its exit code."""
    sys.argv = [name, *arguments]
    try:
        runpy.run_path(str(ROOT / "jobs" / f"{name}.py"), run_name="__main__")
    except SystemExit as exit:
        return int(exit.code or 0)
    return 0


def run_failing_jobs(folder: Path, config: str) -> dict[str, int]:
    """Ingest files that cannot be ingested, with ids in every place that a message may show."""
    broken = folder / "seeded" / "broken"
    broken.mkdir()
    rows = [
        {"uid": make_token("u", n), "time": make_token("e", n), "action": make_token("v", n)}
        for n in range(20)
    ]
    (broken / "a.json").write_text("\n".join(map(json.dumps, rows)))
    torn = folder / "seeded" / "torn"
    torn.mkdir()
    (torn / "a.json.gz").write_bytes(gzip.compress(json.dumps(rows).encode())[:-9])
    sets = {
        "too many rejected rows": f"ingest.inputs.events={broken}",
        "a torn file": f"ingest.inputs.events={torn}",
        "a wrong key": 'ingest.pseudonym_key="another key"',
        "a key that is no text": "ingest.pseudonym_key=12345678",
    }
    return {
        name: run_job("ingest_events", "--config", config, "--set", change)
        for name, change in sets.items()
    }


def print_everything(store: Store, settings: Settings, output: Path) -> None:
    """Write the plans of ingestion and all forms of the settings to files."""
    output.mkdir()
    source = open_source(store.spark, settings.ingest)
    (plan,) = source.event_plans
    rows = read_input(store.spark, plan, settings.ingest.inputs["events"])
    judged = source.judge_rows(rows, plan, source.read_lookups(store.spark), datetime(2027, 1, 1))
    judged.count()
    query = judged._jdf.queryExecution()
    plans = [query.toString(), query.stringWithStats(), query.logical().toJSON()]
    (output / "plans.txt").write_text("\n".join(plans))
    forms = [repr(settings), str(settings), settings.model_dump(), settings.model_dump_json()]
    (output / "settings.txt").write_text("\n".join(map(str, [*forms, source.pseudonyms, source])))
    try:
        judged.select("no such column").count()
    except AnalysisException:
        (output / "error.txt").write_text(traceback.format_exc())


def erase_people(spark, folder: Path, config: str) -> dict:
    """Erase people in a copy, then ingest all files again and refresh.

    Returns exit codes, the raw ids and pseudonyms of the people, and counts of rows.
    """
    copy = folder / "erased"
    for name in COPIED:
        shutil.copytree(folder / name, copy / name)
    store = Store(spark, str(copy / "tables"), str(copy / "identity"))
    people = store.read(IDENTITY).orderBy("user_id").limit(N_ERASED).collect()
    requests = copy / "requests.csv"
    requests.write_text("raw_id,space\n" + "".join(f"{p.raw_id},{p.source}\n" for p in people))
    changes = {
        **{f"paths.{name}": name for name in COPIED[:4]},
        "segments.export_folder": "exported", "stream.checkpoint": "checkpoint",
    }  # fmt: skip
    arguments = ["--config", config]
    for key, name in changes.items():
        arguments += ["--set", f"{key}={copy}/{name}"]
    erase = ("--set", f"erase.requests={requests}", "--set", "erase.grace_hours=0")
    codes = {"erase_users": run_job("erase_users", *arguments, *erase)}
    requests.unlink()
    n_events = store.read(EVENTS).count()
    shutil.rmtree(store.path(INGESTED_FILES))
    for name in ("ingest_events", "refresh_profiles"):
        codes[name] = run_job(name, *arguments)
    receipts = store.read(ERASURE_RECEIPTS)
    return {
        "codes": codes,
        "raw_ids": [person["raw_id"] for person in people],
        "pseudonyms": [person["user_id"] for person in people],
        "n_events_added": store.read(EVENTS).count() - n_events,
        "n_suppressed": store.read(DATA_QUALITY).where("rule = 'suppressed'").count(),
        "n_places": receipts.count(),
        "n_unverified": receipts.where("verified_ts IS NULL AND action IS NULL").count(),
        "models": [row["action"] for row in receipts.where("kind = 'model'").collect()],
    }


def main(folder: Path) -> None:
    """Run the jobs; write their exit codes and all seeded ids to FOLDER/result.json."""
    config = write_settings(folder)
    for name in ("eventlog", "local"):
        (folder / name).mkdir()
    settings = load_settings(config)
    spark = start_spark(settings.spark, "privacy")
    store = Store(spark, settings.paths.tables, settings.paths.identity)
    codes = {"simulate_events": run_job("simulate_events", "--config", config)}
    tokens = seed_files(folder / "raw" / "events", folder / "seeded" / "events")
    seed_files(folder / "raw" / "users", folder / "seeded" / "users")
    files = sorted((folder / "seeded" / "events").glob("*.gz"))
    late = files[-1].rename(folder / LATE_FILE)
    for name in JOBS:
        codes[name] = run_job(name, "--config", config)
        if name == "segment_users":
            codes["record_feedback"] = int(log_impressions_of_views(store, settings) == 0)
    late.rename(folder / "seeded" / "events" / LATE_FILE)
    codes["stream_profiles"] = run_job("stream_profiles", "--config", config, "--once")
    codes["maintain_tables"] = run_job("maintain_tables", "--config", config)
    failing = run_failing_jobs(folder, config)
    print_everything(store, settings, folder / "output")
    erased = erase_people(spark, folder, config)
    spark.stop()
    result = {
        "erased": erased,
        "codes": codes,
        "failing": failing,
        "tokens": {kind: sorted(values) for kind, values in tokens.items()},
    }
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
