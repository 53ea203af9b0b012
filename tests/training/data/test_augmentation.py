"""Test what augmentation may change in a training text, and what it may not."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profile_lib.training.data.augmentation import Augmenter, Substitutes
from profile_lib.training.data.near_words import find_substitutes
from profile_lib.training.plan import Augmentation

PAD, CLS, SEP, PAUSE, VIEW, CART = 0, 1, 2, 3, 4, 5
RED, CRIMSON, BLUE = 6, 7, 8
NO_SUBSTITUTES = Substitutes(
    np.arange(10), *(np.zeros(0, int),) * 3, np.zeros(0, np.uint64), np.zeros((0, 5), int)
)
HEAD = [CLS, RED, SEP]


def batch(*texts: list[int]) -> dict[str, np.ndarray]:
    width = max(map(len, texts))
    return {
        "token_ids": np.array([t + [PAD] * (width - len(t)) for t in texts]),
        "n_tokens": np.array([len(t) for t in texts]),
        "row_hash": np.arange(len(texts)) * 7919,
        "weight": np.ones(len(texts)),
    }


def augment(rows, substitutes=NO_SUBSTITUTES, max_tokens=40, seed=(1,), **rates) -> list[list[int]]:
    augmenter = Augmenter(Augmentation(**rates), substitutes, SEP, PAUSE, PAD, max_tokens)
    changed = augmenter.augment(rows, seed)
    pairs = zip(changed["token_ids"], changed["n_tokens"], strict=True)
    return [ids[:n].tolist() for ids, n in pairs]


def split_events(text: list[int]) -> list[list[int]]:
    """Return the events of a text, each with its separator, without the head."""
    parts: list[list[int]] = [[]]
    for token in text:
        parts[-1].append(token)
        if token == SEP:
            parts.append([])
    return parts[1:-1]


EVENT = st.lists(st.sampled_from([VIEW, RED, BLUE, PAUSE]), min_size=1, max_size=4)
TEXTS = st.lists(st.lists(EVENT, max_size=6), min_size=1, max_size=5)


def to_texts(rows) -> list[list[int]]:
    return [HEAD + [token for event in row for token in (*event, SEP)] for row in rows]


@given(TEXTS)
def test_rates_of_zero_change_nothing(rows):
    texts = to_texts(rows)
    assert augment(batch(*texts)) == texts


@given(TEXTS, st.integers(0, 5))
def test_deletion_keeps_the_head_and_the_order_of_the_other_events(rows, seed):
    texts = to_texts(rows)
    for before, after in zip(
        texts, augment(batch(*texts), seed=(seed,), deletions=0.5), strict=True
    ):
        assert after[:3] == HEAD
        remaining = iter(split_events(before))
        assert all(event in remaining for event in split_events(after))  # a subsequence


@given(TEXTS, st.integers(0, 5))
def test_events_are_reordered_only_between_pauses(rows, seed):
    texts = to_texts(rows)
    for before, after in zip(
        texts, augment(batch(*texts), seed=(seed,), reorderings=0.7), strict=True
    ):
        old, new = split_events(before), split_events(after)
        assert sorted(map(tuple, old)) == sorted(map(tuple, new))
        pauses = [i for i, event in enumerate(old) if event[-2] == PAUSE]
        assert all(old[i] == new[i] for i in pauses)
        for start, end in zip([-1, *pauses], [*pauses, len(old)], strict=True):
            session = slice(start + 1, end)
            assert sorted(map(tuple, old[session])) == sorted(map(tuple, new[session]))


@pytest.fixture
def substitutes(tmp_path) -> Substitutes:
    """Substitutes from texts in which red and crimson are viewed and blue is put into the cart."""
    texts = [HEAD + [VIEW, word, BLUE, SEP, CART, BLUE, RED, SEP] for word in (RED, CRIMSON)]
    ids = np.array([t + [PAD] * (12 - len(t)) for t in texts], np.int32)
    pq.write_table(
        pa.table({"token_ids": list(ids), "n_tokens": [len(t) for t in texts]}),
        tmp_path / "part-0.parquet",
    )
    vectors = np.eye(10)
    vectors[CRIMSON] = 0.9 * vectors[RED] + 0.1 * vectors[CRIMSON]
    return find_substitutes(str(tmp_path), vectors, SEP, PAUSE, [PAD, CLS, SEP])


def test_only_words_with_near_vectors_are_synonyms(substitutes):
    assert substitutes.synonyms[[RED, CRIMSON, BLUE, VIEW]].tolist() == [CRIMSON, RED, BLUE, VIEW]
    (text,) = augment(batch([*HEAD, VIEW, BLUE, RED, SEP]), substitutes, synonyms=1.0)
    assert text == [CLS, CRIMSON, SEP, VIEW, BLUE, CRIMSON, SEP]


def test_an_event_is_replaced_only_by_a_near_one_of_its_kind(substitutes):
    texts = [[*HEAD, VIEW, RED, BLUE, SEP], [*HEAD, CART, BLUE, RED, SEP], [*HEAD, VIEW, BLUE, SEP]]
    viewed, carted, rare = augment(batch(*texts), substitutes, near_items=1.0)
    assert viewed == [*HEAD, VIEW, CRIMSON, BLUE, SEP]
    assert carted == texts[1]  # there is no other event of its kind
    assert rare == texts[2]  # it is not among the frequent events


def test_a_near_event_is_inserted_after_an_event_and_the_text_is_cut_at_the_limit(substitutes):
    text = [*HEAD, VIEW, RED, BLUE, SEP]
    (longer,) = augment(batch(text), substitutes, insertions=1.0)
    assert longer == [*text, VIEW, CRIMSON, BLUE, SEP]
    (shortened,) = augment(batch(text), substitutes, max_tokens=9, insertions=1.0)
    assert shortened == [*text, VIEW, SEP]


def test_a_rows_changes_depend_on_the_seed_and_not_on_its_batch(substitutes):
    rng = np.random.default_rng(0)
    texts = [
        HEAD + [t for _ in range(6) for t in (VIEW, int(rng.choice([RED, CRIMSON])), BLUE, SEP)]
        for _ in range(20)
    ]
    all_rows = batch(*texts)
    rates = {"deletions": 0.3, "near_items": 0.3, "synonyms": 0.2, "reorderings": 0.3}
    half = {name: column[10:] for name, column in all_rows.items()}
    changed = augment(all_rows, substitutes, **rates)
    assert changed[10:] == augment(half, substitutes, **rates)
    assert changed != augment(all_rows, substitutes, seed=(2,), **rates)
