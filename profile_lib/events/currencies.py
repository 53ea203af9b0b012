"""Convert prices to the base currency, and refuse those that are too high."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.events.read_errors import explain_read_errors

RATE_COLUMNS = ("day", "currency", "rate")
MIN_RATE = 1e-12


def read_rates(spark: SparkSession, path: str) -> DataFrame:
    """Read a CSV file of exchange rates: day, currency, rate.

    A rate is the value of one unit of the currency in the base currency, from that day on. Returns
    currency, rate, from_date and to_date. Raises InputError if there is no file, a column is
    missing or a row cannot be read.
    """
    with explain_read_errors("ingest.rates", path):
        rows = spark.read.option("header", True).csv(path)
    if missing := [c for c in RATE_COLUMNS if c not in rows.columns]:
        raise InputError(
            f"ingest.rates: {path} has no column {', '.join(missing)}; wanted day, currency, rate"
        )
    day = F.when(F.col("day").rlike(r"^\d{4}-\d{2}-\d{2}$"), F.expr("try_cast(day AS DATE)"))
    rates = rows.select(
        day.alias("from_date"),
        F.upper(F.trim("currency")).alias("currency"),
        F.expr("try_cast(rate AS DOUBLE)").alias("rate"),
    )
    is_valid = F.col("from_date").isNotNull() & (F.col("currency") != "")
    is_valid &= F.col("rate").between(MIN_RATE, 1 / MIN_RATE)  # neither null nor NaN
    if n_bad := rates.where(~F.coalesce(is_valid, F.lit(False))).count():
        raise InputError(
            f"ingest.rates: {n_bad} rows of {path} cannot be read; wanted day as yyyy-mm-dd, a "
            "currency's code and a rate above 0"
        )
    next_day = F.lead("from_date").over(Window.partitionBy("currency").orderBy("from_date"))
    return rates.withColumn("to_date", next_day)


def convert_prices(
    cleaned: DataFrame, base_currency: str | None, rates: DataFrame | None, max_price: float
) -> DataFrame:
    """Convert the prices of cleaned rows to the base currency.

    A row without a currency has the base currency. A price whose currency has no rate on the day,
    or that is above `max_price` in the base currency, becomes null, with an issue. Without a base
    currency, no row may have a currency: prices of several would be mixed.
    """
    currency = F.upper(F.trim("currency"))
    base = F.lit((base_currency or "").upper())
    is_base = currency.isNull() | (currency == "") | (currency == base)
    if rates is None:
        rate: Column = F.when(is_base, 1.0)
    else:
        cleaned = _join_rates(cleaned, rates)
        rate = F.when(is_base, 1.0).otherwise(F.col("rate"))
    price = F.col("price") * rate
    issue = F.when(F.col("price").isNotNull() & rate.isNull(), "price:no_exchange_rate").when(
        price > max_price, "price:out_of_range"
    )
    issues = F.when(issue.isNull(), F.col("issues")).otherwise(F.concat("issues", F.array(issue)))
    converted = cleaned.withColumns({"price": F.when(price <= max_price, price), "issues": issues})
    return converted.drop("currency", "rate")


def _join_rates(cleaned: DataFrame, rates: DataFrame) -> DataFrame:
    renamed = F.broadcast(rates.withColumnRenamed("currency", "rate_currency"))
    on: Sequence[Column] = [
        F.upper(F.trim(cleaned["currency"])) == F.col("rate_currency"),
        cleaned["event_date"] >= F.col("from_date"),
        F.col("to_date").isNull() | (cleaned["event_date"] < F.col("to_date")),
    ]
    joined = cleaned.join(renamed, list(on), "left")
    return joined.drop("rate_currency", "from_date", "to_date")
