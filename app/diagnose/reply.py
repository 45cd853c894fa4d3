"""Pure: a reply in any dress to its parts: what a server said, or what a client library said it said.

535-5.7.8 Username and Password not accepted.\\n535 5.7.8 https://support.google.com/…
smtplib.SMTPAuthenticationError: (535, b'5.7.8 Error: authentication failed')
a2 NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)
ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1000)
"""

import html
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from app.checked import FailureKind, Reply
from app.letters import mend_letters
from app.model import Protocol, Stage

READ_CHARACTERS: Final = 600
"""What a server has to say stands at the beginning; the rest costs time."""

STAGE_WORDS: Final = {stage.value: stage for stage in Stage} | {"greeting": Stage.GREET, "starttls": Stage.TLS}
"""What the stages are called, by us and by collections of replies."""

_TAGS: Final = re.compile(r"<(?!doctype|html)/?[a-z][^<>]{0,200}>", re.IGNORECASE)
_BLANKS: Final = re.compile(r"[\s\u00a0\u200b-\u200d\ufeff]+")
_QUOTES: Final = str.maketrans("\u2018\u2019\u201c\u201d\u00b4`", "''\"\"''")
_PLAIN: Final = {
    ord(letter): unicodedata.normalize("NFD", letter)[0]
    for letter in map(chr, (*range(0xC0, 0x250), *range(0x370, 0x400), *range(0x1E00, 0x2000)))
    if len(unicodedata.normalize("NFD", letter)) > 1
} | str.maketrans({"æ": "ae", "œ": "oe", "ß": "ss", "ł": "l", "đ": "d", "ø": "o", "ı": "i", "\u0307": ""})
"""Servers leave the marks off letters as often as they write them, so rules read words without."""
_CODE: Final = re.compile(r"(?:^|[\s(\"'=<])([2345][0-5]\d)(?=$|[\s\-,;:\"')\]]|\.\s)")
_LEADING_CODE: Final = re.compile(r"^\W{0,3}([2345][0-5]\d)(?=$|[\s\-,;:\"')\]])")
_IN_EXCEPTION: Final = re.compile(
    r"(?:\(|code[ =:\"']+|error: |response(?: was)?:? |smtp[<:] ?)[\"']?([2345][0-5]\d)\b", re.IGNORECASE
)
_PORT: Final = re.compile(
    r"\bports?\W{0,3}\d+|:\d{2,5}\b|(?:errno|lines?) \d+|\b\d+ ?(?:ms\b|milli|s\b|sec|min)", re.IGNORECASE
)
_NAMES_SMTP: Final = re.compile(r"smtp|ehlo", re.IGNORECASE)
_NAMES_IMAP: Final = re.compile(r"imap", re.IGNORECASE)
_ENHANCED: Final = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_STATUS: Final = re.compile(r"(?:^|[\s\[(\"'*>:])(NO|BAD|BYE|OK|PREAUTH)(?=$|[\s\]\",)])")
_RESPONSE_CODE: Final = re.compile(r"\[([A-Z][A-Z-]{3,63})(?: [^\[\]]*)?\]")
"""Up to the next bracket of either kind: many that are open would each be followed to the end."""
_NEXT_LINE: Final = re.compile(r"\n[245]\d\d[ -](?: *[245]\.\d{1,3}\.\d{1,3} )?")
"""SMTP says its numbers again on every line, in the middle of sentences."""
_DOT_IN_NAME: Final = re.compile(r"(?<=[^\W\d])\.(?=\w)|(?<=\w)\.(?=[^\W\d])")
"""Rules take a dot for the end of a sentence; those in mail.example.com are none."""
_TALK: Final = {
    Protocol.SMTP: re.compile(r"\b2[25]0[ -]"),
    Protocol.IMAP: re.compile(r"\* (?:OK|PREAUTH|CAPABILITY)\b"),
}
_REFUSAL: Final = {
    Protocol.SMTP: re.compile(
        r"^(?:[^\n]{0,70}[:<>=|-] ?)?['\"b]{0,2}([45]\d\d[ -]\D[^\n]*|[45]\d\d[ -]\d\.[^\n]*)", re.MULTILINE
    ),
    Protocol.IMAP: re.compile(
        r"^(?:[^\n]{0,70}[:<>=|-] ?)?['\"b]{0,2}[A-Za-z]{0,8}\d{1,8} ((?:NO|BAD)\b[^\n]*)", re.MULTILINE
    ),
}
"""In a conversation that was pasted whole, the lines that say no."""

