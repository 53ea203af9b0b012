"""Operations on all groups at once agree with plain loops over each group."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
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
tables = st.lists(rows, max_size=60).map(lambda rows: sorted(rows, key=lambda row: row[0]))
N_GROUPS, N_CODES, INITIAL = 7, 4, -1e9


def columns(table: list[tuple]) -> tuple[np.ndarray, ...]:
    """Group, code, value and condition of each row."""
    types = (np.int64, np.int64, np.float64, bool)
    return tuple(np.array([row[i] for row in table], dtype=t) for i, t in enumerate(types))


@given(table=tables)
def test_counts_and_searches_of_groups_agree_with_a_loop(table):
    group_ids, code, value, where = columns(table)
    grouped = GroupedRows(group_ids, N_GROUPS)
    assert index_within_group(group_ids).tolist() == [
        group_ids[:i].tolist().count(group_ids[i]) for i in range(len(table))
    ]
    for group in range(N_GROUPS):
        rows_of_group = [i for i, row in enumerate(table) if row[0] == group]
        true_rows = [i for i in rows_of_group if where[i]]
        assert list(range(grouped.start_rows[group], grouped.end_rows[group])) == rows_of_group
        assert grouped.count(where)[group] == len(true_rows)
        assert grouped.first_true(where)[group] == (true_rows[0] if true_rows else -1)
        assert grouped.last_true(where)[group] == (true_rows[-1] if true_rows else -1)
        assert grouped.max(value, where, INITIAL)[group] == max([INITIAL, *value[true_rows]])
        counts = grouped.count_by_code(code, N_CODES, where)[:, group]
        assert counts.tolist() == [sum(code[i] == c for i in true_rows) for c in range(N_CODES)]


@given(table=tables)
def test_a_sum_adds_values_in_their_order_and_ignores_other_groups(table):
    group_ids, _, value, where = columns(table)
    for group in range(N_GROUPS):
        is_group = group_ids == group
        total = 0.0
        for number in value[is_group & where]:
            total += float(number)
        single_group = GroupedRows(group_ids[is_group] - group, 1)
        assert GroupedRows(group_ids, N_GROUPS).sum(value, where)[group] == total
        assert single_group.sum(value[is_group], where[is_group])[0] == total


@given(table=tables, cuts=st.lists(st.integers(0, 60), max_size=6), min_rows=st.integers(1, 30))
def test_each_group_is_yielded_complete_and_once_wherever_batches_end(table, cuts, min_rows):
    group_ids, code, *_ = columns(table)
    batch = pa.RecordBatch.from_arrays([pa.array(group_ids), pa.array(code)], ["key", "code"])
    bounds = [0, *sorted(min(cut, len(table)) for cut in cuts), len(table)]
    batches = [batch.slice(a, b - a) for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    complete = list(complete_groups(batches, "key", min_rows))
    keys = [set(part["key"].to_pylist()) for part in complete]
    assert sum(map(len, keys)) == len(set(group_ids.tolist()))
    assert [row for part in complete for row in part.to_pylist()] == batch.to_pylist()
    assert all(part.num_rows >= min_rows for part in complete[:-1])


numbers = st.integers(0, 3)
sequences = st.none() | st.integers(-2, 2)


@given(events=st.lists(st.tuples(numbers, numbers, sequences, st.text(max_size=2))))
def test_events_are_sorted_by_group_time_sequence_and_the_bytes_of_their_id(events):
    """Events without a sequence come before those with one."""
    group, micros = (np.array([event[i] for event in events], dtype=np.int64) for i in (0, 1))
    sequence = pa.array([event[2] for event in events], pa.int64())
    event_id = pa.array([event[3] for event in events], pa.string())
    order = sort_by_group_and_time(group, micros, sequence, event_id)

    def key(event):
        has_sequence = event[2] is not None
        return *event[:2], has_sequence, event[2] if has_sequence else 0, event[3].encode()

    assert [events[i] for i in order] == sorted(events, key=key)


def test_null_has_the_code_minus_one():
    code, values = dictionary_codes(pa.array(["b", None, "a", "b"]))
    assert (code.tolist(), values.to_pylist()) == ([0, -1, 1, 0], ["b", "a"])


def test_values_are_split_into_lists_of_given_lengths():
    assert to_list_array(np.array([1, 0, 2]), pa.array([7, 8, 9])).to_pylist() == [[7], [], [8, 9]]


@pytest.mark.parametrize("keys", [[], [4], [9, 2, 9, 9, 1, 2]])
def test_keys_are_numbered_in_the_order_of_their_first_occurrence(keys):
    first_row, number = first_occurrences(np.array(keys, dtype=np.int64))
    distinct = list(dict.fromkeys(keys))
    assert first_row.tolist() == [keys.index(key) for key in distinct]
    assert number.tolist() == [distinct.index(key) for key in keys]
