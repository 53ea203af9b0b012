"""Run a job from the command line: arguments, settings, session, exit code."""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date

from pyspark.errors import PySparkException

from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.errors import ConcurrentWriteError, InputError
from profile_lib.spark.session import start_spark, worker_input_error

JobFunction = Callable[
    ..., object
]  # (store, settings), `day` if the job takes a date, and each flag

INPUT_TO_FIX = 2  # argparse ends with the same code
TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h
EXIT_CODES = """\
exit codes:
  0   done
  2   a setting, an argument or the input has to be fixed
  75  another writer was faster each time: run the same command again
  1   any other failure
"""


def main(
    name: str,
    run: JobFunction,
    description: str | None,
    takes_date: bool = False,
    flags: Mapping[str, str] | None = None,
) -> None:
    """Run one job and exit with a code of EXIT_CODES; errors of input are one sentence.

    `flags` are switches of this job alone, each with its help text.
    """
    parser = argparse.ArgumentParser(
        prog=f"jobs/{name}.py",
        description=description,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", required=True, help="a settings file, such as conf/demo.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="A.B=C", help="change a setting"
    )
    if takes_date:
        parser.add_argument(
            "--date", type=iso_date, metavar="YYYY-MM-DD", help="this day only; default: all data"
        )
    for flag, help_text in (flags or {}).items():
        parser.add_argument(f"--{flag}", action="store_true", help=help_text)
    arguments = parser.parse_args()
    options = {flag: getattr(arguments, flag) for flag in flags or {}}
    if takes_date:
        options["day"] = arguments.date
    start = time.monotonic()
    try:
        settings = load_settings(arguments.config, arguments.set)
        spark = start_spark(settings.spark, name)
        store = Store(spark, settings.paths.tables, **settings.store.model_dump())
        run(store, settings, **options)
    except ConcurrentWriteError as error:
        fail(name, str(error), TRY_AGAIN)
    except InputError as error:
        fail(name, str(error), INPUT_TO_FIX)
    except PySparkException as error:
        message = worker_input_error(error)
        if message is None:
            raise
        fail(name, message, INPUT_TO_FIX)
    print(f"{name}: done in {time.monotonic() - start:.1f} s")


def fail(name: str, message: str, code: int) -> None:
    """Print one sentence to standard error and exit with `code`."""
    print(f"{name}: {message}", file=sys.stderr)
    sys.exit(code)


def iso_date(text: str) -> date:
    """Parse a date such as 2016-09-01. Raises argparse's error if it is not one."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"found {text!r}, wanted yyyy-mm-dd") from error
