"""Pure: credentials with the marks of a spreadsheet.

Google shows app passwords as four blocks of four letters; the blanks between them are for the eye and are taken
out. Other marks may belong to a password: they are told, never changed.
"""

import re
from functools import cache
from typing import Final

from app.model import Correction

_APP_PASSWORD: Final = re.compile(r"[a-z]{4}([ \u00a0])[a-z]{4}\1[a-z]{4}\1[a-z]{4}")
_SMART_QUOTES: Final = frozenset("\u2018\u2019\u201c\u201d\u00ab\u00bb")
_ODD_BLANKS: Final = frozenset("\u00a0\u200b\u200c\u200d\u2060\ufeff")
APP_PASSWORD_PROVIDERS: Final = frozenset({"gmail", "gsuite", "google_relay"})


def mend_password(name: str, password: str, provider: str) -> tuple[str, list[Correction]]:
    """Return the password to use, and what to tell of it. Cells never stand in what is told."""
    is_google = provider in APP_PASSWORD_PROVIDERS
    if not is_google and _is_plain(password):
        return password, []
    if is_google and _APP_PASSWORD.fullmatch(password.strip()):
        return "".join(password.split()), [_tell_blanks(name)]
    warnings = []
    if password.startswith("'"):
        warnings.append("begins with an apostrophe, as spreadsheets add it")
    if _SMART_QUOTES & set(password):
        warnings.append("holds typographic quotation marks, as word processors put them")
    if _ODD_BLANKS & set(password):
        warnings.append("holds a blank that cannot be seen")
    if password != password.strip(" "):
        warnings.append("begins or ends with a blank")
    return password, [
        Correction(name, "as given", "as given", f"The password {warning}; it was used just as it stands.")
        for warning in warnings
    ]


@cache
def _tell_blanks(name: str) -> Correction:
    reason = "Google shows app passwords with blanks that are not part of them; they were taken out."
    return Correction(name, "with blanks", "without blanks", reason)


def _is_plain(password: str) -> bool:
    """Tell whether a password, which is not empty, bears no marks at all; most do not."""
    return password.isascii() and password[0] not in "' " and password[-1] != " "
