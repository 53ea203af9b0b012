"""Close open quotes of CSV files, which would swallow the rows after them.

A line with an open quote becomes a row with too many fields, which the parser reports; MARK at its
end says why it is invalid. If fields may hold line breaks, a later line can close the quote: the
lines are then one row, except if a line among them looks like a row of its own. A line break that
is escaped counts as a quote that the next line closes.
"""

import re
import string
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from profile_lib.events.files.streams import read_blocks

if TYPE_CHECKING:
    from profile_lib.events.mapping import CsvDialect

MARK = "\x1eopen quote\x1e"  # at the end of a row with an open quote, and on a last line
HIDDEN_QUOTE = b"\x1d"  # stands for a quote in such a row
SCAN_BYTES = 2**21
MAX_ROW_BYTES = 2**23  # of a row of several lines: a quote that is open for longer is not closed
MAX_LINE_BYTES = 2**30  # the parser reads no longer ones
MIN_COLUMNS = 3  # with fewer, many lines of texts have as many fields as a row
NOTHING = rb"(?!)"
LINE_END = rb"(?=[\r\n]|\Z)"
DIGITS, LETTERS = string.digits.encode(), string.ascii_letters.encode() + bytes(range(128, 256))
SIGN_KINDS = bytes.maketrans(DIGITS + LETTERS, b"9" * len(DIGITS) + b"a" * len(LETTERS))


def mark_open_quotes(stream: BinaryIO, dialect: "CsvDialect", n_columns: int) -> Iterator[bytes]:
    """Yield the text of a file with open quotes closed.

    If fields may hold line breaks, the text gets a last line of MARK, which a row swallows whose
    quote only the parser takes for an open one.
    """
    if dialect.quote is None:
        yield from read_blocks(stream)
        return
    marker, rest = _Marker(dialect, n_columns), b""
    for lines in _read_lines(stream):
        marked, rest = marker.mark(rest + lines)
        yield marked
    yield marker.mark(rest, is_last=True)[0]
    if dialect.multi_line:
        yield b"\n" + marker.ending


