"""Servers write in the letters of their country; what they say is still read."""

import pytest

from app.codes import Code
from app.diagnose.diagnose import explain
from app.letters import decode_words, mend_letters
from app.text import clean_text


@pytest.mark.parametrize(
    ("words", "codec"),
    [
        ("535 请使用授权码登录。详情请看: http://mail.example.com", "gb2312"),
        ("550 用户无权登陆", "gb2312"),
        ("535 Неверный логин или пароль", "cp1251"),
        ("535 Identifiant ou mot de passe erroné", "latin-1"),
        ("NO Ungültige Zugangsdaten", "latin-1"),
        ("535 密码错误, mot de passe erroné", "utf-8"),
    ],
)
def test_bytes_become_the_words_that_were_meant(words: str, codec: str) -> None:
    raw = words.encode(codec)
    assert decode_words(raw) == words
    assert clean_text(raw) == words
    assert clean_text(raw.decode("utf-8", "surrogateescape")) == words


@pytest.mark.parametrize("raw", [b"\xff\xfe\x80\x81", b"\x16\x03\x01\x02\x00\xfc\x9a", b"535 \xe4 \xff", b"\xc7\xeb"])
def test_letters_that_nobody_knows_are_not_guessed(raw: bytes) -> None:
    assert "\ufffd" in decode_words(raw)


@pytest.mark.parametrize(
    ("pasted", "meant"),
    [
        ("535 ÇëÊ¹ÓÃÊÚÈ¨ÂëµÇÂ¼", "535 请使用授权码登录"),
        (r"(550, b'\xd3\xc3\xbb\xa7\xce\xde\xc8\xa8\xb5\xc7\xc2\xbd')", "(550, b'用户无权登陆')"),
        (r'{"message": "\u5bc6\u7801\u9519\u8bef"}', '{"message": "密码错误"}'),
        ("Échec de l'authentification : mot de passe erronÃ©", "Échec de l'authentification : mot de passe erronÃ©"),
        ("mot de passe erronÃ©", "mot de passe erroné"),
        ("Senha inválida, tente novamente à noite", "Senha inválida, tente novamente à noite"),
        (r"C:\x0b\u001b[31m\udc80", r"C:\x0b\u001b[31m\udc80"),
    ],
)
def test_pasted_words_get_their_letters_back(pasted: str, meant: str) -> None:
    assert mend_letters(pasted) == meant


def test_what_was_pasted_in_the_wrong_letters_is_judged_by_its_sense() -> None:
    assert explain("535 Error: ÇëÊ¹ÓÃÊÚÈ¨ÂëµÇÂ¼¡£").code is Code.APP_PASSWORD_REQUIRED
    assert (
        explain(r"SMTPAuthenticationError: (535, b'\xc3\xdc\xc2\xeb\xb4\xed\xce\xf3')").code is Code.INVALID_CREDENTIALS
    )


def test_a_secret_in_plain_letters_is_starred_whatever_letters_stand_around_it() -> None:
    raw = "密码".encode("gb2312") + b"hunter2secret" + "错误".encode("gb2312")
    assert clean_text(raw, ["hunter2secret"]) == "密码***错误"


@pytest.mark.parametrize(
    "around", ["Ungültige Zugangsdaten, größer: ".encode("latin-1"), "密码错误了: ".encode("gb2312")]
)
def test_a_secret_that_came_back_as_it_was_sent_is_starred(around: bytes) -> None:
    assert "***" in clean_text(around + "pässwörd".encode(), ["pässwörd"])


@pytest.mark.parametrize("words", ["密码错误", "ошибка: неверный пароль ", "größer "])
@pytest.mark.parametrize("codec", ["gb2312", "cp1251", "latin-1"])
def test_a_secret_between_foreign_letters_is_never_taken_for_some_of_them(words: str, codec: str) -> None:
    around = words.encode(codec, "ignore")
    raw = b"535 " + around + "папа".encode() + around
    for said in (raw, raw.decode("utf-8", "surrogateescape")):
        assert clean_text(said, ["папа"]).count("***") == 1
