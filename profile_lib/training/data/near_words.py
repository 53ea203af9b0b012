"""Find synonyms and similar events of training texts by an encoder's word vectors."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from profile_lib.training.data.augmentation import (
    EventSpans,
    Substitutes,
    hash_spans,
    split_into_spans,
)
from profile_lib.training.data.split_columns import read_texts

SAMPLE_TEXTS = 20_000  # texts that are searched for words and events
MAX_FREQUENT_EVENTS = 5_000  # the most frequent events, which may be substituted
N_NEIGHBOURS = 5  # near events per event
MIN_SYNONYM_COSINE = 0.6  # cosine from which a word's nearest word is its synonym


def find_substitutes(
    folder: str, vectors: np.ndarray, separator_id: int, pause_id: int, special_ids: list[int]
) -> Substitutes:
    """Find the substitutes of words and events in the snapshot split `folder`.

    `vectors`, (V, H), are the encoder's word vectors. The synonym of a word is the nearest other
    word of the texts, if their cosine is at least MIN_SYNONYM_COSINE. Near an event are the
    N_NEIGHBOURS events of its kind (its first token) with the highest cosine of mean word vectors.
    Events after a pause are left out, because the pause belongs to their position.
    """
    ids, n_tokens = read_texts(folder, SAMPLE_TEXTS)
    flat, spans = split_into_spans(ids, n_tokens, separator_id)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    last = flat[np.maximum(spans.start + spans.length - 2, 0)]
    is_event = (spans.position > 0) & (spans.length > 2) & (last != pause_id)
    events = EventSpans(*(column[is_event] for column in spans))
    hashes = hash_spans(flat, spans)[is_event]
    _, first, counts = np.unique(hashes, return_index=True, return_counts=True)
    chosen = first[np.argsort(-counts, kind="stable")[:MAX_FREQUENT_EVENTS]]
    chosen = chosen[np.argsort(hashes[chosen])]
    length = events.length[chosen]
    starts = np.cumsum(length) - length
    tokens = flat[np.repeat(events.start[chosen] - starts, length) + np.arange(length.sum())]
    kinds = tokens[starts]
    means = np.add.reduceat(unit[tokens], starts) / length[:, None] if len(starts) else unit[:0]
    return Substitutes(
        synonyms=_find_synonyms(np.setdiff1d(np.unique(flat), [*special_ids, *kinds]), unit),
        tokens=tokens,
        starts=starts,
        lengths=length,
        hashes=hashes[chosen],
        near_events=_find_near_events(means, kinds),
    )


def _find_synonyms(words: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return each word's synonym, (V,), or the word itself if it has none."""
    synonyms = np.arange(len(unit))
    if len(words) > 1:
        index = NearestNeighbors(n_neighbors=1, metric="cosine").fit(unit[words])
        distance, neighbour = index.kneighbors()  # excludes each word itself
        is_near = distance[:, 0] <= 1 - MIN_SYNONYM_COSINE
        synonyms[words[is_near]] = words[neighbour[is_near, 0]]
    return synonyms


def _find_near_events(means: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Return each event's nearest other events of its kind, (P, N_NEIGHBOURS).

    They are repeated if there are fewer. An event that is the only one of its kind gets itself.
    """
    near = np.tile(np.arange(len(means))[:, None], (1, N_NEIGHBOURS))
    for kind in np.unique(kinds):
        same_kind = np.flatnonzero(kinds == kind)
        k = min(N_NEIGHBOURS, len(same_kind) - 1)
        if k > 0:
            index = NearestNeighbors(n_neighbors=k, metric="cosine").fit(means[same_kind])
            neighbours = index.kneighbors(return_distance=False)
            near[same_kind] = same_kind[neighbours][:, np.arange(N_NEIGHBOURS) % k]
    return near
