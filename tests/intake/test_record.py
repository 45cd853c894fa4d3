"""A line's cells go where its columns say; a side's own cell goes before the one for both."""

import pytest

from app.intake.columns import understand_columns
from app.intake.record import Record, make_reader


def read(**cells: str) -> Record:
    return make_reader(understand_columns(list(cells)))(list(cells.values()))


def read_pairs(*pairs: tuple[str, str]) -> Record:
    return make_reader(understand_columns([name for name, _ in pairs]))([cell for _, cell in pairs])


def test_cells_become_fields_and_empty_ones_do_not() -> None:
    assert read(smtp_host="smtp.example.com", smtp_port="465", imap_host="", imap_port="  ", password=" ") == {
        "smtpHost": "smtp.example.com",
        "smtpPort": "465",
    }


def test_one_column_serves_both_sides() -> None:
    assert read(email="sales@example.com", password="hunter2") == {
        "smtpEmailAddress": "sales@example.com",
        "imapEmailAddress": "sales@example.com",
        "smtpPassword": "hunter2",
        "imapPassword": "hunter2",
    }


@pytest.mark.parametrize("order", [("password", "imap_password"), ("imap_password", "password")])
def test_a_sides_own_cell_goes_first_wherever_it_stands(order: tuple[str, str]) -> None:
    cells = {"password": "shared", "imap_password": "own"}
    assert read(**{name: cells[name] for name in order}) == {"smtpPassword": "shared", "imapPassword": "own"}
    cells["imap_password"] = ""
    assert read(**{name: cells[name] for name in order}) == {"smtpPassword": "shared", "imapPassword": "shared"}


@pytest.mark.parametrize(
    ("name", "cell", "fields"),
    [
        ("port", "993", {"imapPort"}),
        ("port", " 993.0", {"imapPort"}),
        ("port", "587", {"smtpPort"}),
        ("port", "4000", {"smtpPort", "imapPort"}),
        ("host", "imap.example.com", {"imapHost"}),
        ("host", " SMTP.example.com", {"smtpHost"}),
        ("host", "mail.example.com", {"smtpHost", "imapHost"}),
        ("encryption", "ssl", {"smtpEncryption", "imapEncryption"}),
    ],
)
def test_a_cell_that_can_only_mean_one_side_fills_that_one(name: str, cell: str, fields: set[str]) -> None:
    assert read(**{name: cell}) == dict.fromkeys(fields, cell)


@pytest.mark.parametrize(
    ("cell", "record"),
    [
        ("imap.example.com", {"imapHost": "imap.example.com"}),
        ("FALSE", {"imap": "FALSE"}),
        ("yes", {"imap": "yes"}),
        ("", {}),
    ],
)
def test_a_column_called_imap_holds_hosts_or_a_switch(cell: str, record: Record) -> None:
    assert read(imap=cell) == record


def test_beside_a_host_it_is_a_switch_alone() -> None:
    assert read(imapHost="imap.example.com", imap="no") == {"imapHost": "imap.example.com", "imap": "no"}
    assert read(imapHost="imap.example.com", imap="whatever") == {"imapHost": "imap.example.com"}


def test_the_guard_of_a_report_comes_off_every_cell_but_secrets() -> None:
    given = {
        "smtp_username": "'+4930123",
        "email": "'-sales@example.com",
        "notes": "'=1+1",
        "Cost centre": "'@home",
        "smtpHost": "'-x.example.com",
        "fromName": "'tis us",
        "smtp_password": "'=Sum(1)",
        "password": "'+words",
    }
    assert read(**given) == {
        "smtpUserName": "+4930123",
        "smtpEmailAddress": "-sales@example.com",
        "imapEmailAddress": "-sales@example.com",
        "metadata": {"notes": "=1+1"},
        "Cost centre": "@home",
        "smtpHost": "-x.example.com",
        "fromName": "'tis us",
        "smtpPassword": "'=Sum(1)",
        "imapPassword": "'+words",
    }


def test_metadata_is_gathered_under_the_headers() -> None:
    pairs = (("Warmup Limit", "20"), ("Tracking Domain", ""), ("Notes", "north"))
    assert read_pairs(*pairs) == {"metadata": {"Warmup Limit": "20", "Notes": "north"}}
    assert read_pairs(("Notes", " ")) == {}


@pytest.mark.parametrize(
    ("cell", "metadata"),
    [
        ('{"team": "north", "size": 3}', {"team": "north", "size": 3}),
        ('["north"]', {"metadata": '["north"]'}),
        ("north", {"metadata": "north"}),
        ("[" * 100_000, {"metadata": "[" * 100_000}),
        ("{}", {"metadata": "{}"}),
    ],
)
def test_a_column_called_metadata_may_hold_all_of_it(cell: str, metadata: Record) -> None:
    assert read(metadata=cell) == {"metadata": metadata}


def test_unknown_columns_are_carried_even_where_they_are_empty() -> None:
    assert read(Seat="north", Region="") == {"Seat": "north", "Region": ""}


def test_ignored_columns_are_not_read() -> None:
    assert read(outcome="failed", otp_secret="hunter2") == {}
