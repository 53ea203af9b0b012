"""Declare the table of training examples."""

from pyspark.sql import types as T

from profile_lib.tables.events import CONTEXT_COLUMNS
from profile_lib.tables.table import (
    BOOLEAN,
    DOUBLE,
    INT,
    INTS,
    STRING,
    STRINGS,
    TIMESTAMP,
    Table,
    optional,
    required,
    rerun_instructions,
)

EXAMPLES = Table(
    "examples",
    "What a model sees at a cutoff, and what came after it",
    key=("user_id", "cutoff_ts"),
    rebuild_instructions=rerun_instructions("build_examples"),
    columns=(
        required("user_id", STRING, "pseudonym"),
        required("cutoff_ts", TIMESTAMP, "only what was known before it is input"),
        required("split", STRING, "train, validation or test, by time"),
        required("text", STRING, "recent behaviour, newest first, events parted by [SEP]"),
        required("token_ids", INTS, "text in the encoder's vocabulary, padded to a fixed length"),
        required("n_tokens", INT, "true length of token_ids"),
        required("numeric", T.ArrayType(DOUBLE), "NUMERIC_FEATURES in order, NaN where unknown"),
        optional("top_category", STRING, "most seen category: what the simplest rule would say"),
        optional("buys", INT, "1 where a purchase falls within the horizon, else 0"),
        required("spend", DOUBLE, "price times quantity over the purchases within the horizon"),
        optional("next_category", STRING, "category of the next item within the horizon"),
        required("next_categories", STRINGS, "categories of the items within the horizon"),
        optional("age_band", STRING, "as declared, null where unknown"),
        optional("gender", STRING, "as declared, null where unknown"),
        optional("attributes", T.MapType(STRING, STRING), "whatever else is declared"),
        required("is_returning", BOOLEAN, "whether it is not the user's first session"),
        *(optional(n, STRING, "the one most seen before the cutoff") for n in CONTEXT_COLUMNS),
        required("sampling_weight", DOUBLE, "1 / probability with which the example was kept"),
    ),
)
