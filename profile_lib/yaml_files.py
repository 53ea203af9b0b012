"""Read YAML files that people write."""

from pathlib import Path
from typing import Any

import yaml

from profile_lib.errors import InputError


def read_yaml(path: Path) -> Any:
    """Read a YAML file; None if it is empty.

    Raises InputError if it is not YAML, or if a part of it has a key twice.
    """
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        document = loader.get_single_node()
        _check_repeated_keys(path, document)
        return None if document is None else loader.construct_document(document)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML: {error}") from error


def _check_repeated_keys(path: Path, document: yaml.Node | None) -> None:
    """Raise InputError if a part of a YAML document has a key twice.

    YAML itself takes the last value of the key.
    """
    parts: list[tuple[str, yaml.Node | None]] = [("", document)]
    checked = set[int]()
    while parts:
        name, part = parts.pop()
        if id(part) in checked:  # an alias may refer to a part that contains it
            continue
        checked.add(id(part))
        lines: dict[object, int] = {}
        if isinstance(part, yaml.SequenceNode):
            parts += [(f"{name}{number}.", value) for number, value in enumerate(part.value)]
        elif isinstance(part, yaml.MappingNode):
            for key, value in part.value:
                line, written = key.start_mark.line + 1, (key.tag, str(key.value))
                if written in lines:
                    raise InputError(
                        f"{path}: {name}{key.value}: found in line {lines[written]} and again in "
                        f"line {line}, wanted each key once; remove or rename one of them"
                    )
                lines[written] = line
                parts.append((f"{name}{key.value}.", value))
