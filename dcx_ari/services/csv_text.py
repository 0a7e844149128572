"""CSV files as people send them: any line ending, `,` `;` tab or `|`, a BOM, UTF-16, faulty rows among good ones.

A row's number is the one a spreadsheet shows: the header is row 1, an empty line counts, a cell with line breaks is
still one row. Memory is bounded whatever the file holds: no row is longer than `LONGEST_ROW` characters, no cell
longer than `LONGEST_CELL`.

The format is RFC 4180. Cells that a spreadsheet would take for a formula get a `'` in front on the way out, which is
taken off on the way in (OWASP, CSV injection).
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, TextIO

from dcx_ari.services.errors import Invalid

LONGEST_ROW = 2 * 1024 * 1024
LONGEST_CELL = 128 * 1024
"""The csv module's own limit, which it keeps while it reads."""
ENCODINGS = ("utf-8", "utf-16", "cp1250", "cp1251", "cp1252", "iso-8859-1", "iso-8859-15", "mac-roman")
_DELIMITERS = (",", ";", "\t", "|")
_GIVE_BACK = 1_000
"""At most so often the lines behind a quote that nobody closed are read again one by one."""

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{1,10})?")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its cells, or what is wrong with it. `column` is the cell at fault (from 0), where one is known."""

    number: int
    cells: list[str]
    fault: str = ""
    column: int | None = None


def escaped(text: str) -> str:
    """The cell as it is written: with a single quote before what could be a formula. -10 and +15551234567 are none."""
    if not text or text[0] not in _FIRST:
        return text
    return f"'{text}" if _FORMULA.match(text) and not _PLAIN_NUMBER.fullmatch(text) else text


def unescaped(text: str) -> str:
    """The value of a cell: the `'` that `escaped` put there is taken off."""
    return text[1:] if text[:1] == "'" and _FORMULA.match(text) else text


_MARKS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16
_FIRST = frozenset("'=+-@\t\r\n＝＋－＠")


def read_rows(file: IO[bytes], known: Sequence[str], encoding: str | None = None) -> Generator[Row, None, None]:
    """The rows of a file that can be wound back, the header first; its delimiter is the one that fits `known` best.

    Bytes that are no text of the file's encoding make their row faulty, not the file. Raises Invalid (`file`) for a
    file that cannot be CSV at all.
    """
    name = _encoding(file, encoding)
    errors = "replace" if name.lower().startswith("utf-16") else "surrogateescape"
    text = io.TextIOWrapper(file, name, errors, newline="")
    try:
        lines = _Lines(text)
        first = next(lines, "")
        lines.give_back([first])
        yield from _rows(lines, _delimiter(first, known))
    finally:
        text.detach()  # the file is its owner's to close


def _encoding(file: IO[bytes], named: str | None) -> str:
    start = file.read(4)
    file.seek(0)
    if named:
        if named.lower() not in ENCODINGS:
            raise Invalid("encoding", f"must be one of {', '.join(ENCODINGS)}")
        if named.lower() == "utf-16" and not start.startswith(_MARKS):
            return "utf-16-le"  # what spreadsheets mean; the codec itself insists on the mark
        return "utf-8-sig" if named.lower() == "utf-8" else named
    if start.startswith(_MARKS):
        return "utf-16"
    if start.startswith(b"PK\x03\x04"):
        raise Invalid("file", "is a workbook (.xlsx) or an archive: save it as CSV")
    if b"\x00" in start:
        raise Invalid("file", "is not CSV text: it has NUL bytes (UTF-16 without a byte order mark?)")
    return "utf-8-sig"


def _delimiter(header: str, known: Sequence[str]) -> str:
    """The one by which the header falls into the most known names; else the one it has most often."""
    names = set(known)

    def fit(delimiter: str) -> tuple[int, int]:
        cells = header.replace('"', "").split(delimiter)
        return sum(column_name(cell) in names for cell in cells), len(cells)

    return max(_DELIMITERS, key=fit)  # the first of equals: the comma


