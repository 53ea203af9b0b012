"""What Spark's errors hide."""

import pandas as pd
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.spark.session import worker_input_error


def test_what_a_worker_refused_is_found_in_sparks_error_and_nothing_else_is(spark):
    def refuse(_: pd.Series) -> pd.Series:
        raise InputError("n: found 1, wanted 2; count again")

    def fail(_: pd.Series) -> pd.Series:
        raise KeyError("n")

    said = []
    for function in (refuse, fail):
        with pytest.raises(PySparkException) as error:
            spark.range(1).select(F.pandas_udf(function, "long")("id")).collect()
        said.append(worker_input_error(error.value))
    assert said == ["n: found 1, wanted 2; count again", None]
