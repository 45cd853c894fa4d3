"""Pure: where one side of a mailbox explains the other."""

from app.codes import Code
from app.diagnose.diagnose import Diagnosis

_SILENT = frozenset({Code.CONNECTION_TIMEOUT, Code.HOST_UNREACHABLE})


def join_sides(smtp: Diagnosis | None, imap: Diagnosis | None, *, same_secret: bool) -> str:
    """Return a sentence that only both sides together tell; empty: there is none. No code is changed by it."""
    if smtp is None or imap is None:
        return ""
    codes = (smtp.code, imap.code)
    if codes == (Code.INVALID_CREDENTIALS, Code.INVALID_CREDENTIALS) and same_secret:
        return "Sending and reading both refused the same password."
    if codes == (Code.INVALID_CREDENTIALS, Code.OK):
        same = "the same password" if same_secret else "the IMAP password"
        return f"IMAP took {same}, so look at the SMTP user name, or whether sending with a login is switched on."
    if codes == (Code.OK, Code.INVALID_CREDENTIALS):
        same = "the same password" if same_secret else "the SMTP password"
        return f"SMTP took {same}, so look at the IMAP user name, or whether IMAP is switched on."
    if smtp.code in _SILENT and imap.code in _SILENT:
        return "Neither side answered: a firewall, or the wrong servers."
    if Code.IP_BLOCKED in codes:
        return "One side refused our address, so the other side's failure may have the same cause."
    return ""
