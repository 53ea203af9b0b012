"""What is counted, summed and found of groups of rows, against plain loops over each group."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profile_lib.arrays.groups import (
    GroupedRows,
    complete_groups,
    dictionary_codes,
    first_occurrences,
    index_within_group,
    sort_by_group_and_time,
    to_list_array,
)

rows = st.tuples(
    st.integers(0, 6), st.integers(-1, 3), st.floats(-1e6, 1e6, allow_nan=False), st.booleans()
)
logs = st.lists(rows, max_size=60).map(lambda rows: sorted(rows, key=lambda row: row[0]))
N, CODES, NONE = 7, 4, -1e9


def columns(log: list[tuple]) -> tuple[np.ndarray, ...]:
    types = (np.int64, np.int64, np.float64, bool)
    return tuple(np.array([row[i] for row in log], dtype=t) for i, t in enumerate(types))


@settings(deadline=None)
@given(log=logs)
def test_groups_are_counted_and_searched_as_a_loop_over_them_does(log):
    of, code, value, where = columns(log)
    groups = GroupedRows(of, N)
    assert index_within_group(of).tolist() == [
        of[:i].tolist().count(of[i]) for i in range(len(log))
    ]
    for group in range(N):
        own = [i for i, row in enumerate(log) if row[0] == group]
        true = [i for i in own if where[i]]
        assert list(range(groups.start_rows[group], groups.end_rows[group])) == own
        assert groups.count(where)[group] == len(true)
        assert groups.first_true(where)[group] == (true[0] if true else -1)
        assert groups.last_true(where)[group] == (true[-1] if true else -1)
        assert groups.max(value, where, NONE)[group] == max([NONE, *value[true]])
        counts = groups.count_by_code(code, CODES, where)[:, group]
        assert counts.tolist() == [sum(code[i] == c for i in true) for c in range(CODES)]


@settings(deadline=None)
@given(log=logs)
def test_a_sum_is_that_of_one_value_after_the_other_whatever_stands_beside_it(log):
    of, _, value, where = columns(log)
    for group in range(N):
        alone = of == group
        in_turn = 0.0
        for number in value[alone & where]:
            in_turn += float(number)
        assert GroupedRows(of, N).sum(value, where)[group] == in_turn
        assert GroupedRows(of[alone] - group, 1).sum(value[alone], where[alone])[0] == in_turn


@settings(deadline=None)
@given(log=logs, cuts=st.lists(st.integers(0, 60), max_size=6), min_rows=st.integers(1, 30))
def test_groups_come_whole_and_once_wherever_batches_end(log, cuts, min_rows):
    of, code, *_ = columns(log)
    batch = pa.RecordBatch.from_arrays([pa.array(of), pa.array(code)], ["key", "code"])
    bounds = [0, *sorted(min(cut, len(log)) for cut in cuts), len(log)]
    batches = [batch.slice(a, b - a) for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    found = list(complete_groups(batches, "key", min_rows))
    keys = [set(part["key"].to_pylist()) for part in found]
    assert sum(map(len, keys)) == len(set(of.tolist()))
    assert [row for part in found for row in part.to_pylist()] == batch.to_pylist()
    assert all(part.num_rows >= min_rows for part in found[:-1])


@settings(deadline=None)
@given(log=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.text(max_size=2))))
def test_rows_are_ordered_by_group_time_and_the_bytes_of_their_id(log):
    group, micros = (np.array([row[i] for row in log], dtype=np.int64) for i in (0, 1))
    order = sort_by_group_and_time(group, micros, pa.array([row[2] for row in log], pa.string()))
    assert [log[i] for i in order] == sorted(log, key=lambda r: (r[0], r[1], r[2].encode()))


def test_values_are_numbered_null_by_minus_one_and_lists_are_cut_by_their_lengths():
    code, values = dictionary_codes(pa.array(["b", None, "a", "b"]))
    assert (code.tolist(), values.to_pylist()) == ([0, -1, 1, 0], ["b", "a"])
    assert to_list_array(np.array([1, 0, 2]), pa.array([7, 8, 9])).to_pylist() == [[7], [], [8, 9]]


@pytest.mark.parametrize("keys", [[], [4], [9, 2, 9, 9, 1, 2]])
def test_keys_are_numbered_in_the_order_in_which_they_come(keys):
    first, place = first_occurrences(np.array(keys, dtype=np.int64))
    distinct = list(dict.fromkeys(keys))
    assert first.tolist() == [keys.index(key) for key in distinct]
    assert place.tolist() == [distinct.index(key) for key in keys]
