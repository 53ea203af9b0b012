"""Batches of behaviour texts in, the same with words and events changed at random out.

A text's events are parted by the separator, newest first, after a part that is no event; which
words and events are near each other is given (see near.py). Plain numpy, by the batch.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from profile_lib.draws import uniform
from profile_lib.segments import place_within
from profile_lib.training.batches import Batch, trim
from profile_lib.training.plan import Augmentation

STEP = 0x9E3779B1  # parts the draws of a row's places


@dataclass(frozen=True)
class Near:
    """Which words and events stand for each other; P frequent events, each with its separator."""

    words: np.ndarray  # (V,): a word's synonym, or itself
    tokens: np.ndarray  # of the events, one after the other
    starts: np.ndarray  # (P,): where each begins
    lengths: np.ndarray  # (P,)
    hashes: np.ndarray  # (P,) uint64, ascending: by which an event is found
    events: np.ndarray  # (P, k): places of events of the same kind that are near


class Pieces(NamedTuple):
    """Of n pieces of texts: whose text, where in it, and where the piece lies in a pool."""

    row: np.ndarray
    place: np.ndarray
    start: np.ndarray
    length: np.ndarray


@dataclass(frozen=True)
class Augmenter:
    """Changes texts in the ways of EDA (Wei & Zou 2019), with events in the place of words.

    `later_id` is the token on which an event ends that came after a pause: such events stay as
    they are, so that others change places within a session only.
    """

    rates: Augmentation
    near: Near
    separator_id: int
    later_id: int
    pad_id: int
    max_tokens: int

    def augment(self, batch: Batch, seed: tuple[int, ...]) -> Batch:
        """The batch with its texts changed; every draw depends on seed, row and place alone."""
        rows, rates, near = batch["row_hash"], self.rates, self.near
        ids = self._with_synonyms(batch["token_ids"], rows, seed)
        flat, pieces = cut_pieces(ids, batch["n_tokens"], self.separator_id)
        own = rows[pieces.row] + pieces.place * STEP
        is_late = flat[np.maximum(pieces.start + pieces.length - 2, 0)] == self.later_id
        may_change = (pieces.place > 0) & ~is_late
        drawn = {
            name: may_change & (uniform(own, (*seed, kind)) < rate)
            for kind, (name, rate) in enumerate(vars(rates).items())
        }
        found = find_pieces(near, flat, pieces)
        draw = (uniform(own, (*seed, len(drawn))) * near.events.shape[1]).astype(int)
        other = near.events[np.maximum(found, 0), draw] if len(near.events) else found
        is_known = found >= 0
        has_next = np.append((np.diff(pieces.row) == 0) & may_change[1:], False)
        replaced, added = drawn["near_items"] & is_known, drawn["insertions"] & is_known
        stays = ~drawn["deletions"]
        swapped = pieces.place + 1.5 * (drawn["reorderings"] & has_next)
        start = pieces.start.copy()
        length = pieces.length.copy()
        start[replaced] = len(flat) + near.starts[other[replaced]]
        length[replaced] = near.lengths[other[replaced]]
        kept = Pieces(pieces.row[stays], swapped[stays], start[stays], length[stays])
        more = Pieces(
            pieces.row[added],
            pieces.place[added] + 0.25,
            len(flat) + near.starts[other[added]],
            near.lengths[other[added]],
        )
        joined = Pieces(*(np.concatenate(both) for both in zip(kept, more, strict=True)))
        pool = np.concatenate([flat, near.tokens])
        ids, n_tokens = self._join(pool, joined, len(rows))
        return trim({**batch, "token_ids": ids, "n_tokens": n_tokens})

    def _with_synonyms(
        self, ids: np.ndarray, rows: np.ndarray, seed: tuple[int, ...]
    ) -> np.ndarray:
        own = rows[:, None] + np.arange(ids.shape[1]) * STEP
        return np.where(uniform(own, (*seed, 9)) < self.rates.synonyms, self.near.words[ids], ids)

    def _join(self, pool: np.ndarray, pieces: Pieces, n: int) -> tuple[np.ndarray, np.ndarray]:
        """The texts of the pieces in order, cut at `max_tokens`, and their lengths."""
        order = np.lexsort((pieces.place, pieces.row))
        row, start, length = pieces.row[order], pieces.start[order], pieces.length[order]
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


def cut_pieces(
    ids: np.ndarray, n_tokens: np.ndarray, separator_id: int
) -> tuple[np.ndarray, Pieces]:
    """(B, T) ids → the true tokens one after the other, and their pieces, each to its separator."""
    is_token = np.arange(ids.shape[1]) < n_tokens[:, None]
    flat, row = ids[is_token], np.nonzero(is_token)[0]
    is_end = (flat == separator_id) | np.append(row[1:] != row[:-1], True)
    end = np.flatnonzero(is_end)
    start = np.append(0, end[:-1] + 1)[: len(end)]
    place = place_within(row[start])
    return flat, Pieces(row[start], place, start, end - start + 1)


def hash_pieces(flat: np.ndarray, pieces: Pieces) -> np.ndarray:
    """(n,) uint64: a polynomial in the pieces' tokens, the same for the same tokens."""
    if not len(pieces.start):
        return np.zeros(0, np.uint64)
    place = np.arange(len(flat)) - np.repeat(pieces.start, pieces.length)
    powers = np.cumprod(np.full(place.max() + 1, 0x9E3779B97F4A7C15, np.uint64))
    return np.add.reduceat((flat.astype(np.uint64) + np.uint64(1)) * powers[place], pieces.start)


def find_pieces(near: Near, flat: np.ndarray, pieces: Pieces) -> np.ndarray:
    """Each piece's place among the frequent events, -1 where it is none."""
    hashes = hash_pieces(flat, pieces)
    if not len(near.hashes):
        return np.full(len(hashes), -1)
    at = np.minimum(np.searchsorted(near.hashes, hashes), len(near.hashes) - 1)
    return np.where(near.hashes[at] == hashes, at, -1)
