"""Start the JVM of a Spark session without warnings that nobody can act on."""

import atexit
import fcntl
import os
import struct
import termios
import threading
import time
from collections.abc import Mapping

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway

from profile_lib.config.files import shipped_conf

JAVA_OPTIONS = "spark.driver.extraJavaOptions"
# Spark itself asks for this module, and the JVM has no option that silences the warning.
IGNORED_LINES = (b"WARNING: Using incubator modules: jdk.incubator.vector\n",)
STDERR = 2  # number of the process's standard error
EXIT_SECONDS = 1.0  # longest wait at exit for messages that have not been forwarded


def start_jvm(conf: Mapping[str, str]) -> dict[str, str]:
    """Start the JVM unless this process has one.

    Returns `conf` with the settings of the JVM's log added, for the session to be built with.
    """
    log_settings = f'-Dlog4j2.configurationFile="{shipped_conf() / "log4j2.properties"}"'
    values = {**conf, JAVA_OPTIONS: f"{conf.get(JAVA_OPTIONS, '')} {log_settings}".strip()}
    if SparkContext._gateway is not None:
        return values
    if values.get("spark.master", "").startswith("local"):
        # Without this variable, Spark warns that the host's name resolves to a loopback address.
        os.environ.setdefault("SPARK_LOCAL_IP", values.get("spark.driver.host", "127.0.0.1"))
    spark_conf = SparkConf()
    for key, value in values.items():
        spark_conf.set(key, value)
    messages, stderr = os.pipe()
    try:
        gateway = launch_gateway(spark_conf, {"stderr": stderr})
    finally:
        os.close(stderr)
        threading.Thread(target=forward_messages, args=(messages, STDERR), daemon=True).start()
        atexit.register(wait_until_read, messages)
    SparkContext._ensure_initialized(gateway=gateway, conf=spark_conf)
    return values


def forward_messages(source: int, target: int) -> None:
    """Copy lines from the file descriptor `source` to `target`, except IGNORED_LINES.

    Returns when `source` ends.
    """
    with open(source, "rb") as lines:
        for line in lines:
            if line not in IGNORED_LINES:
                os.write(target, line)


def wait_until_read(source: int) -> None:
    """Wait until a pipe is read, so that an exit loses no message.

    Gives up after EXIT_SECONDS.
    """
    deadline = time.monotonic() + EXIT_SECONDS
    while _unread_bytes(source) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.01)  # the thread may have read the last line without having written it


def _unread_bytes(source: int) -> int:
    try:
        return struct.unpack("i", fcntl.ioctl(source, termios.FIONREAD, b"\0" * 4))[0]
    except OSError:  # the JVM has ended, and the pipe is closed
        return 0
