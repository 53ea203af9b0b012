"""Search for vectors with the greatest inner products by faiss; no other file uses faiss."""

from dataclasses import dataclass

import faiss
import numpy as np
from scipy import sparse

from profile_lib.arrays.types import Floats, Longs
from profile_lib.errors import InputError
from profile_lib.recommend.candidates.shared.top_k import build_sparse_rows

# The graph of an approximate search: edges per vector, and the number of vectors that are visited
# when the graph is built and when it is searched.
HNSW_NEIGHBOURS, HNSW_EF_CONSTRUCTION, HNSW_EF_SEARCH = 32, 200, 128


@dataclass(frozen=True)
class VectorIndex:
    """An index of the items' vectors, by item number."""

    index: faiss.Index

    @classmethod
    def build(cls, vectors: Floats, approximate_search_from: int) -> "VectorIndex":
        """Index vectors, (n, d), for an exact or an approximate search.

        From `approximate_search_from` vectors on, the index is an HNSW graph (Malkov & Yashunin
        2018). Raises InputError if a vector holds a value that is not finite.
        """
        vectors = np.ascontiguousarray(vectors, np.float32)
        if not np.isfinite(vectors).all():
            broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
            raise InputError(
                f"vectors of items: {len(broken):,} of {len(vectors):,} hold a value that is not "
                f"finite, the first that of item {broken[0]}; wanted finite numbers: encode the "
                "items again with the model that serves"
            )
        size = vectors.shape[1]
        index: faiss.Index = faiss.IndexFlatIP(size)
        if len(vectors) >= approximate_search_from:
            graph = faiss.IndexHNSWFlat(size, HNSW_NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
            graph.hnsw.efConstruction = HNSW_EF_CONSTRUCTION
            graph.hnsw.efSearch = HNSW_EF_SEARCH
            index = graph
        index.add(vectors)
        return cls(index)

    @property
    def is_exact(self) -> bool:
        """Whether a search compares with every vector."""
        return isinstance(self.index, faiss.IndexFlat)

    def search(self, vectors: Floats, k: int) -> tuple[Floats, Longs]:
        """Return each vector's k greatest products and their items, (n, k) both.

        An item is -1 if a search of the graph found fewer than k.
        """
        vectors = np.ascontiguousarray(vectors, np.float32)
        product, item = self.index.search(vectors, k)
        return product, item

    def search_for_users(
        self, vectors: Floats, user: Longs, n_users: int, k: int
    ) -> sparse.csr_array:
        """Return the products of some users' vectors with their k nearest items.

        `vectors`: (len(user), d). The result is (n_users, n_items), each row nearest first; the
        rows of other users are empty.
        """
        shape = (n_users, self.index.ntotal)
        if not len(user):
            return sparse.csr_array(shape, dtype=np.float32)
        product, item = self.search(vectors, min(k, self.index.ntotal))
        is_found = item >= 0
        n_found = np.zeros(n_users, np.int64)
        n_found[user] = is_found.sum(axis=1)
        return build_sparse_rows(product[is_found], item[is_found], n_found, shape)

    def to_bytes(self) -> np.ndarray:
        """Serialise the index, as uint8."""
        return faiss.serialize_index(self.index)

    @classmethod
    def from_bytes(cls, saved: np.ndarray) -> "VectorIndex":
        """Load an index from the result of `to_bytes`.

        In this process faiss then searches on one thread, because a Spark task and a server have
        one core each.
        """
        faiss.omp_set_num_threads(1)
        return cls(faiss.deserialize_index(saved))
