"""Select the users of an audience by a rule."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.errors import InputError
from profile_lib.spark.sql_rules import describe_rule_errors


def select_members(frame: DataFrame, rule: str, setting: str) -> DataFrame:
    """Return the `user_id` of the rows that fulfil a rule.

    The rule is a Spark SQL condition; rows for which it is null are left out. Raises InputError if
    Spark cannot parse the rule, or if it is not a condition. `setting` names the setting that holds
    the rule.
    """
    with describe_rule_errors(rule, setting):
        kind = frame.select(F.expr(rule)).schema[0].dataType
        if kind != T.BooleanType():
            raise InputError(
                f"{setting}: {rule!r} is {kind.simpleString()}, wanted a condition (boolean)"
            )
        return frame.where(rule).select("user_id")
