"""The JVM of a Spark session prints only warnings that somebody can act on."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from profile_lib.spark.jvm import IGNORED_LINES, forward_messages

ROOT = Path(__file__).parents[2]
START = """
from profile_lib.config.settings import load_settings
from profile_lib.spark.session import start_spark
spark = start_spark(load_settings("dev").spark, "test")
print(spark.range(3).count(), spark.conf.get("spark.sql.session.timeZone"))
spark.sparkContext._jvm.System.err.println("an error of a library")
"""


def test_messages_are_forwarded_except_the_ignored_ones():
    (source, source_input), (target_output, target) = os.pipe(), os.pipe()
    thread = threading.Thread(target=forward_messages, args=(source, target))
    thread.start()
    os.write(source_input, IGNORED_LINES[0] + b"26/01/01 ERROR disk full\nlast words")
    os.close(source_input)
    thread.join()
    assert os.read(target_output, 1000) == b"26/01/01 ERROR disk full\nlast words"


@pytest.mark.slow
def test_a_session_starts_without_warnings_and_errors_are_still_printed():
    environment = {key: value for key, value in os.environ.items() if key != "SPARK_LOCAL_IP"}
    process = subprocess.run(
        [sys.executable, "-c", START], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert process.stdout == "3 UTC\n"
    assert process.stderr == "an error of a library\n"
