"""Profiles at cutoffs and what was met after them in; rows that a ranker learns from out."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from profile_lib.draws import uniform
from profile_lib.recommend.candidates import Candidates, candidates, named
from profile_lib.recommend.interest import mapped
from profile_lib.recommend.learned import Learned, learned
from profile_lib.recommend.outcomes import Labels, labels
from profile_lib.recommend.pairs import features
from profile_lib.recommend.sources import Asked
from profile_lib.recommend.wanted import Wanted
from profile_lib.segments import Floats, in_parts, rows_as_lists

REQUEST = ("user_id", "cutoff_ts")  # what a row is a part of
ROWS = (
    "user_id string, cutoff_ts timestamp, split string, item int, met int, bought int, "
    "sampling_weight double, numeric array<float>"
)
SHOWN = ("items", "is_met", "is_bought", "weights")
FOUND = "source string, found long, wanted long, named long"
ALL = "all of them"
AT_ONCE = 64  # requests; each has some hundreds of candidates of some hundreds of numbers


def ranker_rows(
    pasts: DataFrame, folder: str, version: str, *, a_source: int, negatives: int, seed: int
) -> DataFrame:
    """ROWS of the candidates that the sources in `folder` name at each cutoff, `a_source` each.

    `pasts` holds user_id, cutoff_ts, row_hash (of both), split, READ and WANTED. Of a cutoff of the
    train split all that was met is kept and about `negatives` of what was not; of others all. A
    cutoff after which none of its candidates was met is left out.
    """

    def rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        known = learned(folder, version)
        for part in in_parts(batches, AT_ONCE):
            yield _rows(known, part, a_source, negatives, seed)

    return pasts.mapInArrow(rows, ROWS)


def shown_rows(shown: DataFrame, folder: str, version: str, *, a_source: int) -> DataFrame:
    """ROWS of what was shown, by what the sources in `folder` say of it.

    `shown` holds user_id, cutoff_ts (when it was shown), split, READ, `query` (null where it was no
    search), and lists of SHOWN: items by their numbers, each once, in their order, whether each was
    met and bought, and what it weighs.
    """

    def rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        known = learned(folder, version)
        for part in in_parts(batches, AT_ONCE):
            asked = known.reader.asked(part)
            texts = known.reader.texts.of(part["query"])
            joining = np.where(np.isnan(texts), asked.joining, texts)
            lists = [part[name].flatten().to_numpy(zero_copy_only=False) for name in SHOWN]
            user = part["items"].value_parent_indices().to_numpy().astype(np.int64)
            pairs = named(known.sources, asked, a_source, user, lists[0].astype(np.int64))
            read = read_pairs(known, replace(asked, joining=joining), pairs)
            yield _told(part, pairs, Labels(*lists[1:]), read)

    return shown.mapInArrow(rows, ROWS)


def found_by_source(pasts: DataFrame, folder: str, version: str, *, a_source: int) -> DataFrame:
    """FOUND: of each source, and of ALL, how many of the wanted items it names, and how many pairs
    it names; some rows of each, to be summed."""

    def found(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        known = learned(folder, version)
        for part in in_parts(batches, AT_ONCE):
            pairs = candidates(known.sources, known.reader.asked(part), a_source)
            yield _found(pairs, Wanted.of_batch(part))

    return pasts.mapInArrow(found, FOUND)


def read_pairs(known: Learned, asked: Asked, pairs: Candidates) -> Floats:
    """(m, F): what a ranker reads of the pairs, `known.numbers` in order."""
    wanted = mapped(asked.vectors, known.to_texts)
    return features(asked, wanted, pairs, known.catalogue, known.decay)


def _rows(
    known: Learned, part: pa.RecordBatch, a_source: int, negatives: int, seed: int
) -> pa.RecordBatch:
    asked = known.reader.asked(part)
    pairs = candidates(known.sources, asked, a_source)
    is_train = np.array(part["split"].to_numpy(zero_copy_only=False) == "train")
    hashes = part["row_hash"].to_numpy()[pairs.user] + pairs.item
    most = np.where(is_train, negatives, np.inf)
    told = labels(pairs, Wanted.of_batch(part), most, uniform(hashes, (seed,)))
    kept = told.weight > 0
    chosen = pairs.where(kept)
    told = Labels(told.is_met[kept], told.is_bought[kept], told.weight[kept])
    return _told(part, chosen, told, read_pairs(known, asked, chosen))


def _told(
    part: pa.RecordBatch,
    pairs: Candidates,
    told: Labels,
    read: Floats,
) -> pa.RecordBatch:
    """ROWS of pairs of the users of a batch."""
    user = pa.array(pairs.user)
    columns = [
        *(part[name].take(user) for name in (*REQUEST, "split")),
        pa.array(pairs.item.astype(np.int32)),
        pa.array(told.is_met.astype(np.int32)),
        pa.array(told.is_bought.astype(np.int32)),
        pa.array(told.weight.astype(np.float64)),
        rows_as_lists(read),
    ]
    names = [column.split()[0] for column in ROWS.split(", ")]
    return pa.RecordBatch.from_arrays(columns, names)


def _found(pairs: Candidates, wanted: Wanted) -> pa.RecordBatch:
    named = [*pairs.is_named.T, np.ones(len(pairs.user), bool)]
    columns = [
        pa.array([*pairs.sources, ALL]),
        pa.array([int(pairs.where(by).has(wanted.user, wanted.item).sum()) for by in named]),
        pa.array([len(wanted.user)] * len(named)),
        pa.array([int(by.sum()) for by in named]),
    ]
    return pa.RecordBatch.from_arrays(columns, ["source", "found", "wanted", "named"])
