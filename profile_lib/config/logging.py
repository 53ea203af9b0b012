"""Declare the settings of printed messages."""

from typing import Literal

from profile_lib.config.section import Section


class LoggingSettings(Section):
    """Print messages for people or for log collectors."""

    format: Literal["text", "json"]
