"""What may change in a training text, and what may not."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profile_lib.training.data.augmentation import Augmenter, Substitutes
from profile_lib.training.data.near_words import find_substitutes
from profile_lib.training.plan import Augmentation

PAD, CLS, SEP, LATER, VIEW, CART = 0, 1, 2, 3, 4, 5
RED, CRIMSON, BLUE = 6, 7, 8
NONE = Substitutes(
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


def changed(given, substitutes=NONE, max_tokens=40, seed=(1,), **rates) -> list[list[int]]:
    augmenter = Augmenter(Augmentation(**rates), substitutes, SEP, LATER, PAD, max_tokens)
    found = augmenter.augment(given, seed)
    return [ids[:n].tolist() for ids, n in zip(found["token_ids"], found["n_tokens"], strict=True)]


def events(text: list[int]) -> list[list[int]]:
    """The parts after the head, each with its separator."""
    parts: list[list[int]] = [[]]
    for token in text:
        parts[-1].append(token)
        if token == SEP:
            parts.append([])
    return parts[1:-1]


EVENT = st.lists(st.sampled_from([VIEW, RED, BLUE, LATER]), min_size=1, max_size=4)
TEXTS = st.lists(st.lists(EVENT, max_size=6), min_size=1, max_size=5)


def written(rows) -> list[list[int]]:
    return [HEAD + [token for event in row for token in (*event, SEP)] for row in rows]


@given(TEXTS)
def test_rates_of_zero_change_nothing(rows):
    texts = written(rows)
    assert changed(batch(*texts)) == texts


@given(TEXTS, st.integers(0, 5))
def test_deleted_events_leave_the_others_in_order_and_the_head_stays(rows, seed):
    texts = written(rows)
    for before, after in zip(
        texts, changed(batch(*texts), seed=(seed,), deletions=0.5), strict=True
    ):
        assert after[:3] == HEAD
        left = iter(events(before))
        assert all(event in left for event in events(after))  # a subsequence


@given(TEXTS, st.integers(0, 5))
def test_events_change_places_only_between_pauses(rows, seed):
    texts = written(rows)
    for before, after in zip(
        texts, changed(batch(*texts), seed=(seed,), reorderings=0.7), strict=True
    ):
        one, two = events(before), events(after)
        assert sorted(map(tuple, one)) == sorted(map(tuple, two))
        pauses = [i for i, event in enumerate(one) if event[-2] == LATER]
        assert all(one[i] == two[i] for i in pauses)
        for start, end in zip([-1, *pauses], [*pauses, len(one)], strict=True):
            within = slice(start + 1, end)
            assert sorted(map(tuple, one[within])) == sorted(map(tuple, two[within]))


@pytest.fixture
def substitutes(tmp_path) -> Substitutes:
    """Of texts in which red and crimson caps are seen, and blue ones put into the cart."""
    seen = [HEAD + [VIEW, word, BLUE, SEP, CART, BLUE, RED, SEP] for word in (RED, CRIMSON)]
    ids = np.array([t + [PAD] * (12 - len(t)) for t in seen], np.int32)
    pq.write_table(
        pa.table({"token_ids": list(ids), "n_tokens": [len(t) for t in seen]}),
        tmp_path / "part-0.parquet",
    )
    vectors = np.eye(10)
    vectors[CRIMSON] = 0.9 * vectors[RED] + 0.1 * vectors[CRIMSON]
    return find_substitutes(str(tmp_path), vectors, SEP, LATER, [PAD, CLS, SEP])


def test_words_with_near_vectors_are_synonyms_and_others_stay(substitutes):
    assert substitutes.synonyms[[RED, CRIMSON, BLUE, VIEW]].tolist() == [CRIMSON, RED, BLUE, VIEW]
    (text,) = changed(batch([*HEAD, VIEW, BLUE, RED, SEP]), substitutes, synonyms=1.0)
    assert text == [CLS, CRIMSON, SEP, VIEW, BLUE, CRIMSON, SEP]


def test_an_event_is_replaced_by_a_near_one_of_its_kind(substitutes):
    texts = [[*HEAD, VIEW, RED, BLUE, SEP], [*HEAD, CART, BLUE, RED, SEP], [*HEAD, VIEW, BLUE, SEP]]
    seen, carted, unknown = changed(batch(*texts), substitutes, near_items=1.0)
    assert seen == [*HEAD, VIEW, CRIMSON, BLUE, SEP]
    assert carted == texts[1]  # there is no other event of its kind
    assert unknown == texts[2]  # too rare to be known


def test_a_near_event_is_put_after_one_and_what_does_not_fit_is_cut(substitutes):
    text = [*HEAD, VIEW, RED, BLUE, SEP]
    (longer,) = changed(batch(text), substitutes, insertions=1.0)
    assert longer == [*text, VIEW, CRIMSON, BLUE, SEP]
    (cut,) = changed(batch(text), substitutes, max_tokens=9, insertions=1.0)
    assert cut == [*text, VIEW, SEP]


def test_a_row_is_changed_alike_in_any_batch_and_otherwise_with_another_seed(substitutes):
    rng = np.random.default_rng(0)
    texts = [
        HEAD + [t for _ in range(6) for t in (VIEW, int(rng.choice([RED, CRIMSON])), BLUE, SEP)]
        for _ in range(20)
    ]
    whole = batch(*texts)
    rates = {"deletions": 0.3, "near_items": 0.3, "synonyms": 0.2, "reorderings": 0.3}
    half = {name: column[10:] for name, column in whole.items()}
    assert changed(whole, substitutes, **rates)[10:] == changed(half, substitutes, **rates)
    assert changed(whole, substitutes, **rates) != changed(whole, substitutes, seed=(2,), **rates)
