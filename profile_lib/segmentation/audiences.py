"""A rule in words of Spark SQL and a frame in, the users for whom it holds out."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.errors import InputError
from profile_lib.spark.sql_rules import describe_rule_errors


def select_members(frame: DataFrame, rule: str, setting: str) -> DataFrame:
    """(user_id) of the rows for which the rule holds; where it is null it does not.

    Raises InputError where Spark cannot read it, or it is no condition.
    """
    with describe_rule_errors(rule, setting):
        kind = frame.select(F.expr(rule)).schema[0].dataType
        if kind != T.BooleanType():
            raise InputError(
                f"{setting}: {rule!r} is {kind.simpleString()}, wanted a condition, true or false"
            )
        return frame.where(rule).select("user_id")
