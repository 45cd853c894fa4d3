"""Pure: where one side of a mailbox explains the other."""

from app.codes import Code
from app.diagnose.diagnose import Diagnosis

_SILENT = frozenset({Code.CONNECTION_TIMEOUT, Code.HOST_UNREACHABLE})


def join_sides(smtp: Diagnosis | None, imap: Diagnosis | None, *, same_secret: bool) -> str:
    """Return what only both sides together tell, and where it is known, what to do; empty: nothing.

    No code is changed by it.
    """
    if smtp is None or imap is None:
        return ""
    codes = (smtp.code, imap.code)
    if codes == (Code.INVALID_CREDENTIALS, Code.INVALID_CREDENTIALS) and same_secret:
        return "Sending and reading both refused the same password."
    if codes == (Code.INVALID_CREDENTIALS, Code.OK):
        if not same_secret:
            return "IMAP took its password, SMTP refused its own."
        look = "Look at the SMTP user name, or whether sending through other programs is switched on."
        return f"IMAP took the same password, so it is right. {look}"
    if codes == (Code.OK, Code.INVALID_CREDENTIALS):
        if not same_secret:
            return "SMTP took its password, IMAP refused its own."
        look = "Look at the IMAP user name, or whether reading through other programs (IMAP) is switched on."
        return f"SMTP took the same password, so it is right. {look}"
    if smtp.code in _SILENT and imap.code in _SILENT:
        return "Neither side answered: a firewall, or the wrong servers."
    if Code.IP_BLOCKED in codes:
        return (
            "One side refuses this service, so this may have the same cause. Check again before you change a password."
        )
    return ""