def _read_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the text in pieces of complete lines."""
    parts: list[bytes] = []
    while block := stream.read(SCAN_BYTES):
        end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        if end or sum(map(len, parts)) > MAX_LINE_BYTES:
            yield b"".join([*parts, block[:end]])
            parts = []
        parts.append(block[end:])
    yield b"".join(parts)


class _Marker:
    """Mark lines with open quotes, by a file's dialect and number of columns."""

    def __init__(self, dialect: "CsvDialect", n_columns: int) -> None:
        assert dialect.quote is not None
        self.dialect, self.n_columns = dialect, n_columns
        self.quote, self.delimiter = dialect.quote.encode(), dialect.delimiter.encode()
        self.escape = b"" if dialect.escape in (None, dialect.quote) else dialect.escape.encode()
        self.ending = self.delimiter * (n_columns + 1) + MARK.encode()
        self._compile()

    def _compile(self) -> None:
        """Compile the patterns; possessive quantifiers keep their time linear."""
        quote, end, escape = map(re.escape, (self.quote, self.delimiter, self.escape))
        in_line, plain = self._texts(rb"\r\n", rb"[^\r\n]")
        in_lines, plain_lines = self._texts(b"", rb"[\s\S]")
        closed, unquoted = in_line + quote + plain, rb"(?!%s)%s" % (quote, plain)
        unquoted_lines = rb"(?!%s)%s" % (quote, plain_lines)
        loose = rb"(?:%s|%s)" % (in_lines + quote + plain_lines, unquoted_lines)
        sound = rb"(?:%s(?=%s|%s)|%s)" % (in_lines + quote, end, LINE_END, unquoted_lines)
        last = rb"(?:%s(?:%s)?|%s%s)" % (in_line, escape, unquoted, escape or NOTHING)
        before = rb"(?P<before>(?:(?:%s|%s)%s)*+)" % (closed, unquoted, end)
        self.open_line = re.compile(before + last + LINE_END)
        self.field = re.compile(rb"(?:\A|%s)(%s|%s)" % (end, closed, plain))
        # The limits of fields keep the time linear if each line closes a quote and opens another.
        n = self.n_columns
        self.sound_row = re.compile(rb"%s(?:%s%s){0,%d}+" % (sound, end, sound, 2 * n) + LINE_END)
        self.loose_row = re.compile(rb"%s(?:%s%s){%d}" % (loose, end, loose, n - 1) + LINE_END)
        self.unfinished_row = re.compile(rb"(?:%s%s){0,%d}+%s\Z" % (loose, end, 2 * n, in_lines))

    def _texts(self, line_breaks: bytes, escaped: bytes) -> tuple[bytes, bytes]:
        """Return the patterns of text behind an opening quote, and of a field without quotes."""
        quote, end, escape = map(re.escape, (self.quote, self.delimiter, self.escape))

        def text(excluded: bytes, pair: bytes) -> bytes:
            return rb"[^%s]*+(?:%s[^%s]*+)*+" % (excluded, pair, excluded)

        pair = escape + escaped if escape else quote + quote
        outside = text(end + escape + rb"\r\n", pair if escape else NOTHING)
        return quote + text(quote + escape + line_breaks, pair), outside

    def mark(self, text: bytes, is_last: bool = False) -> tuple[bytes, bytes]:
        """Return lines with open quotes marked, and an unfinished row at their end."""
        marked: list[bytes] = []
        n_marked = end_of_row = 0
        for start in self._suspect_lines(text):
            line = self.open_line.match(text, start) if start >= end_of_row else None
            if line is None:
                continue
            if self.dialect.multi_line:
                end = self._end_of_row(text, line)
                is_cut = end == len(text) if end else self.unfinished_row.match(text, start)
                if is_cut and not is_last and len(text) - start < MAX_ROW_BYTES:
                    return b"".join([*marked, text[n_marked:start]]), text[start:]
                if end:
                    end_of_row = end
                    continue
            hidden = line[0].replace(self.quote, HIDDEN_QUOTE)
            marked += [text[n_marked:start], hidden, self.ending]
            n_marked = end_of_row = line.end()
        return b"".join([*marked, text[n_marked:]]), b""

    def _suspect_lines(self, text: bytes) -> list[int]:
        """Return where lines begin that may have an open quote.

        The other lines have an even number of quotes, and every second one begins a field or
        doubles the one before.
        """
        if self.quote not in text and (not self.escape or self.escape not in text):
            return []
        signs = np.frombuffer(text, np.uint8)
        quotes = np.flatnonzero(signs == ord(self.quote))
        starts = np.flatnonzero((signs == ord("\n")) | (signs == ord("\r"))) + 1
        starts = np.concatenate([[0], starts])
        lines = np.searchsorted(starts, quotes, side="right") - 1
        firsts = np.flatnonzero(np.diff(lines, prepend=-1))
        counts = np.diff(firsts, append=len(quotes))
        is_opening = (np.arange(len(quotes)) - np.repeat(firsts, counts)) % 2 == 0
        before = signs[quotes - 1]
        begins = (quotes == starts[lines]) | (before == ord(self.delimiter))
        escapes = np.array([], np.int64)
        if self.escape:
            escapes = np.flatnonzero(signs == ord(self.escape))
        else:
            begins |= before == ord(self.quote)  # a doubled quote
        suspects = [
            lines[firsts][counts % 2 == 1],
            lines[is_opening & ~begins],
            np.searchsorted(starts, escapes, side="right") - 1,
        ]
        return starts[np.unique(np.concatenate(suspects))].tolist()

    def _end_of_row(self, text: bytes, first_line: re.Match[bytes]) -> int | None:
        """Return where the row ends that a line with an open quote begins.

        None if the quote is not closed, or if a line inside looks like a row of its own.
        """
        sound = self.sound_row.match(text, first_line.start())
        complete = self.loose_row.match(text, first_line.start())
        row = sound or complete
        if row is None:
            return None
        lines = (line for line in row[0].splitlines()[1:] if self._has_all_columns(line))
        if sound and complete:
            is_suspect = any(self._resembles(line, first_line) for line in lines)
        else:  # the row is invalid, or text follows the quote that closes the field
            is_suspect = self.n_columns > 1 and any(lines)
        return None if is_suspect else row.end()

    def _has_all_columns(self, line: bytes) -> bool:
        n = self.n_columns
        return line.count(self.delimiter) >= n - 1 and len(self.field.findall(line)) == n

    def _resembles(self, line: bytes, first_line: re.Match[bytes]) -> bool:
        """Return whether a line with all columns looks like a row.

        Half of the numbers, times and ids in front of the open quote need a counterpart of the same
        signs. If there are none, the first line needs all columns too, and no field of both may
        begin with a space, which follows a comma in texts.
        """
        if self.n_columns < MIN_COLUMNS:
            return False
        before = self.field.findall(first_line["before"])[:-1]
        kinds = [set(field.translate(SIGN_KINDS)) for field in before]
        fields = self.field.findall(line)
        matches = [
            set(field.translate(SIGN_KINDS)) == kind
            for field, kind in zip(fields, kinds, strict=False)
            if ord("9") in kind
        ]
        if matches:
            return 2 * sum(matches) >= len(matches)
        fields += self.field.findall(first_line[0])
        has_spaces = any(field.startswith(b" ") for field in fields)
        return not has_spaces and self._has_all_columns(first_line[0])


def is_marked(row: str) -> bool:
    """Return whether a row has an open quote."""
    return MARK in row


def restore_row(row: str, dialect: "CsvDialect") -> str:
    """Return the text of a row without what `mark_open_quotes` added."""
    if dialect.quote is None or MARK not in row:
        return row
    text = row.replace(MARK, "").rstrip(f"{dialect.delimiter}\r\n")
    return text.replace(HIDDEN_QUOTE.decode(), dialect.quote)
