"""The message of a worker's InputError is found within Spark's error."""

import pandas as pd
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.spark.session import worker_input_error


def test_only_the_message_of_an_input_error_is_found_in_the_error_of_spark(spark):
    def refuse(_: pd.Series) -> pd.Series:
        raise InputError("n: found 1, wanted 2; count again")

    def fail(_: pd.Series) -> pd.Series:
        raise KeyError("n")

    messages = []
    for function in (refuse, fail):
        with pytest.raises(PySparkException) as error:
            spark.range(1).select(F.pandas_udf(function, "long")("id")).collect()
        messages.append(worker_input_error(error.value))
    assert messages == ["n: found 1, wanted 2; count again", None]
