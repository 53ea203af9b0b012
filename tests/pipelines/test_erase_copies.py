"""Copies of erased people outside the tables are removed, with a receipt for each."""

from datetime import UTC, datetime, timedelta

from profile_lib.pipelines.erase_copies import erase_copies
from profile_lib.tables import ERASURE_RECEIPTS
from tests.worlds import dev_settings


def test_the_folder_of_a_training_goes_with_its_checkpoints_elsewhere(store, tmp_path):
    settings = dev_settings(tmp_path, f"training.checkpoint_path={tmp_path}/checkpoints")
    copies = [f"{settings.paths.work}/train_profiles", f"{tmp_path}/checkpoints/train_profiles"]
    for copy in copies:
        folder = tmp_path / copy / "step-1"
        folder.mkdir(parents=True)
        (folder / "rows").write_text("ann")
    people = store.spark.createDataFrame([("r", "ann")], "request string, user_id string")
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert erase_copies(store, settings, people, later)
    assert not any((tmp_path / copy).exists() for copy in copies)
    receipts = store.read(ERASURE_RECEIPTS).where("n_bytes IS NOT NULL").collect()
    assert sorted(row["place"] for row in receipts) == sorted(copies)
