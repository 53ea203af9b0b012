"""Check docstrings, comments and pages against the rules of plain English.

Run `python docs/check_language.py`: it prints each line that breaks a rule and exits with 1 if
there is any. docs/glossary.md holds the words to use instead.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MAX_WORDS = 12  # of a docstring's first line

# pattern → what to write instead
ANYWHERE = {
    r"\b(told|tells|telling)\b": "say, report, return, raise or store",
    r"\bof (which|whom)\b": "a sentence that names its subject",
    r"\bwhat became of\b": "the outcome of",
    r"\b(anew|withal|thereof)\b": "again",
    r"\b(whatever lies|but for)\b": "except",
    r"\bbeside (it|them|each other)\b": "compared with, or next to",
}
SENTENCE_START = re.compile(r"(?:^|[.!?] )(Of|Whom|What|Who|Where)\b(?![^.!?]*\?)")
FIRST_LINE = {
    re.compile(r"\bin\b[^.]*[,;] .*\bout\b"): "an imperative sentence, not what goes in and out",
    re.compile(r"→"): "an imperative sentence, not an arrow",
}
SKIPPED = ("CHANGELOG.md", "LICENSE", "docs/glossary.md", "docs/check_language.py")


class Text(NamedTuple):
    """A piece of prose: where it stands, what it says, and whether it opens a docstring."""

    path: str
    line: int
    words: str
    is_first_line: bool = False


def tracked(*patterns: str) -> list[str]:
    """Return the files under version control that match, without the skipped ones."""
    listed = subprocess.run(
        ["git", "ls-files", *patterns], capture_output=True, text=True, check=True
    )
    return [path for path in listed.stdout.split("\n") if path and path not in SKIPPED]


def python_texts(path: str) -> Iterator[Text]:
    """Yield docstrings, comments and literal sentences of a Python file."""
    source = Path(path).read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, kinds) and ast.get_docstring(node) is not None:
            literal = node.body[0]
            for offset, line in enumerate(ast.get_docstring(node, clean=False).split("\n")):
                yield Text(path, literal.lineno + offset, line.strip(), offset == 0)
        elif isinstance(node, ast.Constant) and is_sentence(node.value):
            yield Text(path, node.lineno, node.value)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(path, token.start[0], token.string.lstrip("# "))


def is_sentence(value: object) -> bool:
    """Return whether a literal is prose: one line of four words or more, such as an error."""
    return isinstance(value, str) and "\n" not in value and len(value.split()) >= 4


def plain_texts(path: str) -> Iterator[Text]:
    """Yield the lines of a page, or the comments of a YAML file, without code."""
    is_code = False
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").split("\n"), start=1):
        if path.endswith(".yaml"):
            comment = re.search(r"(?:^|\s)#\s?(.*)", line)
            if comment:
                yield Text(path, number, comment[1])
            continue
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield Text(path, number, re.sub(r"`[^`]*`", "`code`", line.strip(" #*->|")))


def faults(text: Text) -> Iterator[str]:
    """Yield what is wrong with a piece of prose, as "found ..., wanted ..."."""
    for pattern, wanted in ANYWHERE.items():
        if match := re.search(pattern, text.words, re.IGNORECASE):
            yield f"found {match[0]!r}, wanted {wanted}"
    if match := SENTENCE_START.search(text.words):
        yield f"found a sentence that opens with {match[1]!r}, wanted its subject first"
    if text.is_first_line and text.path.startswith(("profile_lib/", "jobs/")):
        for shape, wanted in FIRST_LINE.items():
            if shape.search(text.words):
                yield f"found {text.words!r}, wanted {wanted}"
        n_words = len(text.words.split())
        if n_words > MAX_WORDS + 3:
            yield f"found a first line of {n_words} words, wanted about {MAX_WORDS}"


def main() -> int:
    """Print all faults; return 1 if there is any, else 0."""
    texts = [text for path in tracked("*.py") for text in python_texts(path)]
    texts += [text for path in tracked("*.md", "*.yaml") for text in plain_texts(path)]
    found = [(text, fault) for text in texts for fault in faults(text)]
    for text, fault in found:
        print(f"{text.path}:{text.line}: {fault}")
    print(f"{len(texts):,} lines of prose, {len(found)} to rewrite")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
