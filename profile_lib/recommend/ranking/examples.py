"""Build training rows for the ranker from examples and impressions."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from profile_lib.arrays.groups import rows_to_list_array
from profile_lib.arrays.hash_sampling import uniform
from profile_lib.arrays.types import Floats
from profile_lib.recommend.candidates.candidate_set import (
    Candidates,
    propose_candidates,
    score_pairs,
)
from profile_lib.recommend.candidates.shared.interest_map import map_interests
from profile_lib.recommend.data.arrow_columns import flat_numbers, record_batch
from profile_lib.recommend.data.relevant_items import RelevantItems
from profile_lib.recommend.data.requests import Requests
from profile_lib.recommend.ranking.features import compute_features
from profile_lib.recommend.ranking.labels import CandidateLabels, label_candidates
from profile_lib.recommend.retrieval_model import RetrievalModel
from profile_lib.recommend.retrieval_tasks import BatchFunction, map_requests

REQUEST_KEY = ("user_id", "cutoff_ts")  # identifies a request
ROW_SCHEMA = (
    "user_id string, cutoff_ts timestamp, split string, item int, interacted int, bought int, "
    "sampling_weight double, numeric array<float>"
)
IMPRESSION_LISTS = ("items", "is_interacted", "is_bought", "weights")
FOUND_SCHEMA = "source string, found long, relevant long, proposed long"
ALL_SOURCES = "all sources"
# A request has some hundreds of candidates with some hundreds of numbers each.
MAX_REQUESTS_PER_BATCH = 64


def build_candidate_rows(
    ranker_examples: DataFrame,
    folder: str,
    version: str,
    *,
    candidates_per_source: int,
    negatives_per_cutoff: int,
    seed: int,
) -> DataFrame:
    """Build ROW_SCHEMA from the sources' candidates at each cutoff.

    `ranker_examples` holds user_id, cutoff_ts, row_hash (of both), split, REQUEST_COLUMNS and
    RELEVANT_SCHEMA. Each source proposes about `candidates_per_source` items. The train split gets
    all relevant candidates and a sample of about `negatives_per_cutoff` others; the other splits
    get all candidates. A cutoff without a relevant candidate is left out.
    """

    def prepare(retrieval: RetrievalModel) -> BatchFunction:
        def to_rows(part: pa.RecordBatch) -> pa.RecordBatch:
            requests = retrieval.reader.read_requests(part)
            pairs = propose_candidates(retrieval.sources, requests, candidates_per_source)
            labels = _sample_labels(part, pairs, negatives_per_cutoff, seed)
            is_kept = labels.weight > 0
            chosen = pairs.where(is_kept)
            numbers = compute_ranker_features(retrieval, requests, chosen)
            return _to_rows(part, chosen, labels.where(is_kept), numbers)

        return to_rows

    return map_requests(
        ranker_examples, folder, version, ROW_SCHEMA, prepare, max_rows=MAX_REQUESTS_PER_BATCH
    )


def build_impression_rows(
    impressions: DataFrame, folder: str, version: str, *, candidates_per_source: int
) -> DataFrame:
    """Build ROW_SCHEMA from impressions, with features by the retrieval model in `folder`.

    `impressions` holds user_id, cutoff_ts (the time of the impression), split, REQUEST_COLUMNS,
    `query` (null if the items were not shown by a search), and the lists IMPRESSION_LISTS: item
    numbers in ascending order, each once, whether the user interacted with and bought each, and its
    weight.
    """

    def prepare(retrieval: RetrievalModel) -> BatchFunction:
        def to_rows(part: pa.RecordBatch) -> pa.RecordBatch:
            requests = retrieval.reader.read_requests(part)
            queries = retrieval.reader.texts.look_up(part["query"])
            queries = np.where(np.isnan(queries), requests.query_vectors, queries)
            items, *labels = (flat_numbers(part[name]) for name in IMPRESSION_LISTS)
            user = part["items"].value_parent_indices().to_numpy().astype(np.int64)
            pairs = score_pairs(
                retrieval.sources, requests, candidates_per_source, user, items.astype(np.int64)
            )
            with_queries = replace(requests, query_vectors=queries)
            numbers = compute_ranker_features(retrieval, with_queries, pairs)
            return _to_rows(part, pairs, CandidateLabels(*labels), numbers)

        return to_rows

    return map_requests(
        impressions, folder, version, ROW_SCHEMA, prepare, max_rows=MAX_REQUESTS_PER_BATCH
    )


def count_found_by_source(
    ranker_examples: DataFrame, folder: str, version: str, *, candidates_per_source: int
) -> DataFrame:
    """Count the relevant items found and the pairs proposed, per source: FOUND_SCHEMA.

    The source ALL_SOURCES stands for all of them together. There are several rows per source, whose
    counts the caller sums.
    """

    def prepare(retrieval: RetrievalModel) -> BatchFunction:
        def count(part: pa.RecordBatch) -> pa.RecordBatch:
            requests = retrieval.reader.read_requests(part)
            pairs = propose_candidates(retrieval.sources, requests, candidates_per_source)
            return _count_found(pairs, RelevantItems.from_batch(part))

        return count

    return map_requests(
        ranker_examples, folder, version, FOUND_SCHEMA, prepare, max_rows=MAX_REQUESTS_PER_BATCH
    )


def compute_ranker_features(
    retrieval: RetrievalModel, requests: Requests, pairs: Candidates
) -> Floats:
    """Compute the ranker's inputs for m pairs: (m, F), in the order of `feature_names`."""
    interests = map_interests(requests.interest_vectors, retrieval.interest_map)
    return compute_features(requests, interests, pairs, retrieval.catalog, retrieval.decay)


def _sample_labels(
    part: pa.RecordBatch, pairs: Candidates, negatives_per_cutoff: int, seed: int
) -> CandidateLabels:
    is_train = np.array(part["split"].to_numpy(zero_copy_only=False) == "train")
    hashes = part["row_hash"].to_numpy()[pairs.user] + pairs.item
    n_negatives = np.where(is_train, negatives_per_cutoff, np.inf)
    random_numbers = uniform(hashes, (seed,))
    return label_candidates(pairs, RelevantItems.from_batch(part), n_negatives, random_numbers)


def _to_rows(
    part: pa.RecordBatch, pairs: Candidates, labels: CandidateLabels, numbers: Floats
) -> pa.RecordBatch:
    """Return ROW_SCHEMA for pairs of the users of a batch."""
    user = pa.array(pairs.user)
    columns = [
        *(part[name].take(user) for name in (*REQUEST_KEY, "split")),
        pairs.item.astype(np.int32),
        labels.is_interacted.astype(np.int32),
        labels.is_bought.astype(np.int32),
        labels.weight.astype(np.float64),
        rows_to_list_array(numbers),
    ]
    return record_batch(ROW_SCHEMA, columns)


def _count_found(pairs: Candidates, relevant: RelevantItems) -> pa.RecordBatch:
    proposals = [*pairs.is_proposed.T, np.ones(len(pairs.user), bool)]
    n_found = [
        int(pairs.where(is_proposed).contains(relevant.user, relevant.item).sum())
        for is_proposed in proposals
    ]
    columns = [
        pa.array([*pairs.sources, ALL_SOURCES]),
        pa.array(n_found),
        pa.array([len(relevant.user)] * len(proposals)),
        pa.array([int(is_proposed.sum()) for is_proposed in proposals]),
    ]
    return record_batch(FOUND_SCHEMA, columns)
