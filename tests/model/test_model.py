"""The nouns: what they print, what they hide, how they add up."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from app.checked import Checked, Failure, FailureKind, Reply, Trace
from app.model import (
    Caller,
    Counts,
    Encryption,
    Login,
    OnExisting,
    Options,
    Protocol,
    Row,
    Save,
    Scope,
    Secret,
    Secrets,
    Server,
    Side,
    Stage,
)

SERVER = Server("mail.example.com", 465, Encryption.SSL)


@given(st.text(min_size=5))
def test_a_secret_prints_as_stars(text: str) -> None:
    secret = Secret(text)
    shown = [str(secret), repr(secret), f"{secret}", f"{Secrets(secret)}", repr([secret])]
    assert set(shown[:3]) == {"Secret(***)"}
    assert secret.reveal() == text
    if text not in "Secrets(smtp=Secret(***), imap=None, smtp_is_token=False, imap_is_token=False)":
        assert not any(text in each for each in shown)


def test_secrets_are_equal_when_their_texts_are() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert (bool(Secret("a")), bool(Secret(""))) == (True, False)


def test_what_holds_a_login_prints_neither_name_nor_password() -> None:
    login = Login(Protocol.SMTP, SERVER, "info@example.com", Secret("right horse"))
    side = Side(username="info@example.com")
    assert "right horse" not in repr(login)
    assert "info@example.com" not in repr(login) + repr(side) + pretty_repr(side)


@pytest.mark.parametrize(
    ("made", "name"),
    [(Side(), "address"), (Secrets(), "smtp"), (Row(1, "", "", "", "", Side(), Side(), Secrets(), {}, {}), "email")],
)
def test_nobody_changes_what_is_made(made: object, name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(made, name, getattr(made, name))


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (Reply("Bad credentials", code=535, enhanced="5.7.8"), "535 5.7.8 Bad credentials"),
        (Reply("Try again", code=421), "421 Try again"),
        (Reply("No", status="NO", response_code="AUTHENTICATIONFAILED"), "NO [AUTHENTICATIONFAILED] No"),
        (Reply("", status="BAD"), "BAD"),
        (Reply("only words"), "only words"),
        (Reply(""), ""),
    ],
)
def test_a_reply_reads_as_the_client_had_it(reply: Reply, shown: str) -> None:
    assert str(reply) == shown


def test_a_check_without_failure_is_ok() -> None:
    checked = Checked(Protocol.IMAP, Trace(SERVER))
    assert checked.is_ok
    assert not replace(checked, failure=Failure(FailureKind.TIMEOUT, Stage.AUTH)).is_ok


@given(st.lists(st.integers(0, 1000), min_size=7, max_size=7), st.integers(1, 10))
def test_counts_balance_when_the_parts_make_the_total(parts: list[int], off: int) -> None:
    assert Counts(sum(parts), *parts).is_balanced()
    assert not Counts(sum(parts) + off, *parts).is_balanced()


def test_an_admin_may_everything_others_what_they_were_given() -> None:
    reader = Caller(UUID(int=1), UUID(int=2), "Sales", frozenset({Scope.READ}))
    assert [scope for scope in Scope if reader.may(scope)] == [Scope.READ]
    admin = replace(reader, scopes=frozenset({Scope.ADMIN}))
    assert all(admin.may(scope) for scope in Scope)


def test_options_have_the_defaults_of_the_contract() -> None:
    options = Options()
    assert (options.save, options.on_existing, options.auto_correct, options.is_strict) == (
        Save.CONNECTED,
        OnExisting.UPDATE,
        True,
        False,
    )
