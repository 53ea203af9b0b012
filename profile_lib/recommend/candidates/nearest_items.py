"""Items whose vectors are near a user's: the profile's interest vector, or factors of a matrix."""

from dataclasses import dataclass

import faiss
import numpy as np
from scipy import sparse

from profile_lib.arrays.groups import Floats, Longs
from profile_lib.errors import InputError
from profile_lib.recommend.candidates.interest_mapping import map_interests
from profile_lib.recommend.candidates.source import MISSING, Requests
from profile_lib.recommend.candidates.top_k import build_sparse_rows

HNSW_NEIGHBOURS, HNSW_EF_CONSTRUCTION, HNSW_EF_SEARCH = (
    32,
    200,
    128,
)  # of a graph of vectors: see `build_index`


def build_index(vectors: Floats, approximate_search_from: int) -> faiss.Index:
    """Finds the greatest inner products with `vectors`, (n, d): all of them below so many vectors,
    else through a graph (Malkov & Yashunin 2018), built by one thread and so the same every time.

    Raises InputError where a vector holds what is no number.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    if not np.isfinite(vectors).all():
        broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        raise InputError(
            f"vectors of items: {len(broken):,} of {len(vectors):,} hold what is no number, the "
            f"first that of item {broken[0]}; encode the items again with the model that serves"
        )
    size = vectors.shape[1]
    index: faiss.Index = faiss.IndexFlatIP(size)
    if len(vectors) >= approximate_search_from:
        graph = faiss.IndexHNSWFlat(size, HNSW_NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction, graph.hnsw.efSearch = HNSW_EF_CONSTRUCTION, HNSW_EF_SEARCH
        index = graph
    index.add(vectors)
    return index


def search_nearest(
    index: faiss.Index, vectors: Floats, user: Longs, n: int, k: int
) -> sparse.csr_array:
    """(n, n_items): the products of the vectors that these users want, (len(user), d), and those of
    their k nearest items, the nearest first; nothing of other users."""
    shape = (n, index.ntotal)
    if not len(user):
        return sparse.csr_array(shape, dtype=np.float32)
    score, item = index.search(np.ascontiguousarray(vectors, np.float32), min(k, index.ntotal))
    found = item >= 0  # a graph may end before it has found k
    n_of = np.zeros(n, np.int64)
    n_of[user] = found.sum(axis=1)
    return build_sparse_rows(score[found], item[found], n_of, shape)


@dataclass(frozen=True)
class InterestToItem:
    """`index` holds the vectors of the items' texts, of length 1; `weights` takes interest vectors
    among them (`interest.py`)."""

    index: faiss.Index
    weights: Floats

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """The cosine of interest and item; nothing where a user has no interest vector."""
        known = np.flatnonzero(np.isfinite(requests.interest_vectors).all(axis=1))
        wanted = map_interests(requests.interest_vectors[known], self.weights)
        return search_nearest(self.index, wanted, known, requests.histories.n_users, k)

    def explain(self, requests: Requests, user: Longs, item: Longs) -> Longs:
        """No single item: the whole interest."""
        return np.full(len(user), MISSING)


def serialise_index(index: faiss.Index) -> np.ndarray:
    """As bytes, uint8."""
    return faiss.serialize_index(index)


def load_index(saved: np.ndarray) -> faiss.Index:
    """From its bytes; it searches on one thread, as Spark's tasks and servers fill the cores."""
    faiss.omp_set_num_threads(1)
    return faiss.deserialize_index(saved)
