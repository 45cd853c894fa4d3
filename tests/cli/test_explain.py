"""`explain`: pasted replies, one or many."""

import io
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command

TENANT = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."
WRONG = "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)"


def test_one_reply_is_explained_in_words(command: Command) -> None:
    ended = command("explain", TENANT)
    assert ended.code == 0
    assert ended.out.startswith("smtp_auth_disabled: ")
    assert "administrator" in ended.out


def test_one_reply_as_json(command: Command) -> None:
    found = json.loads(command("explain", TENANT, "--json").out)
    assert found["code"] == "smtp_auth_disabled"
    assert found["fault"] == "user"
    assert found["retryable"] is False
    assert found["rule"]
    assert found["remedy"]


def test_the_servers_name_alone_tells_whose_help_page_it_is(command: Command) -> None:
    raw = "534-5.7.9 Application-specific password required."
    assert "https://myaccount.google.com/apppasswords" in command("explain", raw, "--host", "smtp.gmail.com").out


def test_what_nobody_has_seen_is_not_guessed(command: Command) -> None:
    assert json.loads(command("explain", "599 the cat is on the keyboard", "--json").out)["code"] == "unclassified"


def test_many_replies_keep_their_order_and_ids(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    lines = [
        {"id": "b", "protocol": "smtp", "stage": "auth", "raw": TENANT},
        {
            "id": "a",
            "protocol": "imap",
            "stage": "auth",
            "provider": "gmail",
            "raw": "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",
        },
    ]
    file.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    ended = command("explain", "--file", str(file), "--json")
    found = [json.loads(line) for line in ended.out.splitlines()]
    assert [line["id"] for line in found] == ["b", "a"]
    assert [line["code"] for line in found] == ["smtp_auth_disabled", "invalid_credentials"]
    assert all(set(line) == {"id", "code", "retryable", "fault", "remedy", "rule"} for line in found)


def test_a_line_may_leave_out_all_but_the_reply(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    lines = [
        {"raw": WRONG, "protocol": "IMAP", "stage": "Auth", "id": 7},
        {"raw": WRONG, "protocol": None, "stage": "dinner", "host": None, "provider": None},
        {"raw": ""},
    ]
    file.write_text("\n".join(json.dumps(line) for line in lines))
    found = [json.loads(line) for line in command("explain", "--file", str(file), "--json").out.splitlines()]
    assert [line["code"] for line in found] == ["invalid_credentials", "invalid_credentials", "unclassified"]
    assert found[0]["id"] == 7
    assert "id" not in found[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "line 1: not JSON"),
        ("[]", 'line 1: not an object with "raw"'),
        ('{"raw": "x", "protocol": "pop3"}', "protocol must be smtp or imap"),
        ('{"raw": "x", "protocol": ["smtp"]}', "protocol must be smtp or imap"),
    ],
)
def test_a_wrong_line_is_named(command: Command, tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "replies.jsonl"
    file.write_text(text)
    ended = command("explain", "--file", str(file))
    assert ended.code == 2
    assert words in ended.err


def test_a_file_that_is_not_there(command: Command) -> None:
    ended = command("explain", "--file", "nowhere.jsonl")
    assert ended.code == 2
    assert "nowhere.jsonl: No such file or directory" in ended.err


@pytest.mark.parametrize("reply", ["", " \r\n"])
def test_an_empty_reply_is_asked_for(command: Command, reply: str) -> None:
    for arguments in ((reply,), (reply, "--json")):
        ended = command("explain", *arguments)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith("bulk-connect: The reply is empty: paste what the server said")


def test_nothing_on_standard_input_is_asked_for(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    ended = command("explain", "-")
    assert ended.code == 2
    assert "The reply is empty" in ended.err


def test_one_or_many_but_not_both(command: Command) -> None:
    assert command("explain").code == 2
    assert command("explain", "535", "--file", "x").code == 2
