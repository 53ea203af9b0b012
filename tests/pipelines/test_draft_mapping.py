"""Check that a draft is written once, from files or a table, and that it ingests its source."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from profile_lib.config.settings import load_settings
from profile_lib.errors import InputError
from profile_lib.pipelines import draft_mapping, ingest_events
from profile_lib.tables import DATA_QUALITY, EVENTS

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROWS = "\n".join(
    ["Kunde;Zeit;Aktion;Artikelnr;Preis;Menge;Bestellnummer"]
    + [
        f"k{n % 4};{n % 28 + 1:02}.11.2025 09:30;{('Ansicht', 'Kauf')[n % 5 == 0]};a{n % 7};"
        f"{n},50;{n % 3 + 1};{f'b{n}' if n % 5 == 0 else ''}"
        for n in range(40)
    ]
)


def settings_of(tmp_path: Path, **draft: object):
    values = {"path": str(tmp_path / "raw"), "output": str(tmp_path / "my" / "shop.yaml")} | draft
    return load_settings("dev", [f"draft.{key}={json.dumps(v)}" for key, v in values.items()])


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A folder with a file whose name says nothing."""
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "part-0").write_text(ROWS, encoding="cp1252")
    return folder


@pytest.mark.usefixtures("raw")
def test_a_draft_is_written_and_never_over_an_existing_file(store, tmp_path):
    settings = settings_of(tmp_path)
    draft_mapping.run(store, settings)
    drafted = yaml.safe_load((tmp_path / "my" / "shop.yaml").read_text("utf-8"))
    assert (drafted["name"], drafted["columns"]["user_id"]) == ("raw", "Kunde")
    with pytest.raises(InputError, match="shop.yaml exists; move it, or set another path"):
        draft_mapping.run(store, settings)


def test_a_missing_path_is_refused_with_what_to_do(store, tmp_path):
    with pytest.raises(InputError, match="draft.path: null, wanted the path of the files"):
        draft_mapping.run(store, settings_of(tmp_path, path=None))
    with pytest.raises(InputError, match="raw"):
        draft_mapping.run(store, settings_of(tmp_path))


def test_a_table_is_described_with_its_types(store, rows, tmp_path):
    frame = rows(
        "user_id string, seen timestamp, action string, "
        "items array<struct<sku: string, price: double>>",
        *[(f"u{n % 3}", NOW, "view", [(f"i{n}", 1.5), (f"j{n}", 2.5)]) for n in range(8)],
    )
    frame.write.format("delta").save(str(tmp_path / "raw"))
    draft_mapping.run(store, settings_of(tmp_path))
    drafted = yaml.safe_load((tmp_path / "my" / "shop.yaml").read_text("utf-8"))
    assert drafted == {
        "name": "raw",
        "inputs": {"events": {"format": "delta", "unfold": {"column": "items", "alias": "item"}}},
        "columns": {
            "user_id": "user_id",
            "event_ts": "seen",
            "event_type": "action",
            "item_id": "item.sku",
            "price": "item.price",
        },
        "event_types": {"view": "view"},
    }


@pytest.mark.slow
def test_a_draft_whose_guesses_are_right_ingests_every_row(store, raw, tmp_path):
    output = tmp_path / "shop.yaml"
    ingest = {"mapping": str(output), "inputs": {"events": str(raw)}, "pseudonym_key": "k"}
    settings = load_settings(
        "dev",
        [f"draft.path={raw}", f"draft.output={output}"]
        + [f"ingest.{key}={json.dumps(value)}" for key, value in ingest.items()],
    )
    draft_mapping.run(store, settings)
    ingest_events.run(store, settings, now=NOW)
    rules = store.read(DATA_QUALITY).where("n_rows > 0").select("rule", "n_rows").collect()
    assert sorted(map(tuple, rules)) == [("kept", 40), ("read", 40)]
    first = store.read(EVENTS).where("event_type = 'purchase'").orderBy("price").first()
    assert (first["item_id"], first["price"], first["quantity"]) == ("a0", 0.5, 1.0)
    assert first["event_ts"] == datetime(2025, 11, 1, 9, 30)
