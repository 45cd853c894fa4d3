"""Sheets as other tools write them are read without a word about their layout.

The headers in `layouts/` are those of each tool's export or template; the cells are the same neutral ones in all.
"""

from pathlib import Path

import pytest

from app.intake.columns import Use
from app.intake.sheet import open_sheet, read_sheet
from app.model import Encryption, Row, Secret

FILES = sorted((Path(__file__).parent / "layouts").glob("*.csv"))


def read(path: Path) -> Row:
    (rows,) = read_sheet(open_sheet(path.read_bytes()))
    (row,) = rows
    return row


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_known_layout_is_understood(path: Path) -> None:
    row = read(path)
    assert row.errors == ()
    assert row.corrections == ()
    assert row.extra == {}
    assert row.email == row.imap.address == "sales@mail.test"
    smtp, imap = row.smtp, row.imap
    assert (smtp.host, smtp.port, smtp.encryption) == ("smtp.mail.test", 587, Encryption.STARTTLS)
    assert (imap.host, imap.port, imap.encryption) == ("imap.mail.test", 993, Encryption.SSL)
    names = ("sales@mail.test", "sales@mail.test") if path.stem == "sendkit" else ("sales", "sales-in")
    assert (smtp.username, imap.username) == names
    assert row.secrets.smtp == Secret('one,"Two" three')
    has_two_passwords = path.stem not in {"brandjet", "sendkit"}
    assert row.secrets.imap == Secret("four;Five" if has_two_passwords else 'one,"Two" three')
    sender = {"fromName": "Sales Desk", "fromFirstName": "Sales", "fromLastName": "Desk"}
    assert {name: row.details[name] for name in sender if name in row.details}.items() <= sender.items()
    assert "fromName" in row.details or {"fromFirstName", "fromLastName"} <= row.details.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_column_of_a_known_layout_has_a_meaning(path: Path) -> None:
    columns = open_sheet(path.read_bytes()).columns
    assert {column.use for column in columns} <= {Use.FIELD, Use.METADATA}


def test_ten_layouts_are_at_hand() -> None:
    assert len(FILES) == 10
