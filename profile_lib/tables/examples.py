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
    "Model input as of a cutoff, with labels from the time after it",
    key=("user_id", "cutoff_ts"),
    rebuild_instructions=rerun_instructions("build_examples"),
    columns=(
        required("user_id", STRING, "pseudonym", "pseudonym"),
        required("cutoff_ts", TIMESTAMP, "only what was known before this moment is input, UTC"),
        required("split", STRING, "train, validation or test, by time"),
        required(
            "text", STRING, "recent behaviour, newest first, events separated by [SEP]", "text"
        ),
        required("token_ids", INTS, "ids of the text's tokens, padded to a fixed length", "text"),
        required("n_tokens", INT, "number of token_ids without padding"),
        required("numeric", T.ArrayType(DOUBLE), "NUMERIC_FEATURES in order, NaN if unknown"),
        optional("top_category", STRING, "strongest category, a simple prediction of the next"),
        optional("buys", INT, "1 if a purchase falls within the horizon, else 0"),
        required(
            "spend",
            DOUBLE,
            "price times quantity of purchases within the horizon, in the shop's currency",
        ),
        optional(
            "next_category",
            STRING,
            "category of the next item within the horizon, if any",
        ),
        required(
            "next_categories",
            STRINGS,
            "categories of the items within the horizon",
        ),
        optional("age_band", STRING, "declared age band, years; null if unknown", "fact"),
        optional("gender", STRING, "declared gender; null if unknown", "fact"),
        optional("attributes", T.MapType(STRING, STRING), "other declared facts by name", "fact"),
        required("is_returning", BOOLEAN, "whether the user had a session before the current one"),
        *(
            optional(
                n,
                STRING,
                f"most frequent {n} before the cutoff",
                "fact" if n == "region" else None,
            )
            for n in CONTEXT_COLUMNS
        ),
        required("sampling_weight", DOUBLE, "1 / probability that the example was kept"),
    ),
)
