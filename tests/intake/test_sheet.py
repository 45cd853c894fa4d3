"""A sheet from any tool becomes rows; a line that cannot be read is told with its row and field, and harms no other."""

import codecs
import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.intake.body import SLICE_ROWS, BodyError, list_columns
from app.intake.columns import Use
from app.intake.sheet import MOST_LINES, SEPARATORS, open_sheet, read_sheet, split_sheet
from app.model import Row, Secret
from app.text import guard_cell

HEADER = "email,password,smtp_host,fromName,Seat"
GOOD = "sales@gmail.com,hunter2,smtp.gmail.com,Sales,north"


def rows_of(text: str | bytes) -> list[Row]:
    body = text.encode() if isinstance(text, str) else text
    return [row for part in read_sheet(open_sheet(body)) for row in part]


def told(row: Row) -> tuple[int, str, str]:
    (error,) = row.errors
    assert error.message.startswith(f"Row {row.row} (line ")
    assert error.message.endswith(".")
    assert "hunter2" not in error.message
    return error.row, error.field, error.code


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_line_ends_and_byte_order_marks_are_recognised(separator: str, end: str, encoding: str) -> None:
    text = end.join(line.replace(",", separator) for line in (HEADER, GOOD, "", GOOD.replace("sales@", "grüße@"), ""))
    first, second = rows_of(text.encode(encoding))
    assert first.errors == second.errors == ()
    assert (first.email, second.email) == ("sales@gmail.com", "grüße@gmail.com")
    assert (first.row, second.row) == (1, 2)
    assert first.secrets.smtp == first.secrets.imap == Secret("hunter2")
    assert (first.smtp.host, first.details, first.extra) == ("smtp.gmail.com", {"fromName": "Sales"}, {"Seat": "north"})


@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_sheet_may_name_its_separator_first(separator: str) -> None:
    for line in (f"sep={separator}", f'"sep={separator}"', f"\n\nSEP={separator}\n"):
        sheet = open_sheet(f"{line}\n{HEADER}\n{GOOD}\n".replace(",", separator).encode())
        assert sheet.separator == separator
        assert len(list(split_sheet(sheet))) == 1


def test_the_separator_is_the_one_that_gives_known_columns() -> None:
    sheet = open_sheet(b'email;"First, Last, and | all";password\nsales@gmail.com;Sales;a,b,c,d\n')
    assert sheet.separator == ";"
    assert [column.header for column in sheet.columns] == ["email", "First, Last, and | all", "password"]
    assert open_sheet(b"email\nsales@gmail.com\n").separator == ","


def test_quoted_cells_hold_anything() -> None:
    text = 'email,password,signature\r\nsales@gmail.com,"a ""b"", c","Best regards,\r\nSales"\r\ninfo@gmail.com,x,y\r\n'
    first, second = rows_of(text)
    assert first.secrets.smtp == Secret('a "b", c')
    assert first.details["signature"] == "Best regards,\nSales"
    assert (second.row, second.email) == (2, "info@gmail.com")


def test_a_quotation_mark_inside_an_unquoted_cell_is_a_character() -> None:
    (row,) = rows_of('email,password\nsales@gmail.com,Heath5"End\n')
    assert row.secrets.smtp == Secret('Heath5"End')


def test_lines_without_cells_do_not_count() -> None:
    text = f'\n \n{HEADER}\n\n,,,,\n{GOOD}\n , ,\n"",\n\n{GOOD.replace("sales", "info")}\n,,,,'
    rows = rows_of(text)
    assert [(row.row, row.email) for row in rows] == [(1, "sales@gmail.com"), (2, "info@gmail.com")]


def test_missing_cells_at_the_end_are_empty_and_blank_ones_too_many_do_no_harm() -> None:
    short, long = rows_of(f"{HEADER}\nsales@gmail.com,hunter2\n{GOOD.replace('sales', 'info')},,,\n")
    assert short.errors == long.errors == ()
    assert (short.extra, long.extra) == ({"Seat": ""}, {"Seat": "north"})


