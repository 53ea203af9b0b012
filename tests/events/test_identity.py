"""Check that pseudonyms are keyed hashes, and that the key is nowhere to be seen."""

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F
from pyspark.testing import assertDataFrameEqual

from profile_lib.errors import InputError
from profile_lib.events.identity import Pseudonyms, read_pseudonyms

IDS = ["ann", "0", "用户", "x" * 300, "", " "]
SECRET = b"a secret key of the tests"


def keyed_hash(key: bytes, message: str) -> str:
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()


@settings(max_examples=6, deadline=None)
@given(key=st.one_of(st.binary(min_size=1, max_size=80), st.binary(min_size=64, max_size=66)))
def test_a_pseudonym_equals_pythons_hmac_for_keys_of_any_length(spark, key):
    pseudonyms = Pseudonyms([key])
    ids = pseudonyms.join_key(spark.createDataFrame([(i,) for i in IDS], "id string"))
    hashed = ids.select("id", pseudonyms.hash_id(F.lit("user"), F.col("id")).alias("pseudonym"))
    expected = [(i, keyed_hash(key, f"user\x1f{i}")) for i in IDS]
    assertDataFrameEqual(hashed, spark.createDataFrame(expected, "id string, pseudonym string"))


def test_a_later_version_is_the_hash_of_the_one_before_and_renewal_needs_no_raw_id(rows):
    first, both = Pseudonyms([b"one"]), Pseudonyms([b"one", b"two"])
    frame = both.join_key(first.drop_key(first.join_key(rows("id string", ("ann",)))))
    assert frame.columns[0] == "id"
    old = keyed_hash(b"one", "ann")
    row = frame.select(
        both.hash_id(F.col("id")).alias("new"), both.renew(F.lit(old)).alias("renewed")
    ).first()
    assert both.version == 2
    assert row["new"] == row["renewed"] == keyed_hash(b"two", old)
    assert both.drop_key(frame).columns == ["id"]


def test_an_id_of_which_a_part_is_null_has_no_pseudonym(rows):
    pseudonyms = Pseudonyms([b"k"])
    frame = pseudonyms.join_key(rows("id string", (None,)))
    assert frame.select(pseudonyms.hash_id(F.lit("user"), F.col("id"))).first()[0] is None


def test_parts_are_kept_apart(rows):
    pseudonyms = Pseudonyms([b"k"])
    frame = pseudonyms.join_key(rows("a string, b string", ("web", "1user"), ("web1", "user")))
    hashed = frame.select(pseudonyms.hash_id(F.col("a"), F.col("b"))).collect()
    assert hashed[0] != hashed[1]


def forms_of(key: bytes) -> set[str]:
    """Return how a key, or a pad that gives it away, would appear in a text."""
    pads = [bytes(b ^ pad for b in key) for pad in (0, 0x36, 0x5C)]
    return {form for pad in pads for form in (pad.decode("latin-1"), pad.hex(), str(list(pad)))}


def test_the_key_is_in_no_plan_error_or_text_of_an_object(rows):
    pseudonyms = Pseudonyms([SECRET])
    frame = pseudonyms.join_key(rows("id string", ("ann",)))
    hashed = frame.select(pseudonyms.hash_id(F.col("id")).alias("pseudonym"))
    hashed.collect()
    execution = hashed._jdf.queryExecution()
    texts = [execution.toString(), execution.analyzed().toJSON(), hashed._jdf.toString()]
    texts += [repr(pseudonyms), str(pseudonyms), repr(hashed)]
    with pytest.raises(Exception, match="nothing") as error:
        frame.select("nothing").collect()
    texts.append(str(error.value))
    assert [
        text for text in texts for form in forms_of(SECRET) if form.lower() in text.lower()
    ] == []


def test_the_keys_of_the_settings_come_before_those_of_the_environment():
    keys = read_pseudonyms("configured", "KEY", {"KEY": "other"})
    assert keys._keys == (b"configured",)
    assert read_pseudonyms(None, "KEY", {"KEY": " one , two,"})._keys == (b"one", b"two")


@pytest.mark.parametrize("environment", [{}, {"KEY": ""}, {"KEY": " , "}])
def test_a_missing_or_empty_key_is_refused(environment):
    with pytest.raises(InputError) as error:
        read_pseudonyms(None, "KEY", environment)
    assert str(error.value) == (
        "ingest.pseudonym_key_env: the environment variable KEY is not set; wanted the secret key "
        "that turns user ids into pseudonyms; set it, and always to the same key, because another "
        "key gives each user another pseudonym"
    )
