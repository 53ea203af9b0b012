"""Normalise what people wrote, mask personal data in it, and recognise its language."""

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.events.personal_data import mask_text
from profile_lib.texts.languages import language_of
from profile_lib.texts.normalisation import normalise

TEXT_COLUMNS = ("query", "text")
CLEAN_TYPE = (
    "query string, query_language string, query_masked array<string>, "
    "text string, text_language string, text_masked array<string>"
)
CACHED_TEXTS = 2**14  # per task
CLEANED = "_cleaned_texts"


def clean_free_texts(cleaned: DataFrame, max_chars: int) -> DataFrame:
    """Clean the columns query and text, and compute their language.

    A text is cut after `max_chars` characters and normalised, and personal data in it is replaced
    by tokens; each kind that was found is an issue, such as `text:masked_email`. The language is
    that of the text, else that of the query. Python cleans each distinct text of an Arrow batch
    once.
    """

    @F.pandas_udf(CLEAN_TYPE)  # type: ignore[call-overload]
    def clean_batches(batches: Iterator[tuple[pd.Series, pd.Series]]) -> Iterator[pd.DataFrame]:
        clean_cached = lru_cache(maxsize=CACHED_TEXTS)(clean_text)
        for queries, texts in batches:
            code, distinct = pd.factorize(pd.concat([queries, texts]))
            found = np.empty((len(distinct) + 1, 3), dtype=object)  # code -1 is null
            for number, text in enumerate(distinct):
                found[number] = clean_cached(text)
            yield pd.DataFrame(
                np.hstack([found[code[: len(queries)]], found[code[len(queries) :]]])
            )

    cut = [F.substring(name, 1, max_chars) for name in TEXT_COLUMNS]
    columns = cleaned.withColumn(CLEANED, clean_batches(*cut))
    issues = [F.col("issues")]
    for name in TEXT_COLUMNS:
        kinds = F.coalesce(F.col(f"{CLEANED}.{name}_masked"), F.array().cast("array<string>"))
        issues.append(F.transform(kinds, _prefixer(f"{name}:")))
    return columns.withColumns(
        {
            "query": F.lower(F.col(f"{CLEANED}.query")),
            "text": F.col(f"{CLEANED}.text"),
            "language": F.coalesce(f"{CLEANED}.text_language", f"{CLEANED}.query_language"),
            "issues": F.concat(*issues),
        }
    ).drop(CLEANED)


def _prefixer(prefix: str) -> Callable[[Column], Column]:
    return lambda kind: F.concat(F.lit(prefix), kind)


def clean_text(text: str) -> tuple[str | None, str | None, list[str]]:
    """Return a text normalised and masked, its language, and the kinds that were masked.

    >>> clean_text("is the caf&eacute;  open? write to ann@example.com")
    ('is the café open? write to [email]', 'en', ['masked_email'])
    """
    masked = mask_text(normalise(text))
    kinds = [f"masked_{kind.replace(' ', '_')}" for kind in masked.kinds]
    return masked.text or None, language_of(masked.text), kinds
