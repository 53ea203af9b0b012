"""The command line that all jobs share: --config FILE [--set a.b=c] [--date yyyy-mm-dd].

A job may have flags of its own.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date

from pyspark.errors import PySparkException

from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.spark.session import start_spark, worker_input_error

JobFunction = Callable[..., object]  # (store, settings, day), and each flag by its name


def main(
    name: str, run: JobFunction, description: str | None, flags: Mapping[str, str] | None = None
) -> None:
    """Run one job from the command line; an InputError is one sentence and exit code 1.

    `flags` are switches of this job alone, each with what it does.
    """
    parser = argparse.ArgumentParser(prog=f"jobs/{name}.py", description=description)
    parser.add_argument("--config", required=True, help="a settings file, such as conf/demo.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="A.B=C", help="change a setting"
    )
    parser.add_argument(
        "--date", type=iso_date, metavar="YYYY-MM-DD", help="what arrived on this day; else all"
    )
    for flag, does in (flags or {}).items():
        parser.add_argument(f"--{flag}", action="store_true", help=does)
    arguments = parser.parse_args()
    began = time.monotonic()
    try:
        settings = load_settings(arguments.config, arguments.set)
        spark = start_spark(settings.spark, name)
        chosen = {flag: getattr(arguments, flag) for flag in flags or {}}
        store = Store(spark, settings.paths.tables, **settings.store.model_dump())
        run(store, settings, arguments.date, **chosen)
    except InputError as error:
        sys.exit(f"{name}: {error}")
    except PySparkException as error:
        if (told := worker_input_error(error)) is None:
            raise
        sys.exit(f"{name}: {told}")
    print(f"{name}: done in {time.monotonic() - began:.1f} s")


def iso_date(text: str) -> date:
    """The day a text such as 2016-09-01 names. Raises argparse's error where it names none."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"found {text!r}, wanted yyyy-mm-dd") from error
