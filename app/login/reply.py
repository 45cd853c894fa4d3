"""I/O (what came in; no calls of its own): a mail server's words, taken apart.

535-5.7.8 Username and Password not accepted. For more information, go to
535 5.7.8  https://support.example.com/mail
NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)
"""

import re
from collections.abc import Sequence
from typing import Final

from app.checked import Reply
from app.text import clean_text

_ENHANCED: Final = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})(?:[ :-]+|$)")
_RESPONSE_CODE: Final = re.compile(r"^\[([^\s\]]{1,64})(?: ([^\]]*))?\] ?")


def parse_smtp_reply(code: int, message: str, needles: Sequence[str] = ()) -> Reply:
    """Return an SMTP reply: the enhanced code (RFC 3463) that heads its lines is taken out of the words."""
    lines = clean_text(message, needles).split("\n")
    found = ""
    for index, line in enumerate(lines):
        match = _ENHANCED.match(line)
        if match and found in {"", match[1]}:
            found = match[1]
            lines[index] = line[match.end() :]
    return Reply(text="\n".join(lines).strip(), code=code, enhanced=found)


def parse_imap_reply(line: bytes, notices: Sequence[bytes] = (), needles: Sequence[str] = ()) -> Reply:
    """Return an IMAP reply: `line` begins with its status word, tag or star already taken off.

    `notices`: untagged NO, BAD, BYE or ALERT lines that came with it; they follow on lines of their own.
    """
    text = clean_text(line, needles)
    status, _, words = text.partition(" ")
    match = _RESPONSE_CODE.match(words)
    response_code = ""
    if match:
        response_code = match[1].upper()
        words = words[match.end() :]
        if response_code == "WEBALERT" and match[2]:
            words = f"{match[2]} {words}"
    extra = [clean_text(notice, needles, 500) for notice in notices]
    return Reply("\n".join([words.strip(), *extra]).strip(), status=status.upper(), response_code=response_code)
