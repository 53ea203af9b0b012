"""Change single settings by their keys."""

from typing import Any

import yaml

from profile_lib.errors import InputError

SPARK_CONF = "spark.conf."  # a Spark setting's name follows, dots included; its value is a text


def apply_override(values: dict[str, Any], override: str) -> None:
    """Apply `section.key=value`, as --set takes it. Raises InputError if it has another form."""
    key, has_value, text = override.partition("=")
    if not has_value or not key.rpartition(".")[2]:
        raise InputError(f"--set {override}: wanted section.key=value")
    value = text if key.startswith(SPARK_CONF) else yaml.safe_load(text)
    put_value(values, key, value, f"--set {key}")  # the value may be a secret


def put_value(values: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Set `section.key` in nested `values`.

    Raises InputError, whose message begins with `where`, if a section of the key holds a value.
    """
    if key.startswith(SPARK_CONF):
        sections, last = SPARK_CONF.split(".")[:-1], key.removeprefix(SPARK_CONF)
    else:
        *sections, last = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise InputError(f"{where}: {section} holds a value, not keys")
    values[last] = value