def column_name(cell: str) -> str:
    """`Endpoint Type` and `endpoint-type` are endpoint_type."""
    return re.sub(r"[\s-]+", "_", cell.strip().lower())


class _Lines:
    """Physical lines with their ends; `taken` are those of the row being read, which can be given back."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._back: Iterator[str] = iter(())
        self.taken: list[str] = []
        self.cut = False
        """A line of the row was longer than LONGEST_ROW: its rest is lost."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._back, "") or self._read()
        if not line:
            raise StopIteration
        self.taken.append(line)
        return line

    def begin(self) -> None:
        """A new row begins."""
        self.taken.clear()
        self.cut = False

    def give_back(self, lines: list[str]) -> None:
        self._back = itertools.chain(lines, self._back)

    def _read(self) -> str:
        line = self._text.readline(LONGEST_ROW)
        if len(line) == LONGEST_ROW and not line.endswith(("\r", "\n")):
            self.cut = True
            while (rest := self._text.readline(LONGEST_CELL)) and not rest.endswith(("\r", "\n")):
                pass
        return line


def _rows(lines: _Lines, delimiter: str) -> Iterator[Row]:
    parser = csv.reader(lines, delimiter=delimiter, strict=True)
    given_back = 0
    for number in itertools.count(1):
        lines.begin()
        try:
            cells = next(parser)
        except StopIteration:
            return
        except csv.Error as error:
            yield _faulty(number, lines, delimiter, str(error))
            if given_back < _GIVE_BACK and len(lines.taken) > 1:
                given_back += 1
                lines.give_back(lines.taken[1:])
        else:
            yield _checked(Row(number, cells), cut=lines.cut)


def _checked(row: Row, *, cut: bool) -> Row:
    if cut:
        return Row(row.number, [], f"the row is longer than {LONGEST_ROW} characters")
    for column, cell in enumerate(row.cells):
        if cell.isascii() and "\x00" not in cell:
            continue
        if (fault := _not_text(cell)) is not None:
            return Row(row.number, row.cells, fault, column)
    return row


def _not_text(cell: str) -> str | None:
    if "\x00" in cell:
        return "must not have NUL characters"
    bad = next((char for char in cell if "\ud800" <= char <= "\udfff"), None)
    if bad is None:
        return None
    byte = ord(bad) - 0xDC00 if bad >= "\udc80" else ord(bad)
    return f"is not text in the file's encoding (byte 0x{byte:02x}): save the file as UTF-8, or name its encoding"


def _faulty(number: int, lines: _Lines, delimiter: str, error: str) -> Row:
    """The row that the parser gave up on, in words."""
    if "field larger" in error:
        text = "".join(lines.taken)
        column, cells = _first_long(text, delimiter)
        if column is not None and len(lines.taken) == 1:
            return Row(number, cells, f"must not be longer than {LONGEST_CELL} characters", column)
        return Row(number, [], "a quote is opened in this row and not closed")
    if "unexpected end of data" in error:
        return Row(number, [], "a quote is opened in this row and not closed")
    if "expected after" in error:
        return Row(number, [], 'a quote is followed by text: a quote inside a quoted cell is written ""')
    return Row(number, [], f"cannot be read as CSV: {error}")


def _first_long(text: str, delimiter: str) -> tuple[int | None, list[str]]:
    """The index of the first cell that is too long, and the cells before it."""
    at, cells = 0, list[str]()
    while at < len(text):
        if text[at] == '"':
            end = _end_of_quoted(text, at)
        else:
            end = text.find(delimiter, at)
            end = len(text) if end < 0 else end
        if end - at > LONGEST_CELL:
            return len(cells), cells
        cells.append(text[at:end].strip('"'))
        at = end + 1
    return None, cells


def _end_of_quoted(text: str, at: int) -> int:
    """Where the quoted cell that begins at `at` ends: behind its closing quote."""
    at += 1
    while (found := text.find('"', at)) >= 0:
        if text[found + 1 : found + 2] != '"':
            return found + 1
        at = found + 2
    return len(text)