_NO_CODES: Final = frozenset({"CLOSED", "SSL", "ERRNO", "WINERROR", "CERTIFICATE_VERIFY_FAILED"})


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a diagnosis may rest on.

    `text`: the words in the form rules read: lower case, blanks folded, mark-up and typographic quotes gone.
    `code` 0, `enhanced`, `status`, `response_code` empty: not told. `kind`: what stopped the stage, None if unknown.
    """

    protocol: Protocol
    stage: Stage | None
    text: str
    code: int = 0
    enhanced: str = ""
    status: str = ""
    response_code: str = ""
    provider: str = ""
    host: str = ""
    kind: FailureKind | None = None
    is_token: bool = False
    sent_credentials: bool = False

    @property
    def is_reply(self) -> bool:
        """Tell whether a server's own answer is at hand, not only a client's complaint."""
        refusal = self.code >= 400 or self.code == 235
        return bool(refusal or self.status or self.response_code or self.enhanced)


def fold(text: str) -> str:
    """Return words in the form that rules read."""
    text = mend_letters(html.unescape(text) if "&" in text else text)
    if "<" in text:
        text = _TAGS.sub(" ", text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = text.translate(_QUOTES).replace("\\n", " ").replace("\\r", " ")
    return strip_marks(_DOT_IN_NAME.sub(" ", _BLANKS.sub(" ", text[:READ_CHARACTERS]).strip().lower()))


def strip_marks(text: str) -> str:
    """Return lower-case words without the marks on Latin and Greek letters."""
    return text if text.isascii() else text.translate(_PLAIN)


def evidence_of_reply(reply: Reply, protocol: Protocol, stage: Stage | None) -> Evidence:
    """Return the evidence in a reply that is taken apart already."""
    response_code = reply.response_code.partition(" ")[0].upper()
    words = fold(f"[{reply.response_code}] {reply.text}" if reply.response_code else reply.text)
    return Evidence(protocol, stage, words, reply.code, reply.enhanced, reply.status, response_code)


def parse_raw(protocol: Protocol, raw: str, stage: Stage | None = None) -> Evidence:
    """Take a pasted reply apart, whoever wrapped it."""
    raw = _find_refusal(protocol, raw)
    code = _find_code(raw) if protocol is Protocol.SMTP else 0
    enhanced = _ENHANCED.search(raw) if protocol is Protocol.SMTP else None
    codes = [found for found in _RESPONSE_CODE.findall(raw) if found not in _NO_CODES and found != "ALERT"]
    response_code = codes[0] if codes and protocol is Protocol.IMAP else ""
    return Evidence(
        protocol,
        stage,
        fold(_NEXT_LINE.sub(" ", raw) if protocol is Protocol.SMTP else raw),
        code,
        enhanced[1] if enhanced else "",
        _find_status(raw) if protocol is Protocol.IMAP else "",
        response_code,
    )


def guess_protocol(raw: str) -> Protocol:
    """Return the protocol that a pasted reply speaks: SMTP has numbers, IMAP has words."""
    if _LEADING_CODE.search(raw) or (_ENHANCED.search(raw) and _find_code(raw)) or _NAMES_SMTP.search(raw):
        return Protocol.SMTP
    if _NAMES_IMAP.search(raw) or _STATUS.search(raw) or _RESPONSE_CODE.search(raw):
        return Protocol.IMAP
    return Protocol.SMTP


def _find_refusal(protocol: Protocol, raw: str) -> str:
    """Return the lines that say no, of a conversation; anything else stays as it is."""
    talk = _TALK[protocol].search(raw)
    if talk is None or "\n" not in raw:
        return raw
    said = [found[1] for found in _REFUSAL[protocol].finditer(raw, talk.end())]
    return "\n".join(said) or raw


def _find_status(raw: str) -> str:
    """Return the word that counts: a refusal before the greeting and the good-bye around it."""
    found = _STATUS.findall(raw)
    return next((status for status in found if status in {"NO", "BAD"}), found[0] if found else "")


def _find_code(raw: str) -> int:
    leading = _LEADING_CODE.findall(raw)
    if leading:
        return int(leading[0])
    raw = _PORT.sub(" ", raw)
    for pattern in (_IN_EXCEPTION, _CODE):
        found = pattern.findall(raw)
        if found:
            # "Expected 250 but got 535": the refusal is what counts.
            return next((int(code) for code in reversed(found) if code[0] in "45"), int(found[0]))
    return 0
