"""The command line that all jobs share: --config FILE [--set a.b=c] [--date yyyy-mm-dd]."""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import date

from profile_lib.config import Settings, load_settings
from profile_lib.errors import InputError
from profile_lib.spark import start_spark
from profile_lib.store import Store

Run = Callable[[Store, Settings, date | None], None]


def main(name: str, run: Run, about: str | None) -> None:
    """Run one job from the command line; an InputError is one sentence and exit code 1."""
    parser = argparse.ArgumentParser(prog=f"jobs/{name}.py", description=about)
    parser.add_argument("--config", required=True, help="a settings file, such as conf/demo.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="A.B=C", help="change a setting"
    )
    parser.add_argument(
        "--date", type=iso_date, metavar="YYYY-MM-DD", help="what arrived on this day; else all"
    )
    arguments = parser.parse_args()
    began = time.monotonic()
    try:
        settings = load_settings(arguments.config, arguments.set)
        spark = start_spark(settings.spark, name)
        run(Store(spark, settings.paths.tables), settings, arguments.date)
    except InputError as error:
        sys.exit(f"{name}: {error}")
    print(f"{name}: done in {time.monotonic() - began:.1f} s")


def iso_date(text: str) -> date:
    """The day a text such as 2016-09-01 names. Raises argparse's error where it names none."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"found {text!r}, wanted yyyy-mm-dd") from error