def test_rows_come_in_slices_in_order() -> None:
    lines = (f"u{number}@gmail.com,hunter2,,,{number}" for number in range(SLICE_ROWS * 2 + 1))
    slices = list(read_sheet(open_sheet("\n".join((HEADER, *lines)).encode())))
    assert [len(part) for part in slices] == [SLICE_ROWS, SLICE_ROWS, 1]
    rows = [row for part in slices for row in part]
    assert [row.extra["Seat"] for row in rows] == [str(number) for number in range(len(rows))]
    assert [row.row for row in rows] == list(range(1, len(rows) + 1))
    (exact,) = read_sheet(open_sheet("\n".join((HEADER, *[GOOD] * SLICE_ROWS)).encode()))
    assert len(exact) == SLICE_ROWS


def test_a_line_of_too_many_cells_is_told_and_nothing_of_it_is_kept() -> None:
    first, bad, last = rows_of(f"{HEADER}\n{GOOD}\nsales@gmail.com,hun,ter2,smtp.gmail.com,Sales,north\n{GOOD}\n")
    assert first.errors == last.errors == ()
    assert told(bad) == (2, "Seat", "format")
    assert "line 3 " in bad.errors[0].message
    assert "6 cells and the header 5" in bad.errors[0].message
    assert "ter2" not in repr(bad)
    assert (bad.email, bad.extra, bad.secrets.smtp) == ("", {}, None)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('sales@gmail.com,"hunter2,smtp.gmail.com,Sales,north', "smtpPassword"),
        ('sales@gmail.com,hunter2,"smtp".gmail.com,Sales,north', "smtpHost"),
        ('"sales"@gmail.com,hunter2,smtp.gmail.com,Sales,north', "smtpEmailAddress"),
        ('sales@gmail.com,"hun,""ter2","smtp.gmail.com,Sales,north', "smtpHost"),
        ('sales@gmail.com,hunter2,smtp.gmail.com,Sales,"north', "Seat"),
        ('sales@gmail.com,hunter2,smtp.gmail.com,Sales,north,"more', "Seat"),
    ],
)
def test_quotation_marks_that_do_not_match_are_told_with_their_field(line: str, field: str) -> None:
    first, bad, last = rows_of(f"{HEADER}\n{GOOD}\n{line}\n{GOOD}\n")
    assert first.errors == last.errors == ()
    assert told(bad) == (2, field, "format")
    assert "quotation marks" in bad.errors[0].message


def test_one_quotation_mark_too_many_does_not_eat_the_sheet() -> None:
    broken = 'info@gmail.com,"hunter2,,,'
    rows = rows_of("\n".join((HEADER, broken, *[GOOD] * (MOST_LINES * 2), broken, GOOD)))
    assert len(rows) == MOST_LINES * 2 + 3
    assert [row.row for row in rows if row.errors] == [1, MOST_LINES * 2 + 2]


def test_a_cell_beyond_what_can_be_read_is_told() -> None:
    size = csv.field_size_limit()
    first, last = rows_of(f'{HEADER}\n{GOOD}\nsales@gmail.com,hunter2,,"{"x" * (size + 1)}",\n')
    assert first.errors == ()
    assert told(last)[2] == "format"
    assert "too long" in last.errors[0].message


def test_a_row_with_letters_of_another_encoding_is_told_and_the_others_are_read() -> None:
    text = f"{HEADER}\n{GOOD}\nsales@gmail.com,hunter2,,Café,\ninfo@gmail.com,hunter2ä,,,\n{GOOD},\n"
    first, name, secret, last = rows_of(text.encode("latin-1"))
    assert first.errors == last.errors == ()
    assert told(name) == (2, "fromName", "format")
    assert "CSV UTF-8" in name.errors[0].message
    assert name.email == "sales@gmail.com"
    assert told(secret) == (3, "smtpPassword", "format")
    assert secret.secrets.smtp is None


