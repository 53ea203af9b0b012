"""Profiles at cutoffs and what was met after them in; rows that a ranker learns from out."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from profile_lib.arrays.groups import Floats, rows_to_list_array, slice_batches
from profile_lib.arrays.hash_sampling import uniform
from profile_lib.recommend.candidates.candidate_set import (
    Candidates,
    propose_candidates,
    score_pairs,
)
from profile_lib.recommend.candidates.interest_mapping import map_interests
from profile_lib.recommend.candidates.source import Requests
from profile_lib.recommend.data.artifacts import RetrievalModel, load_cached_retrieval
from profile_lib.recommend.evaluation.relevant_items import RelevantItems
from profile_lib.recommend.ranking.features import compute_features
from profile_lib.recommend.ranking.labels import CandidateLabels, label_candidates

REQUEST_KEY = ("user_id", "cutoff_ts")  # what a row is a part of
ROW_SCHEMA = (
    "user_id string, cutoff_ts timestamp, split string, item int, interacted int, bought int, "
    "sampling_weight double, numeric array<float>"
)
IMPRESSION_LISTS = ("items", "is_interacted", "is_bought", "weights")
FOUND_SCHEMA = "source string, found long, relevant long, proposed long"
ALL_SOURCES = "all sources"
MAX_REQUESTS_PER_BATCH = (
    64  # requests; each has some hundreds of candidates of some hundreds of numbers
)


def build_candidate_rows(
    ranker_examples: DataFrame,
    folder: str,
    version: str,
    *,
    candidates_per_source: int,
    negatives_per_cutoff: int,
    seed: int,
) -> DataFrame:
    """ROW_SCHEMA of the candidates that the sources in `folder` name at each cutoff, `candidates_per_source` each.

    `ranker_examples` holds user_id, cutoff_ts, row_hash (of both), split, REQUEST_COLUMNS and RELEVANT_SCHEMA. Of a cutoff of the
    train split all that was met is kept and about `negatives_per_cutoff` of what was not; of others all. A
    cutoff after which none of its candidates was met is left out.
    """

    def rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        known = load_cached_retrieval(folder, version)
        for part in slice_batches(batches, MAX_REQUESTS_PER_BATCH):
            yield _rows(known, part, candidates_per_source, negatives_per_cutoff, seed)

    return ranker_examples.mapInArrow(rows, ROW_SCHEMA)


def build_impression_rows(
    impressions: DataFrame, folder: str, version: str, *, candidates_per_source: int
) -> DataFrame:
    """ROW_SCHEMA of what was shown, by what the sources in `folder` say of it.

    `impressions` holds user_id, cutoff_ts (when it was shown), split, REQUEST_COLUMNS, `query` (null where it was no
    search), and lists of IMPRESSION_LISTS: items by their numbers, each once, in their order, whether each was
    met and bought, and what it weighs.
    """

    def rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        known = load_cached_retrieval(folder, version)
        for part in slice_batches(batches, MAX_REQUESTS_PER_BATCH):
            requests = known.reader.read_requests(part)
            texts = known.reader.texts.look_up(part["query"])
            joining = np.where(np.isnan(texts), requests.query_vectors, texts)
            lists = [
                part[name].flatten().to_numpy(zero_copy_only=False) for name in IMPRESSION_LISTS
            ]
            user = part["items"].value_parent_indices().to_numpy().astype(np.int64)
            pairs = score_pairs(
                known.sources, requests, candidates_per_source, user, lists[0].astype(np.int64)
            )
            read = compute_ranker_features(known, replace(requests, query_vectors=joining), pairs)
            yield _told(part, pairs, CandidateLabels(*lists[1:]), read)

    return impressions.mapInArrow(rows, ROW_SCHEMA)


def count_found_by_source(
    ranker_examples: DataFrame, folder: str, version: str, *, candidates_per_source: int
) -> DataFrame:
    """FOUND_SCHEMA: of each source, and of ALL_SOURCES, how many of the wanted items it names, and how many pairs
    it names; some rows of each, to be summed."""

    def found(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        known = load_cached_retrieval(folder, version)
        for part in slice_batches(batches, MAX_REQUESTS_PER_BATCH):
            pairs = propose_candidates(
                known.sources, known.reader.read_requests(part), candidates_per_source
            )
            yield _found(pairs, RelevantItems.from_batch(part))

    return ranker_examples.mapInArrow(found, FOUND_SCHEMA)


def compute_ranker_features(known: RetrievalModel, requests: Requests, pairs: Candidates) -> Floats:
    """(m, F): what a ranker reads of the pairs, `known.feature_names` in order."""
    wanted = map_interests(requests.interest_vectors, known.interest_map)
    return compute_features(requests, wanted, pairs, known.catalog, known.decay)


def _rows(
    known: RetrievalModel,
    part: pa.RecordBatch,
    candidates_per_source: int,
    negatives_per_cutoff: int,
    seed: int,
) -> pa.RecordBatch:
    requests = known.reader.read_requests(part)
    pairs = propose_candidates(known.sources, requests, candidates_per_source)
    is_train = np.array(part["split"].to_numpy(zero_copy_only=False) == "train")
    hashes = part["row_hash"].to_numpy()[pairs.user] + pairs.item
    most = np.where(is_train, negatives_per_cutoff, np.inf)
    told = label_candidates(pairs, RelevantItems.from_batch(part), most, uniform(hashes, (seed,)))
    kept = told.weight > 0
    chosen = pairs.where(kept)
    told = CandidateLabels(told.is_interacted[kept], told.is_bought[kept], told.weight[kept])
    return _told(part, chosen, told, compute_ranker_features(known, requests, chosen))


def _told(
    part: pa.RecordBatch,
    pairs: Candidates,
    told: CandidateLabels,
    read: Floats,
) -> pa.RecordBatch:
    """ROW_SCHEMA of pairs of the users of a batch."""
    user = pa.array(pairs.user)
    columns = [
        *(part[name].take(user) for name in (*REQUEST_KEY, "split")),
        pa.array(pairs.item.astype(np.int32)),
        pa.array(told.is_interacted.astype(np.int32)),
        pa.array(told.is_bought.astype(np.int32)),
        pa.array(told.weight.astype(np.float64)),
        rows_to_list_array(read),
    ]
    names = [column.split()[0] for column in ROW_SCHEMA.split(", ")]
    return pa.RecordBatch.from_arrays(columns, names)


def _found(pairs: Candidates, relevant: RelevantItems) -> pa.RecordBatch:
    named = [*pairs.is_proposed.T, np.ones(len(pairs.user), bool)]
    columns = [
        pa.array([*pairs.sources, ALL_SOURCES]),
        pa.array(
            [int(pairs.where(by).contains(relevant.user, relevant.item).sum()) for by in named]
        ),
        pa.array([len(relevant.user)] * len(named)),
        pa.array([int(by.sum()) for by in named]),
    ]
    return pa.RecordBatch.from_arrays(columns, ["source", "found", "relevant", "proposed"])
