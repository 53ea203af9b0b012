"""Print log messages for people, or as JSON lines for log collectors."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

OURS = "profile_lib"  # parent of all loggers of this package
Format = Literal["text", "json"]


class _CurrentStream(logging.StreamHandler[Any]):
    """Write to the current sys.stdout or sys.stderr, which a caller may have replaced."""

    def __init__(self, stream_name: Literal["stdout", "stderr"]) -> None:
        self.stream_name = stream_name
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        """Return the stream to write to."""
        return getattr(sys, self.stream_name)


class TextFormatter(logging.Formatter):
    """Format a message: warnings begin with the job, other packages' messages with the logger."""

    def __init__(self, job: str) -> None:
        super().__init__()
        self.job = job

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of a message."""
        if not is_ours(record):
            return f"{record.levelname} {record.name}: {record.message}"
        is_news = record.levelno < logging.WARNING
        return record.message if is_news else f"{self.job}: {record.message}"


class JsonFormatter(logging.Formatter):
    """Format a message as a JSON object: time, level, job, logger, message and fields.

    The fields are those of `log.info(message, extra={"fields": {...}})`.
    """

    def __init__(self, job: str) -> None:
        super().__init__()
        self.job = job

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a message."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "job": self.job,
            "logger": record.name,
            "message": record.getMessage().strip(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def configure_logging(job: str, format: Format = "text") -> None:
    """Print this package's messages from INFO on, and warnings of all others.

    Messages below WARNING go to standard output, all others to standard error. Calling it again
    replaces the job and the format.
    """
    formatter = TextFormatter(job) if format == "text" else JsonFormatter(job)
    out, err = _CurrentStream("stdout"), _CurrentStream("stderr")
    out.addFilter(lambda record: is_ours(record) and record.levelno < logging.WARNING)
    err.addFilter(lambda record: record.levelno >= logging.WARNING)
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _CurrentStream)]:
        root.removeHandler(handler)
    for handler in (out, err):
        handler.setFormatter(formatter)
        root.addHandler(handler)
    logging.getLogger(OURS).setLevel(logging.INFO)


def is_ours(record: logging.LogRecord) -> bool:
    """Return whether a logger of this package wrote the message."""
    return record.name == OURS or record.name.startswith(f"{OURS}.")