def test_letters_of_another_encoding_outside_fields_are_replaced() -> None:
    (row,) = rows_of("email,password,Größe,notes\nsales@gmail.com,hunter2,größer,größte\n".encode("latin-1"))
    assert row.errors == ()
    assert row.extra == {"Gr\ufffd\ufffde": "gr\ufffd\ufffder"}
    assert row.details == {"metadata": {"notes": "gr\ufffd\ufffdte"}}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is empty"),
        (codecs.BOM_UTF8, "is empty"),
        (b"\n \r\n\t\n", "is empty"),
        (HEADER.encode(), "has no rows"),
        (f'{HEADER}\n\n,,,,\n"",\n'.encode(), "has no rows"),
        (b"sep=;\n", "is empty"),
        (GOOD.encode() + b"\n" + GOOD.encode(), "No column"),
        (b"outcome,notes,seat\n1,2,3\n", "No column"),
        (b'"email,password\nsales@gmail.com,hunter2\n', "No column"),
        (b"PK\x03\x04rest", "workbook"),
        (b"\xd0\xcf\x11\xe0rest", "workbook"),
        (codecs.BOM_UTF16_LE + b"a", "UTF-16"),
        (b"\x00\x01\x02", "No column"),
    ],
)
def test_what_is_no_sheet_is_refused_with_a_reason(body: bytes, words: str) -> None:
    with pytest.raises(BodyError, match=words) as caught:
        open_sheet(body)
    assert "hunter2" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_how_columns_were_understood_can_be_told() -> None:
    sheet = open_sheet(f"{HEADER},outcome\n{GOOD},failed\n".encode())
    assert [(column.header, column.use, column.fields) for column in sheet.columns] == [
        ("email", Use.FIELD, ("smtpEmailAddress", "imapEmailAddress")),
        ("password", Use.FIELD, ("smtpPassword", "imapPassword")),
        ("smtp_host", Use.FIELD, ("smtpHost",)),
        ("fromName", Use.FIELD, ("fromName",)),
        ("Seat", Use.EXTRA, ()),
        ("outcome", Use.IGNORED, ()),
    ]
    assert list_columns(row for part in read_sheet(sheet) for row in part) == ["Seat"]


def test_no_cell_is_printed_with_a_sheet() -> None:
    sheet = open_sheet(f"{HEADER}\n{GOOD}\n".encode())
    (line,) = split_sheet(sheet)
    assert "hunter2" not in repr(sheet) + repr(line)


@settings(deadline=None)
@given(st.text(alphabet="'=+-@\tab", min_size=1, max_size=6))
def test_what_a_report_guarded_comes_back_as_it_was(cell: str) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([["emailAddress", "password", "Seat"], ["sales@gmail.com", "x", guard_cell(cell)]])
    (line,) = split_sheet(open_sheet(out.getvalue().encode()))
    assert line.record["Seat"] == cell


_CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=8)


@settings(deadline=None)
@given(st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=5), st.sampled_from(SEPARATORS))
def test_what_a_csv_writer_wrote_is_read_again(cells: list[tuple[str, str]], separator: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator)
    writer.writerows([("smtpPassword", "Seat", "email"), *((*pair, "sales@gmail.com") for pair in cells)])
    records = [line.record for line in split_sheet(open_sheet(out.getvalue().encode()))]
    assert [record.get("smtpPassword", "") for record in records] == [
        "" if pair[0].isspace() else pair[0] for pair in cells
    ]


@settings(deadline=None)
@given(st.binary(max_size=100), st.booleans())
def test_any_bytes_are_rows_or_refused(body: bytes, has_header: bool) -> None:
    try:
        rows = rows_of(HEADER.encode() + b"\n" + body if has_header else body)
    except BodyError as error:
        assert str(error).endswith(".")
    else:
        assert [row.row for row in rows] == list(range(1, len(rows) + 1))
