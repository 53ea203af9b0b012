"""Normalise columns of texts."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from profile_lib.spark.distinct_values import map_distinct_strings
from profile_lib.texts.normalisation import UNUSUAL, normalise


def normalise_text(text: Column, max_chars: int, is_lower_case: bool) -> Column:
    """Normalise texts as `normalise` does; an empty one becomes null.

    A text is cut after `max_chars` characters first. Most texts are plain, so Python receives null
    in their place and does nothing for them.

    >>> frame = spark.createDataFrame([("<b>Ｂｌｕｅ</b> &amp;  mug\\t",)], "t string")
    >>> frame.select(normalise_text(F.col("t"), 100, True)).first()[0]
    'blue & mug'
    """
    cut = F.substring(text.cast("string"), 1, max_chars)
    unusual = map_distinct_strings(F.when(cut.rlike(UNUSUAL), cut), normalise)
    clean = F.coalesce(unusual, cut)
    clean = F.lower(clean) if is_lower_case else clean
    return F.when(clean != "", clean)
