"""Training texts and an encoder's word vectors in, near words and near events out."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from sklearn.neighbors import NearestNeighbors

from profile_lib.training.data.augmentation import (
    EventSpans,
    Substitutes,
    hash_spans,
    split_into_spans,
)

SAMPLE_TEXTS = 20_000  # texts that are looked at
MAX_FREQUENT_EVENTS = 5_000  # events that are kept, the most frequent ones
N_NEIGHBOURS = 5
MIN_SYNONYM_COSINE = 0.6  # cosine from which a word is a synonym


def find_substitutes(
    folder: str, vectors: np.ndarray, separator_id: int, pause_id: int, special_ids: list[int]
) -> Substitutes:
    """Of the snapshot's train split in `folder`; `vectors` (V, H) are the encoder's word vectors.

    Two words of the texts are near where the cosine of their vectors says so, two events of one
    kind (their first token) where that of the means over their tokens does. Events after a pause
    are left out: the pause belongs to their place.
    """
    ids, n_tokens = _texts(folder)
    flat, spans = split_into_spans(ids, n_tokens, separator_id)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    last = flat[np.maximum(spans.start + spans.length - 2, 0)]
    is_event = (spans.position > 0) & (spans.length > 2) & (last != pause_id)
    kept = EventSpans(*(column[is_event] for column in spans))
    hashes = hash_spans(flat, spans)[is_event]
    _, first, counts = np.unique(hashes, return_index=True, return_counts=True)
    chosen = first[np.argsort(-counts, kind="stable")[:MAX_FREQUENT_EVENTS]]
    chosen = chosen[np.argsort(hashes[chosen])]
    length = kept.length[chosen]
    starts = np.cumsum(length) - length
    tokens = flat[np.repeat(kept.start[chosen] - starts, length) + np.arange(length.sum())]
    kinds = tokens[starts]
    means = np.add.reduceat(unit[tokens], starts) / length[:, None] if len(starts) else unit[:0]
    return Substitutes(
        synonyms=_synonyms(np.setdiff1d(np.unique(flat), [*special_ids, *kinds]), unit),
        tokens=tokens,
        starts=starts,
        lengths=length,
        hashes=hashes[chosen],
        near_events=_near_events(means, kinds),
    )


def _texts(folder: str) -> tuple[np.ndarray, np.ndarray]:
    parts, left = [], SAMPLE_TEXTS
    for file in sorted(Path(folder).glob("*.parquet")):
        if left > 0:
            parts.append(pq.read_table(file, columns=["token_ids", "n_tokens"]).slice(0, left))
            left -= len(parts[-1])
    ids = [p["token_ids"].combine_chunks().flatten().to_numpy().reshape(len(p), -1) for p in parts]
    n_tokens = [part["n_tokens"].to_numpy() for part in parts]
    return np.concatenate(ids).astype(np.int64), np.concatenate(n_tokens).astype(np.int64)


def _synonyms(words: np.ndarray, unit: np.ndarray) -> np.ndarray:
    synonyms = np.arange(len(unit))
    if len(words) > 1:
        found = NearestNeighbors(n_neighbors=1, metric="cosine").fit(unit[words])
        distance, at = found.kneighbors()  # of each word itself not among them
        is_near = distance[:, 0] <= 1 - MIN_SYNONYM_COSINE
        synonyms[words[is_near]] = words[at[is_near, 0]]
    return synonyms


def _near_events(means: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """(P, k): the nearest others of the same kind; itself where there are too few."""
    near = np.tile(np.arange(len(means))[:, None], (1, N_NEIGHBOURS))
    for kind in np.unique(kinds):
        of = np.flatnonzero(kinds == kind)
        k = min(N_NEIGHBOURS, len(of) - 1)
        if k > 0:
            found = NearestNeighbors(n_neighbors=k, metric="cosine").fit(means[of])
            near[of] = of[found.kneighbors(return_distance=False)][:, np.arange(N_NEIGHBOURS) % k]
    return near
