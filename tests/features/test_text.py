"""Check the text that the encoder reads, and its tokens."""

import json
import shutil
from datetime import datetime
from pathlib import Path

from pyspark.sql import functions as F

from profile_lib.features.text import build_behaviour_text
from profile_lib.features.tokens import add_tokens
from profile_lib.model.encoder_source import encoder_folder

RECENT = (
    "recent array<struct<event_ts timestamp, event_type string, item_id string, title string, "
    "category string, text string, price_level double>>"
)
LIKED = "array<struct<name string, weight double>>"


def at(hour: int, minute: int = 0, day: int = 1) -> datetime:
    return datetime(2026, 1, day, hour, minute)


def text(rows, recent, liked=(), contexts=(), depth=0, max_events=9):
    schema = f"{RECENT}, liked {LIKED}, contexts array<string>, depth int"
    frame = rows(schema, (recent, [(name, 1.0) for name in liked], list(contexts), depth))
    columns = [F.col(name) for name in ("recent", "liked", "contexts", "depth")]
    behaviour_text = build_behaviour_text(*columns, max_events)
    return frame.select(behaviour_text.alias("t")).first().t


def test_the_text_lists_events_newest_first_with_kind_item_price_query_and_gaps(rows):
    recent = [
        (at(9, 20, day=2), "cart", "1", "blue mug", "drinkware", None, 0.9),
        (at(9, 19, day=2), "view", "1", "blue mug", "drinkware", None, 0.9),
        (at(9), "search", None, None, None, "mug", None),
    ]
    assert text(rows, recent) == (
        "likes [SEP] cart blue mug expensive drinkware [SEP] "
        "view blue mug expensive drinkware days later [SEP] search mug"
    )


def test_only_the_newest_events_are_in_the_text(rows):
    recent = [(at(9, minute), "page", None, None, None, str(minute), None) for minute in (3, 2, 1)]
    assert text(rows, recent, max_events=2) == "likes [SEP] page 3 [SEP] page 2"


def test_a_query_cannot_contain_the_separator(rows):
    recent = [(at(9), "search", None, None, None, "x [SEP] y", None)]
    assert text(rows, recent).count("[SEP]") == 1


def test_the_three_strongest_categories_come_first(rows):
    recent = [(at(9), "search", None, None, None, "mug", None)]
    behaviour_text = text(rows, recent, liked=("drinkware", "home [x]", "toys", "pets"))
    assert behaviour_text == "likes drinkware home  x  toys [SEP] search mug"


def test_the_reached_funnel_step_comes_first_so_that_truncation_keeps_it(rows):
    assert text(rows, [], ["bags"], depth=1) == "reached cart likes bags"
    assert text(rows, [], ["bags"], depth=7) == "reached done likes bags"


def test_known_contexts_follow_the_categories(rows):
    assert text(rows, [], ["bags"], ["Mobile", None, "Direct"]) == "likes bags from mobile direct"


def test_a_user_without_events_and_interests_has_a_text(rows):
    assert text(rows, []) == "likes"


def test_token_arrays_are_padded_to_one_length_and_keep_their_true_length(rows):
    frame = rows(
        "id int, text string",
        (1, "view blue mug"),
        (2, "view " * 50),
        (3, "view blue mug"),
        (4, ""),
    )
    tokens = add_tokens(frame, encoder_folder("default"), 8).orderBy("id").collect()
    view, blue, mug = 3193, 2630, 14757
    assert tokens[0].token_ids == [101, view, blue, mug, 102, 0, 0, 0]
    assert tokens[1].token_ids == [101] + [view] * 6 + [102]
    assert tokens[2].token_ids == tokens[0].token_ids
    assert [row.n_tokens for row in tokens] == [5, 8, 5, 2]


def test_tokens_are_those_that_transformers_makes(rows):
    from transformers import AutoTokenizer

    texts = ["View BLUE mug 19.90", "买 蓝色 杯子", "café | straße [SEP] x", "", "a " * 40]
    frame = rows("id int, text string", *enumerate(texts))
    tokens = add_tokens(frame, encoder_folder("default"), 16).orderBy("id").collect()
    tokenizer = AutoTokenizer.from_pretrained(encoder_folder("default"))
    expected = tokenizer(texts, truncation=True, max_length=16, padding="max_length")
    assert [row.token_ids for row in tokens] == expected["input_ids"]
    assert [row.n_tokens for row in tokens] == [sum(mask) for mask in expected["attention_mask"]]


def test_events_are_separated_by_the_tokenizers_own_separator(rows, tmp_path):
    from transformers import BertTokenizer

    words = ["<pad>", "[UNK]", "<s>", "</s>", "<mask>", "view", "red"]
    BertTokenizer(
        vocab={word: i for i, word in enumerate(words)}, sep_token="</s>", pad_token="<pad>",
        cls_token="<s>", mask_token="<mask>",
    ).save_pretrained(tmp_path)  # fmt: skip
    frame = add_tokens(rows("text string", ("view red [SEP] view",)), str(tmp_path), 8)
    assert frame.first().token_ids == [2, 5, 6, 3, 5, 3, 0, 0]


def test_a_tokenizer_without_a_padding_token_in_its_config_is_read_by_transformers(rows, tmp_path):
    folder = Path(encoder_folder("default"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    assert config.pop("pad_token") == "[PAD]"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "vocab.txt", "config.json"):
        shutil.copy(folder / name, tmp_path)
    tokens = add_tokens(rows("text string", ("view blue mug",)), str(tmp_path), 8).collect()
    assert tokens[0].token_ids == [101, 3193, 2630, 14757, 102, 0, 0, 0]
