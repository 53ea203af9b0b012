"""Run a job from the command line: arguments, settings, session, exit code."""

import argparse
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime

from pyspark.errors import PySparkException

from profile_lib.config.settings import load_settings
from profile_lib.delta.pseudonym_versions import read_complete_version
from profile_lib.delta.store import Store
from profile_lib.errors import InputError, TryAgainError
from profile_lib.logs import configure_logging
from profile_lib.progress import format_duration
from profile_lib.spark.session import start_spark, worker_input_error
from profile_lib.spark.time_zones import check_time_zone

# A job takes a store, the settings, `day` if it accepts --date, `now` if it depends on the time,
# and each of its flags.
JobFunction = Callable[..., object]

INPUT_TO_FIX = 2  # argparse exits with the same code
TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h
EPILOG = """\
exit codes:
  0   done
  2   fix a setting, an argument or the input; one sentence says which
  75  try again later: other jobs wrote first at every attempt, or one holds a lock
  1   any other failure, with its traceback

conf/base/ explains every setting; jobs/README.md lists what each job reads and writes.
"""

log = logging.getLogger(__name__)


def main(
    name: str,
    run: JobFunction,
    description: str | None,
    date_help: str | None = None,
    takes_now: bool = False,
    flags: Mapping[str, str] | None = None,
    runs_during_rotation: bool = False,
    argv: Sequence[str] | None = None,
) -> None:
    """Run one job, and exit with one of the codes in EPILOG if it fails.

    `date_help` says what --date selects; a job without it takes no date. With `takes_now` the job
    gets the moment of its start, as `now` in UTC. `flags` are switches of this job alone, each with
    its help text. Unless it `runs_during_rotation`, a job refuses to run while the pseudonym key is
    rotated. `argv` are the arguments; by default, those of the process. An InputError is
    printed as one sentence, without a traceback.
    """
    arguments = build_parser(name, description, date_help, flags or {}).parse_args(argv)
    options = {flag: getattr(arguments, flag) for flag in flags or {}}
    if date_help is not None:
        options["day"] = arguments.date
    if takes_now:
        options["now"] = datetime.now(UTC)
    configure_logging(name)
    start = time.monotonic()
    try:
        settings = load_settings(arguments.config, arguments.set)
        configure_logging(name, settings.logging.format)
        spark = start_spark(settings.spark, name)
        check_time_zone(spark, settings.behaviour.time_zone, "behaviour.time_zone")
        paths = settings.paths
        store = Store(spark, paths.tables, paths.identity, **settings.store.model_dump())
        if not runs_during_rotation:
            read_complete_version(store)
        run(store, settings, **options)
    except TryAgainError as error:
        fail(str(error), TRY_AGAIN)
    except InputError as error:
        fail(str(error), INPUT_TO_FIX)
    except PySparkException as error:
        message = worker_input_error(error)
        if message is None:
            raise
        fail(message, INPUT_TO_FIX)
    seconds = time.monotonic() - start
    log.info(f"{name}: done in {format_duration(seconds)}", extra={"fields": {"seconds": seconds}})


def build_parser(
    name: str, description: str | None, date_help: str | None, flags: Mapping[str, str]
) -> argparse.ArgumentParser:
    """Build the parser of a job's arguments."""
    parser = argparse.ArgumentParser(
        prog=f"jobs/{name}.py",
        description=description,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config",
        required=True,
        metavar="FILE",
        help="settings file: a path, or the name of a file in conf/, such as demo",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change one setting, such as training.epochs=2; may be repeated",
    )
    if date_help is not None:
        parser.add_argument("--date", type=iso_date, metavar="YYYY-MM-DD", help=date_help)
    for flag, help_text in flags.items():
        parser.add_argument(f"--{flag}", action="store_true", help=help_text)
    return parser


def fail(message: str, code: int) -> None:
    """Log one sentence as an error and exit with `code`."""
    log.error(message)
    sys.exit(code)


def iso_date(text: str) -> date:
    """Parse a date such as 2016-09-01. Raises argparse's error if it is not one."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"found {text!r}, wanted yyyy-mm-dd") from error
