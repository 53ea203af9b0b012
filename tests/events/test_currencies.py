"""Check that prices are converted by the rate of their day, and that mixed ones are refused."""

from datetime import date
from pathlib import Path

import pytest

from profile_lib.errors import InputError
from profile_lib.events.currencies import convert_prices, read_rates
from profile_lib.spark.expression_tree import LENIENT_CONF
from profile_lib.spark.session import session_conf

RATES = """day,currency,rate
2024-01-01,usd ,0.9
2024-03-01,USD,0.5
2024-02-01,VND,0.00004
"""
SCHEMA = "event_date date, price double, currency string, issues array<string>"
TOO_HIGH, NO_RATE = "price:out_of_range", "price:no_exchange_rate"
PRICES = [
    ((date(2024, 2, 29), 10.0, "USD"), (9.0, None)),
    ((date(2024, 3, 1), 10.0, " usd"), (5.0, None)),
    ((date(2024, 3, 2), 15_000_000.0, "VND"), (600.0, None)),
    ((date(2024, 1, 31), 15_000_000.0, "VND"), (None, NO_RATE)),
    ((date(2024, 3, 2), 10.0, "GBP"), (None, NO_RATE)),
    ((date(2023, 3, 2), 10.0, "EUR"), (10.0, None)),
    ((date(2023, 3, 2), 10.0, None), (10.0, None)),
    ((date(2023, 3, 2), 10.0, ""), (10.0, None)),
    ((date(2023, 3, 2), 20_001.0, "EUR"), (None, TOO_HIGH)),
    ((date(2024, 3, 2), 40_004.0, "USD"), (None, TOO_HIGH)),
    ((date(2024, 3, 2), None, "GBP"), (None, None)),
]


def write_rates(folder: Path, text: str) -> str:
    (folder / "rates.csv").write_text(text)
    return str(folder / "rates.csv")


def convert(rows, base: str | None, rates, *prices: tuple) -> list[tuple]:
    frame = rows(SCHEMA, *[(*price, ["old"]) for price in prices])
    converted = convert_prices(frame, base, rates, max_price=20_000.0)
    assert set(converted.columns) == {"event_date", "price", "issues"}
    return [(row["price"], row["issues"]) for row in converted.collect()]


def test_a_price_is_converted_by_the_latest_rate_of_its_day(spark, rows, tmp_path):
    rates = read_rates(spark, write_rates(tmp_path, RATES))
    expected = [
        (price, ["old"] if issue is None else ["old", issue]) for _, (price, issue) in PRICES
    ]
    found = convert(rows, "EUR", rates, *[price for price, _ in PRICES])
    assert [(p if p is None else round(p, 9), issues) for p, issues in found] == expected


def test_without_rates_only_prices_of_the_base_currency_are_kept(rows):
    day = date(2024, 3, 1)
    found = convert(rows, "EUR", None, (day, 1.0, "eur"), (day, 2.0, "USD"), (day, 3.0, None))
    assert found == convert(
        rows, "eur", None, (day, 1.0, "EUR"), (day, 2.0, "usd"), (day, 3.0, None)
    )
    assert found == [(1.0, ["old"]), (None, ["old", NO_RATE]), (3.0, ["old"])]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("day,rate\n", "{path} has no column currency; wanted day, currency, rate"),
        (
            "day,currency,rate\n2024-01-01,USD,0\n01.02.2024,USD,1\n2024-01-01,,1\n2024-01-03,A,x\n"
            "2024-01-04,B,NaN\n2024-01-05,USD,1\n",
            "5 rows of {path} cannot be read; wanted day as yyyy-mm-dd, a currency's code and a "
            "rate above 0",
        ),
    ],
)
def test_a_file_of_rates_that_cannot_be_read_is_named(spark, tmp_path, text, sentence):
    path = write_rates(tmp_path, text)
    with session_conf(spark, LENIENT_CONF), pytest.raises(InputError) as error:
        read_rates(spark, path)
    assert str(error.value) == f"ingest.rates: {sentence.format(path=path)}"
