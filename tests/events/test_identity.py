"""Check that pseudonyms are HMAC-SHA-256 and need a key."""

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F
from pyspark.testing import assertDataFrameEqual

from profile_lib.errors import InputError
from profile_lib.events.identity import pseudonymise, read_pseudonym_key

IDS = ["ann", "0", "用户", "x" * 300, "", " "]


@settings(max_examples=8, deadline=None)
@given(key=st.one_of(st.binary(min_size=1, max_size=80), st.binary(min_size=64, max_size=66)))
def test_a_pseudonym_equals_pythons_hmac_for_keys_of_any_length(spark, key):
    ids = spark.createDataFrame([(i,) for i in IDS], "id string")
    expected = [(i, hmac.new(key, i.encode(), hashlib.sha256).hexdigest()) for i in IDS]
    assertDataFrameEqual(
        ids.select("id", pseudonymise(F.col("id"), key).alias("pseudonym")),
        spark.createDataFrame(expected, "id string, pseudonym string"),
    )


def test_a_null_id_has_a_null_pseudonym(rows):
    frame = rows("id string", (None,))
    assert frame.select(pseudonymise(F.col("id"), b"k")).first()[0] is None


def test_the_key_of_the_settings_wins_over_that_of_the_environment():
    assert read_pseudonym_key("configured", "KEY", {"KEY": "other"}) == b"configured"
    assert read_pseudonym_key(None, "KEY", {"KEY": "other"}) == b"other"


@pytest.mark.parametrize("environment", [{}, {"KEY": ""}])
def test_a_missing_or_empty_key_is_refused(environment):
    with pytest.raises(InputError, match="environment variable KEY is not set"):
        read_pseudonym_key(None, "KEY", environment)
