"""No file outside the identity table and the raw files holds a raw id, and none holds the key."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.end_to_end.seeded_ids import MAIL, contents, find_tokens

pytestmark = pytest.mark.trial

ROOT = Path(__file__).parents[2]
KEYS = ("a-short-key-of-the-privacy-test", "a-key-that-is-longer-than-a-block-of-sha-256-" * 2)
BLOCK = 64
N_IDS = 1000
# The input of the run, its report, and a copy of its files in which people are erased.
RAW = ("raw", "seeded", "encoder", "result.json", "erased")
PLACES = {  # folder → a file of this kind has to be there, so that the search is not of nothing
    "tables": "*.parquet", "work": "*.parquet", "models": "*.safetensors",
    "checkpoint": "offsets/0", "eventlog": "events_*", "output": "plans.txt",
    "exported": "everyone.csv", ".": "stdout.txt",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The folder of a run of all jobs in a process of its own."""
    folder = tmp_path_factory.mktemp("privacy")
    command = [sys.executable, "-m", "tests.end_to_end.privacy_run", str(folder)]
    environment = {**os.environ, "PROFILE_PSEUDONYM_KEY": ",".join(KEYS)}
    with (folder / "stdout.txt").open("w") as out, (folder / "stderr.txt").open("w") as err:
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=out, stderr=err)
    assert done.returncode == 0, (folder / "stderr.txt").read_text()[-3000:]
    return folder


@pytest.fixture(scope="module")
def found(run) -> dict[Path, set[str]]:
    """The seeded ids in each file of the run except the raw ones."""
    return {file.relative_to(run): ids for file, ids in find_tokens(written_files(run)).items()}


def written_files(run: Path) -> list[Path]:
    """Return the files that the run wrote."""
    files = [file for file in run.rglob("*") if file.is_file()]
    return [file for file in files if file.relative_to(run).parts[0] not in RAW]


def read_result(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def test_the_run_did_everything_that_is_searched(run):
    result = read_result(run)
    assert set(result["codes"].values()) == {0}
    assert set(result["failing"].values()) == {2}
    for folder, pattern in PLACES.items():
        assert next((run / folder).rglob(pattern), None) is not None, folder
    assert {kind: bool(ids) for kind, ids in result["tokens"].items()} == dict.fromkeys(
        "uvoem", True
    )
    assert sum(map(len, result["tokens"].values())) >= N_IDS


def test_the_search_finds_raw_ids_where_they_are(run, found):
    users = set(read_result(run)["tokens"]["u"])
    in_identity = [ids for file, ids in found.items() if file.parts[0] == "identity"]
    assert len(set().union(*in_identity) & users) > 50


@pytest.fixture(scope="module")
def pseudonyms(run) -> re.Pattern[bytes]:
    """A pattern that finds the pseudonyms of all users."""
    files = list((run / "identity").rglob("*.parquet"))
    users = {user for file in files for user in pq.read_table(file)["user_id"].to_pylist()}
    return re.compile("|".join(users).encode())


@pytest.mark.parametrize("place", ["tables", "work", "exported"])
def test_the_search_finds_pseudonyms_where_they_are(run, pseudonyms, place):
    files = (file for file in (run / place).rglob("*") if file.is_file())
    assert len(set().union(*find_tokens(files, pseudonyms).values())) > 30


def test_models_hold_no_pseudonym(run, pseudonyms):
    files = (file for file in (run / "models").rglob("*") if file.is_file())
    assert find_tokens(files, pseudonyms) == {}


def test_no_file_outside_identity_holds_a_raw_id_of_a_user_session_order_or_event(found):
    ids = {
        str(file): {token for token in tokens if token[2] != MAIL}
        for file, tokens in found.items()
        if file.parts[0] != "identity"
    }
    assert {file: len(tokens) for file, tokens in ids.items() if tokens} == {}


def test_no_file_holds_an_address_that_a_person_wrote_into_a_text(found):
    mails = {str(file): sum(t[2] == MAIL for t in tokens) for file, tokens in found.items()}
    assert {file: n for file, n in mails.items() if n} == {}


def test_no_file_holds_an_erased_person_after_all_files_were_ingested_again(run):
    erased = read_result(run)["erased"]
    assert set(erased["codes"].values()) == {0}
    assert len(erased["raw_ids"]) == 100
    # Statistics of Delta hold the first 32 characters of a pseudonym.
    ids = [*erased["raw_ids"], *(pseudonym[:32] for pseudonym in erased["pseudonyms"])]
    pattern = re.compile("|".join(map(re.escape, ids)).encode(), re.IGNORECASE)
    before = (file for name in ("tables", "identity") for file in (run / name).rglob("*"))
    assert len(find_tokens(filter(Path.is_file, before), pattern)) > 30
    after = [file for file in (run / "erased").rglob("*") if file.is_file()]
    assert find_tokens(after, pattern) == {}
    assert (erased["n_events_added"], erased["n_suppressed"]) == (0, 1)


def test_the_receipts_of_erased_people_are_verified_and_name_the_models(run):
    erased = read_result(run)["erased"]
    assert erased["n_places"] > 30
    assert erased["n_unverified"] == 0
    assert sorted(erased["models"]) == [
        "train again with jobs/fit_recommender", "train again with jobs/train_model"
    ]  # fmt: skip


def key_forms(key: bytes) -> dict[str, bytes]:
    """Return the forms in which a plan, a log or an error might show a key."""
    block = (hashlib.sha256(key).digest() if len(key) > BLOCK else key).ljust(BLOCK, b"\0")
    pads = {f"{pad:#x}": bytes(b ^ pad for b in block) for pad in (0x36, 0x5C)}
    forms = {"key": key, **pads}
    return {
        f"{name} {form}": text
        for name, raw in forms.items()
        for form, text in {
            "bytes": raw,
            "hex": raw.hex().encode(),
            "HEX": raw.hex().upper().encode(),
            "spaced hex": raw.hex(" ").upper().encode(),  # as Spark shows binary values
            "base64": base64.b64encode(raw)[:40],
            "escaped": repr(raw)[2:-1].encode(),
            "signed bytes": ", ".join(str(b - 256 if b > 127 else b) for b in raw[:20]).encode(),
            "numbers": ",".join(map(str, raw[:20])).encode(),
        }.items()
    }


@pytest.mark.parametrize("key", KEYS)
def test_no_file_holds_a_key_in_any_form(run, key):
    forms = key_forms(key.encode())
    held = [
        (name, str(file.relative_to(run)))
        for file in written_files(run)
        for part in contents(file)
        for name, form in forms.items()
        if form in part
    ]
    assert held == []


def test_the_plans_and_settings_that_are_searched_for_the_key_are_those_of_ingestion(run):
    plans = (run / "output" / "plans.txt").read_text()
    assert "_inner_0" in plans
    assert "_outer_1" in plans
    assert "pseudonym_key" in (run / "output" / "settings.txt").read_text()
    assert "UNRESOLVED_COLUMN" in (run / "output" / "error.txt").read_text()
