"""What a spreadsheet did to a password is mended where that is certain, else told; the password is never quoted."""

import pytest

from app.intake.credentials import APP_PASSWORD_PROVIDERS, mend_password
from app.intake.presets import find_preset


@pytest.mark.parametrize("provider", sorted(APP_PASSWORD_PROVIDERS))
@pytest.mark.parametrize(
    "given",
    ["abcd efgh ijkl mnop", "abcd\u00a0efgh\u00a0ijkl\u00a0mnop", " abcd efgh ijkl mnop "],
)
def test_blanks_of_a_google_app_password_are_taken_out(provider: str, given: str) -> None:
    password, (told,) = mend_password("smtpPassword", given, provider)
    assert password == "abcdefghijklmnop"
    assert (told.field, told.given, told.used) == ("smtpPassword", "with blanks", "without blanks")


@pytest.mark.parametrize("given", ["abcd efgh ijkl mno", "Abcd efgh ijkl mnop", "ab cd efgh ijkl mnop", "one two"])
def test_other_passwords_at_google_keep_their_blanks(given: str) -> None:
    assert mend_password("smtpPassword", given, "gsuite") == (given, [])


def test_the_same_letters_elsewhere_keep_their_blanks() -> None:
    assert mend_password("smtpPassword", "abcd efgh ijkl mnop", "yahoo") == ("abcd efgh ijkl mnop", [])


@pytest.mark.parametrize("provider", ["", "gmail"])
@pytest.mark.parametrize("given", ["hunter2", "a b", "=1+1", 'q,8"Lm2 x', "it's"])
def test_a_password_without_marks_is_used_and_nothing_is_told(provider: str, given: str) -> None:
    assert mend_password("imapPassword", given, provider) == (given, [])


@pytest.mark.parametrize("provider", ["", "gmail"])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("'hunter2", "apostrophe"),
        ("\u201chunter2\u201d", "quotation marks"),
        ("hunter\u00a02", "cannot be seen"),
        ("hunter2\ufeff", "cannot be seen"),
        (" hunter2", "begins or ends with a blank"),
        ("hunter2 ", "begins or ends with a blank"),
    ],
)
def test_a_mark_that_may_belong_to_the_password_is_told_and_left(provider: str, given: str, words: str) -> None:
    password, (told,) = mend_password("imapPassword", given, provider)
    assert password == given
    assert words in told.reason
    assert "just as it stands" in told.reason
    assert told.given == told.used == "as given"


def test_every_mark_is_told_by_itself_and_none_quotes_the_password() -> None:
    _, told = mend_password("imapPassword", "'hunter\u00a02\u2019 ", "")
    assert len(told) == 4
    assert not any("hunter" in word for entry in told for word in (entry.given, entry.used, entry.reason))


def test_a_password_of_letters_with_accents_bears_no_mark() -> None:
    assert mend_password("imapPassword", "Käse-4-Brot", "") == ("Käse-4-Brot", [])


def test_providers_of_app_passwords_are_presets() -> None:
    assert all(find_preset(slug) is not None for slug in APP_PASSWORD_PROVIDERS)
