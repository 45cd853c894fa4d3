"""Pure: what is wrong with a look at a bad server, in words; nothing, if the check behaved."""

import re
from typing import Final

from app.text import list_needles
from tests.fakes.behaviour import PASSWORD, USERNAME
from tests.zoo.keeper import LONGEST_SECONDS, Sight

_UNSEEN: Final = re.compile(r"\\x[01][0-9a-f]|\\x7f|\\ud[89a-f]")
"""Controls and surrogates, as `repr` shows them; line ends are allowed."""


def list_faults(sight: Sight) -> list[str]:
    """List what the check did that it must not do."""
    checked, faults = sight.checked, []
    shown = repr(checked) + repr(sight.diagnosis)
    if sight.diagnosis.code is not sight.expected:
        faults.append(f"{sight.diagnosis.code} instead of {sight.expected} ({checked.failure})")
    if sight.login_count != sight.behaviour.logins:
        faults.append(f"{sight.login_count} logins instead of {sight.behaviour.logins}")
    if checked.trace.sent_credentials is not (sight.login_count > 0):
        faults.append("the trace does not say truly whether a credential was sent")
    if sight.seconds > LONGEST_SECONDS:
        faults.append(f"took {sight.seconds:.1f} s")
    if sum(checked.trace.timings.values()) > sight.seconds * 1000 + 20:
        faults.append(f"timings add up to more than the check took: {checked.trace.timings}")
    if any(needle in shown for needle in list_needles(USERNAME, PASSWORD)):
        faults.append("the password is in the result")
    if _UNSEEN.search(shown):
        faults.append("control characters in the result")
    if checked.failure is None and checked.reply is None:
        faults.append("neither a failure nor a reply")
    return faults
