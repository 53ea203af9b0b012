"""Batches of behaviour texts in, the same with words and events changed at random out.

A text's events are parted by the separator, newest first, after a part that is no event; which
words and events are near each other is given (see near.py). Plain numpy, by the batch.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from profile_lib.arrays.groups import index_within_group
from profile_lib.arrays.hash_sampling import uniform
from profile_lib.training.data.batches import Batch, trim_batch
from profile_lib.training.plan import Augmentation

POSITION_HASH_STEP = 0x9E3779B1  # parts the draws of a row's places


@dataclass(frozen=True)
class Substitutes:
    """Which words and events stand for each other; P frequent events, each with its separator."""

    synonyms: np.ndarray  # (V,): a word's synonym, or itself
    tokens: np.ndarray  # of the events, one after the other
    starts: np.ndarray  # (P,): where each begins
    lengths: np.ndarray  # (P,)
    hashes: np.ndarray  # (P,) uint64, ascending: by which an event is found
    near_events: np.ndarray  # (P, k): places of events of the same kind that are near


class EventSpans(NamedTuple):
    """Of n pieces of texts: whose text, where in it, and where the piece lies in a pool."""

    row: np.ndarray
    position: np.ndarray
    start: np.ndarray
    length: np.ndarray


@dataclass(frozen=True)
class Augmenter:
    """Changes texts in the ways of EDA (Wei & Zou 2019), with events in the place of words.

    `pause_id` is the token on which an event ends that came after a pause: such events stay as
    they are, so that others change places within a session only.
    """

    rates: Augmentation
    substitutes: Substitutes
    separator_id: int
    pause_id: int
    pad_id: int
    max_tokens: int

    def augment(self, batch: Batch, seed: tuple[int, ...]) -> Batch:
        """The batch with its texts changed; every draw depends on seed, row and place alone."""
        rows, rates, substitutes = batch["row_hash"], self.rates, self.substitutes
        ids = self._with_synonyms(batch["token_ids"], rows, seed)
        flat, spans = split_into_spans(ids, batch["n_tokens"], self.separator_id)
        own = rows[spans.row] + spans.position * POSITION_HASH_STEP
        is_late = flat[np.maximum(spans.start + spans.length - 2, 0)] == self.pause_id
        may_change = (spans.position > 0) & ~is_late
        drawn = {
            name: may_change & (uniform(own, (*seed, kind)) < rate)
            for kind, (name, rate) in enumerate(vars(rates).items())
        }
        found = find_frequent_events(substitutes, flat, spans)
        draw = (uniform(own, (*seed, len(drawn))) * substitutes.near_events.shape[1]).astype(int)
        other = (
            substitutes.near_events[np.maximum(found, 0), draw]
            if len(substitutes.near_events)
            else found
        )
        is_known = found >= 0
        has_next = np.append((np.diff(spans.row) == 0) & may_change[1:], False)
        replaced, added = drawn["near_items"] & is_known, drawn["insertions"] & is_known
        stays = ~drawn["deletions"]
        swapped = spans.position + 1.5 * (drawn["reorderings"] & has_next)
        start = spans.start.copy()
        length = spans.length.copy()
        start[replaced] = len(flat) + substitutes.starts[other[replaced]]
        length[replaced] = substitutes.lengths[other[replaced]]
        kept = EventSpans(spans.row[stays], swapped[stays], start[stays], length[stays])
        more = EventSpans(
            spans.row[added],
            spans.position[added] + 0.25,
            len(flat) + substitutes.starts[other[added]],
            substitutes.lengths[other[added]],
        )
        joined = EventSpans(*(np.concatenate(both) for both in zip(kept, more, strict=True)))
        pool = np.concatenate([flat, substitutes.tokens])
        ids, n_tokens = self._join(pool, joined, len(rows))
        return trim_batch({**batch, "token_ids": ids, "n_tokens": n_tokens})

    def _with_synonyms(
        self, ids: np.ndarray, rows: np.ndarray, seed: tuple[int, ...]
    ) -> np.ndarray:
        own = rows[:, None] + np.arange(ids.shape[1]) * POSITION_HASH_STEP
        return np.where(
            uniform(own, (*seed, 9)) < self.rates.synonyms, self.substitutes.synonyms[ids], ids
        )

    def _join(self, pool: np.ndarray, spans: EventSpans, n: int) -> tuple[np.ndarray, np.ndarray]:
        """The texts of the pieces in order, cut at `max_tokens`, and their lengths."""
        order = np.lexsort((spans.position, spans.row))
        row, start, length = spans.row[order], spans.start[order], spans.length[order]
        before = np.cumsum(length) - length
        flat = pool[np.repeat(start - before, length) + np.arange(length.sum())]
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
    """(B, T) ids → the true tokens one after the other, and their spans, each to its separator."""
    is_token = np.arange(ids.shape[1]) < n_tokens[:, None]
    flat, row = ids[is_token], np.nonzero(is_token)[0]
    is_end = (flat == separator_id) | np.append(row[1:] != row[:-1], True)
    end = np.flatnonzero(is_end)
    start = np.append(0, end[:-1] + 1)[: len(end)]
    place = index_within_group(row[start])
    return flat, EventSpans(row[start], place, start, end - start + 1)


def hash_spans(flat: np.ndarray, spans: EventSpans) -> np.ndarray:
    """(n,) uint64: a polynomial in the pieces' tokens, the same for the same tokens."""
    if not len(spans.start):
        return np.zeros(0, np.uint64)
    place = np.arange(len(flat)) - np.repeat(spans.start, spans.length)
    powers = np.cumprod(np.full(place.max() + 1, 0x9E3779B97F4A7C15, np.uint64))
    return np.add.reduceat((flat.astype(np.uint64) + np.uint64(1)) * powers[place], spans.start)


def find_frequent_events(
    substitutes: Substitutes, flat: np.ndarray, spans: EventSpans
) -> np.ndarray:
    """Each piece's place among the frequent events, -1 where it is none."""
    hashes = hash_spans(flat, spans)
    if not len(substitutes.hashes):
        return np.full(len(hashes), -1)
    at = np.minimum(np.searchsorted(substitutes.hashes, hashes), len(substitutes.hashes) - 1)
    return np.where(substitutes.hashes[at] == hashes, at, -1)
