"""Add pages to the site: the README, the jobs, the changelog, all settings and all tables."""

import logging
import re
from html import escape
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from profile_lib.tables import TABLES
from profile_lib.tables.table import Table

ROOT = Path(__file__).parents[1]
SETTING = re.compile(r"^(?P<indent> *)(?P<key>[\w.]+):(?P<value>.*?)(?:\s+# (?P<comment>.*))?$")


def on_startup(**_: Any) -> None:
    """Silence the news of jieba, which the site's search loads."""
    import jieba

    jieba.setLogLevel(logging.WARNING)


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add the pages that are written elsewhere or generated from the code."""
    readme = _read("README.md").replace("](jobs/README.md)", "](jobs.md)").replace("](docs/", "](")
    pages = {
        "index.md": readme,
        "jobs.md": _read("jobs/README.md"),
        "changelog.md": _read("CHANGELOG.md"),
        "settings.md": settings_page(),
        "tables.md": tables_page(),
    }
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def settings_page() -> str:
    """Return a table per file of defaults: the name, default and meaning of each setting."""
    lines = [
        "# Settings",
        "Every setting with its default. A settings file names what it changes; "
        "`--set section.key=value` changes one setting of a run.",
    ]
    for path in sorted((ROOT / "conf" / "base").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        purpose, _, settings = text.partition("\n")
        lines += ["", f"## {path.stem.replace('_', ' ').capitalize()}", purpose.lstrip("# "), ""]
        lines += ["| setting | default | meaning |", "| --- | --- | --- |"]
        lines += [
            f"| `{name}` | {f'`{value}`' if value else ''} | {comment} |"
            for name, value, comment in _settings(settings)
        ]
    return "\n".join(lines)


def _settings(text: str) -> list[tuple[str, str, str]]:
    """Return (dotted name, default, comment) of each key that has a value or a comment."""
    found, path, above = [], [], []
    for line in text.split("\n"):
        if line.lstrip().startswith("#"):
            above.append(line.strip().lstrip("# "))
            continue
        if (match := SETTING.match(line)) is None:
            above = []
            continue
        depth, value = len(match["indent"]) // 2, match["value"].strip()
        path = [*path[:depth], match["key"]]
        comment = ". ".join(filter(None, [match["comment"], " ".join(above)]))
        if value or comment:
            found.append((".".join(path), _cell(value), _cell(escape(comment, quote=False))))
        above = []
    return found


def tables_page() -> str:
    """Return a section per table: its comment, key and columns."""
    lines = ["# Tables", "The contract between the stages, from `profile_lib/tables`."]
    for table in TABLES:
        lines += ["", f"## {table.name}", f"{table.comment}.", "", *_facts(table), ""]
        lines += ["| column | type | null | meaning | personal data |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        lines += [
            f"| `{c.name}` | {_cell(c.type.simpleString())} | {'no' if c.required else 'yes'} "
            f"| {_cell(c.comment)} | {c.pii or ''} |"
            for c in table.columns
        ]
    return "\n".join(lines)


def _facts(table: Table) -> list[str]:
    facts = {
        "Key": table.key,
        "Partitioned by": table.partition_by,
        "Clustered by": table.cluster_by,
        "Change feed": ("yes",) if table.change_feed else (),
        "Folder": (f"`paths.{table.root}`",),
    }
    return [f"{name}: {', '.join(values)}.  " for name, values in facts.items() if values]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")
