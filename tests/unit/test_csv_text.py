"""Files as people send them: what is read from them, and how what is wrong with a row is told."""

from __future__ import annotations

import io
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcx_ari.services.csv_text import LONGEST_CELL, LONGEST_ROW, Row, escaped, read_rows, unescaped
from dcx_ari.services.errors import Invalid
from dcx_ari.services.export_calls import quoted
from dcx_ari.services.exporting import lines

pytestmark = pytest.mark.unit
KNOWN = ("name", "tier", "notes")


def read(data: bytes, encoding: str | None = None) -> list[Row]:
    return list(read_rows(io.BytesIO(data), KNOWN, encoding))


def cells(data: bytes) -> list[list[str]]:
    rows = read(data)
    assert [row.fault for row in rows] == [""] * len(rows)
    return [row.cells for row in rows]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_ending(end: str):
    assert cells(f"name,tier{end}A,1{end}B,2".encode()) == [["name", "tier"], ["A", "1"], ["B", "2"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_of_the_header(delimiter: str):
    text = f'Name{delimiter}"tier"\nA{delimiter}"1,5;6"\n'
    assert cells(text.encode()) == [["Name", "tier"], ["A", "1,5;6"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_utf_8_and_utf_16_with_a_mark(encoding: str):
    data = "name,tier\nÄrzte,1\n".encode(encoding)
    if encoding.endswith("le"):
        data = b"\xff\xfe" + data
    if encoding.endswith("be"):
        data = b"\xfe\xff" + data
    assert cells(data) == [["name", "tier"], ["Ärzte", "1"]]


def test_a_stray_byte_costs_its_row_only():
    faulty, good = read(b"name,notes\nCaf\xe9,x\nCaf\xc3\xa9,y\n")[1:]
    assert (faulty.number, faulty.column, "0xe9" in faulty.fault) == (2, 0, True)
    assert (good.cells, good.fault) == (["Café", "y"], "")
    assert read(b"name\nCaf\xe9\n", "cp1252")[1].cells == ["Café"]
    with pytest.raises(Invalid, match="encoding: must be one of utf-8"):
        read(b"name\n", "unicode_escape")


def test_nul_bytes():
    faulty, good = read(b"name,notes\nA,x\x00y\nB,z\n")[1:]
    assert (faulty.number, faulty.column, faulty.fault) == (2, 1, "must not have NUL characters")
    assert good.cells == ["B", "z"]
    with pytest.raises(Invalid, match="NUL bytes"):
        read("name,tier\n".encode("utf-16-le"))


def test_a_workbook_is_no_csv():
    with pytest.raises(Invalid, match="workbook"):
        read(b"PK\x03\x04\x14\x00\x06\x00")


def test_rows_are_numbered_as_a_spreadsheet_shows_them():
    rows = read(b'name,notes\n\nA,"two\nlines"\nB,x\n')
    assert [(row.number, row.cells) for row in rows if row.cells][1:] == [(3, ["A", "two\nlines"]), (4, ["B", "x"])]


def test_a_quote_nobody_closes_costs_its_row_only():
    rows = read(b'name,notes\nA,x\n"B,y\nC,z\nD,w')
    assert [(row.number, row.cells, bool(row.fault)) for row in rows[1:]] == [
        (2, ["A", "x"], False),
        (3, [], True),
        (4, ["C", "z"], False),
        (5, ["D", "w"], False),
    ]
    assert rows[2].fault == "a quote is opened in this row and not closed"
    last = read(b'name,notes\nA,x\nB,"y')[-1]
    assert (last.number, last.fault) == (3, "a quote is opened in this row and not closed")


def test_text_behind_a_quote():
    faulty, good = read(b'name,notes\n"A"x,y\nB,6" pipe\n')[1:]
    assert "a quote is followed by text" in faulty.fault
    assert good.cells == ["B", '6" pipe']


def test_cells_too_long_are_named_and_cost_no_memory():
    megabyte = b"x" * 2**20
    data = b"name,notes,tier\nA," + megabyte + b",1\n" + b'"' + megabyte + b'",y,2\nC,"' + megabyte + b'",3\nD,z,4\n'
    tracemalloc.start()
    rows = read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(row.number, row.column) for row in rows[1:] if row.fault] == [(2, 1), (3, 0), (4, 1)]
    assert all(row.fault == f"must not be longer than {LONGEST_CELL} characters" for row in rows[1:4])
    assert rows[4].cells == ["D", "z", "4"]
    assert peak < 24 * 2**20


def test_a_row_without_an_end_is_not_read_whole():
    rows = read(b"name,notes\n" + b"A," * (3 * LONGEST_ROW) + b"\nB,x\n")
    assert (rows[1].fault, rows[2].cells) == (f"the row is longer than {LONGEST_ROW} characters", ["B", "x"])


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1+2", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'=1", "＝1"])
def test_a_formula_is_made_harmless(text: str):
    assert escaped(text) == f"'{text}"
    assert unescaped(escaped(text)) == text


@pytest.mark.parametrize("text", ["-10", "+15551234567", "1.5", "Buyer", "", "'", "'90s", "a=b"])
def test_what_is_no_formula_stays_as_it_is(text: str):
    assert escaped(text) == text
    assert unescaped(text) == text


_ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12) | st.text(
    "'=+-@\t\r\n,;\"1aé", max_size=8
)


@given(st.lists(st.lists(_ANY, min_size=3, max_size=3), max_size=5))
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read_back(table: list[list[str]]):
    data = lines([list(KNOWN), *([escaped(cell) for cell in row] for row in table)])
    read_back = [[unescaped(cell) for cell in row] for row in cells(data)[1:]]
    assert read_back == table


@given(_ANY)
def test_quoted_by_hand_is_quoted_as_the_library_does(text: str):
    assert f"x,{quoted(text)}\r\n".encode() == lines([["x", escaped(text)]])


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_no_bytes_break_the_reader(data: bytes):
    try:
        rows = read(data)
    except Invalid:
        return
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
