"""Change words and events of training texts at random.

A text starts with a summary, which is not an event, and its events follow, newest first. A
separator ends each of them. near_words.py finds the words and events that may replace each other.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from profile_lib.arrays.groups import index_within_group
from profile_lib.arrays.hash_sampling import uniform
from profile_lib.training.data.batches import Batch, trim_batch
from profile_lib.training.plan import Augmentation

POSITION_HASH_STEP = 0x9E3779B1  # the distance between the hash keys of a row's positions
SYNONYM_STREAM = 9  # the last part of the seed of synonyms; other changes use lower numbers


@dataclass(frozen=True)
class Substitutes:
    """The words and events that may replace each other: V words, P frequent events."""

    synonyms: np.ndarray  # (V,): each word's synonym, or the word itself
    tokens: np.ndarray  # the tokens of all events in sequence, each with its separator
    starts: np.ndarray  # (P,): the index in `tokens` at which each event begins
    lengths: np.ndarray  # (P,)
    hashes: np.ndarray  # (P,) uint64, ascending: the key for finding an event
    near_events: np.ndarray  # (P, k): indices of near events of the same kind


class EventSpans(NamedTuple):
    """The parts of texts, as n spans of an array of tokens."""

    row: np.ndarray  # (n,): the text that the span belongs to
    position: np.ndarray  # (n,): its place in the order of that text
    start: np.ndarray  # (n,): the index of its first token
    length: np.ndarray  # (n,): its number of tokens


@dataclass(frozen=True)
class Augmenter:
    """A random change of texts by the methods of EDA (Wei & Zou 2019).

    They are applied to events instead of words. `pause_id` is the last token of an event that came
    after a pause. Such an event is not changed, so that events change places within a session only.
    """

    rates: Augmentation
    substitutes: Substitutes
    separator_id: int
    pause_id: int
    pad_id: int
    max_tokens: int

    def augment(self, batch: Batch, seed: tuple[int, ...]) -> Batch:
        """Return the batch with some words and events of its texts changed.

        Whether and how a position changes depends on seed, row and position alone.
        """
        rows, rates, substitutes = batch["row_hash"], self.rates, self.substitutes
        ids = self._replace_words(batch["token_ids"], rows, seed)
        flat, spans = split_into_spans(ids, batch["n_tokens"], self.separator_id)
        keys = rows[spans.row] + spans.position * POSITION_HASH_STEP
        is_after_pause = flat[np.maximum(spans.start + spans.length - 2, 0)] == self.pause_id
        may_change = (spans.position > 0) & ~is_after_pause
        is_chosen = {
            name: may_change & (uniform(keys, (*seed, kind)) < rate)
            for kind, (name, rate) in enumerate(vars(rates).items())
        }
        event = find_frequent_events(substitutes, flat, spans)
        near = substitutes.near_events
        neighbour = (uniform(keys, (*seed, len(is_chosen))) * near.shape[1]).astype(int)
        substitute = near[np.maximum(event, 0), neighbour] if len(near) else event
        is_frequent = event >= 0
        has_next = np.append((np.diff(spans.row) == 0) & may_change[1:], False)
        is_replaced = is_chosen["near_items"] & is_frequent
        has_insertion = is_chosen["insertions"] & is_frequent
        is_kept = ~is_chosen["deletions"]
        position = spans.position + 1.5 * (is_chosen["reorderings"] & has_next)  # behind the next
        start = spans.start.copy()
        length = spans.length.copy()
        start[is_replaced] = len(flat) + substitutes.starts[substitute[is_replaced]]
        length[is_replaced] = substitutes.lengths[substitute[is_replaced]]
        remaining = EventSpans(
            spans.row[is_kept], position[is_kept], start[is_kept], length[is_kept]
        )
        inserted = EventSpans(
            spans.row[has_insertion],
            spans.position[has_insertion] + 0.25,
            len(flat) + substitutes.starts[substitute[has_insertion]],
            substitutes.lengths[substitute[has_insertion]],
        )
        both = zip(remaining, inserted, strict=True)
        all_spans = EventSpans(*(np.concatenate(columns) for columns in both))
        tokens = np.concatenate([flat, substitutes.tokens])
        ids, n_tokens = self._join(tokens, all_spans, len(rows))
        return trim_batch({**batch, "token_ids": ids, "n_tokens": n_tokens})

    def _replace_words(
        self, ids: np.ndarray, rows: np.ndarray, seed: tuple[int, ...]
    ) -> np.ndarray:
        """Replace a share of the words (B, T) by their synonyms."""
        keys = rows[:, None] + np.arange(ids.shape[1]) * POSITION_HASH_STEP
        is_replaced = uniform(keys, (*seed, SYNONYM_STREAM)) < self.rates.synonyms
        return np.where(is_replaced, self.substitutes.synonyms[ids], ids)

    def _join(self, tokens: np.ndarray, spans: EventSpans, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Join the spans to `n` texts, (n, max_tokens), and return them with their lengths, (n,).

        A longer text is cut, and ends with a separator.
        """
        order = np.lexsort((spans.position, spans.row))
        row, start, length = spans.row[order], spans.start[order], spans.length[order]
        before = np.cumsum(length) - length
        flat = tokens[np.repeat(start - before, length) + np.arange(length.sum())]
        totals = np.bincount(row, length, minlength=n).astype(np.int64)
        owner = np.repeat(np.arange(n), totals)
        column = np.arange(len(flat)) - np.repeat(np.cumsum(totals) - totals, totals)
        ids = np.full((n, self.max_tokens), self.pad_id, np.int64)
        fits = column < self.max_tokens
        ids[owner[fits], column[fits]] = flat[fits]
        ids[totals > self.max_tokens, -1] = self.separator_id
        return ids, np.minimum(totals, self.max_tokens)


def split_into_spans(
    ids: np.ndarray, n_tokens: np.ndarray, separator_id: int
) -> tuple[np.ndarray, EventSpans]:
    """Split texts (B, T) into spans: return all tokens without padding, (m,), and their spans.

    A span ends with its separator or at the end of its text.
    """
    is_token = np.arange(ids.shape[1]) < n_tokens[:, None]
    flat, row = ids[is_token], np.nonzero(is_token)[0]
    is_end = (flat == separator_id) | np.append(row[1:] != row[:-1], True)
    end = np.flatnonzero(is_end)
    start = np.append(0, end[:-1] + 1)[: len(end)]
    position = index_within_group(row[start])
    return flat, EventSpans(row[start], position, start, end - start + 1)


def hash_spans(flat: np.ndarray, spans: EventSpans) -> np.ndarray:
    """Hash each span's tokens by a polynomial: (n,) uint64, equal for equal tokens."""
    if not len(spans.start):
        return np.zeros(0, np.uint64)
    index = np.arange(len(flat)) - np.repeat(spans.start, spans.length)
    powers = np.cumprod(np.full(index.max() + 1, 0x9E3779B97F4A7C15, np.uint64))
    return np.add.reduceat((flat.astype(np.uint64) + np.uint64(1)) * powers[index], spans.start)


def find_frequent_events(
    substitutes: Substitutes, flat: np.ndarray, spans: EventSpans
) -> np.ndarray:
    """Return each span's index among the frequent events, (n,), or -1 for another span."""
    hashes = hash_spans(flat, spans)
    if not len(substitutes.hashes):
        return np.full(len(hashes), -1)
    index = np.minimum(np.searchsorted(substitutes.hashes, hashes), len(substitutes.hashes) - 1)
    return np.where(substitutes.hashes[index] == hashes, index, -1)
