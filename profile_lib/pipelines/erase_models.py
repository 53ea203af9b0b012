"""List the models that were trained on rows of erased people."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.erasing import version_at
from profile_lib.delta.store import Store
from profile_lib.model.manifest import MANIFEST_FILE, read_manifest
from profile_lib.pipelines.erasure_receipts import Place, write_places
from profile_lib.tables import ERASURE_RECEIPTS, Table
from profile_lib.training.tracking import Tracker

ENCODER_FILE = "training.json"  # of an encoder that was pretrained on texts of the shop


def list_models(
    store: Store, settings: Settings, tables: Sequence[Table], found: Mapping[str, datetime]
) -> None:
    """Add the models that read tables before they were clean to the receipts.

    `found` maps each request to the time from which no table had a row of its people; `tables` are
    those with rows about users. A request whose people had no row saw no model.
    """
    receipts = store.read(ERASURE_RECEIPTS).where("kind = 'file'").select("request").distinct()
    for request, found_ts in found.items():
        people = receipts.where(F.col("request") == request)
        if people.isEmpty():
            continue
        versions = {table.name: version_at(store, table, found_ts) for table in tables}
        folders = _find_folders(settings, versions, found_ts)
        write_places(store, people, [*folders, *_find_registered(settings, found_ts)])


def _find_folders(
    settings: Settings, versions: dict[str, int], found_ts: datetime
) -> Iterator[Place]:
    for folder in sorted(Path(settings.paths.models).glob("*")):
        if (folder / MANIFEST_FILE).is_file():
            manifest = read_manifest(str(folder))
            read = manifest.table_versions
            if any(read[name] < version for name, version in versions.items() if name in read):
                action = f"train again with jobs/{_find_job(settings, folder.name)}"
                yield f"{folder} {manifest.model_version}", "model", None, action
        elif _is_older(folder / ENCODER_FILE, found_ts):
            yield str(folder), "model", None, "train again with jobs/pretrain_encoder"


def _is_older(file: Path, found_ts: datetime) -> bool:
    return file.is_file() and file.stat().st_mtime < found_ts.timestamp()


def _find_job(settings: Settings, name: str) -> str:
    if name == settings.recommend.name:
        return "fit_recommender"
    return "train_model" if name == settings.training.name else "train_model or compress_model"


def _find_registered(settings: Settings, found_ts: datetime) -> Iterator[Place]:
    """Yield the versions in MLflow's registry from before `found_ts`."""
    mlflow = Tracker.from_settings(settings.tracking.model_dump()).mlflow
    if mlflow is None:
        return
    for name, version, created_ts in mlflow.list_versions():
        if created_ts < found_ts:
            place = f"{mlflow.uri} {name} version {version}"
            yield place, "model", None, "train again with jobs/train_model and delete the version"
