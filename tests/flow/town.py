"""Two thousand mailboxes at a real Dovecot and Postfix on twenty addresses, with passwords that can be found again."""

import random
import secrets
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.real import dovecot, postfix, process
from tests.real.certificates import Authority

MARK = "qzJ7wXkV"
"""Stands in every password of the town, and nowhere else in the world."""
WRONG_SHARE = 10
HOSTS = [f"127.0.0.{number}" for number in range(1, 21)]
"""Twenty hosts with a hundred mailboxes each: at one small host two hundred refused logins would be taken slowly."""

ENCRYPTIONS = ("ssl", "starttls", "none")


@dataclass(frozen=True)
class Town:
    """Running servers and the rows that a caller sends. `wrong`: addresses that are sent with a wrong password."""

    imap: dovecot.Handle
    smtp: postfix.Handle
    rows: list[dict[str, Any]]
    wrong: frozenset[str]
    passwords: frozenset[str]
    ca_file: Path
    folder: Path

    @property
    def ports(self) -> str:
        smtp, imap = self.smtp, self.imap
        return ",".join(map(str, (smtp.ssl, smtp.starttls, smtp.none, imap.ssl, imap.starttls)))

    def failed_logins(self) -> dict[str, Counter[str]]:
        """Count refused passwords so far: by protocol, then by user name, as the servers wrote them down."""
        return {"smtp": Counter(self.smtp.failed_logins()), "imap": Counter(self.imap.failed_logins())}

    def stop(self) -> None:
        process.stop(self.smtp.server, self.smtp.auth.server, self.imap.server)


def build_town(folder: Path, count: int) -> Town:
    """Start the servers with `count` mailboxes, every tenth of which is sent with a wrong password.

    Raises:
        UnavailableError: Dovecot or Postfix cannot run here.
    """
    authority = Authority(folder)
    pair = authority.issue("good", "localhost", *HOSTS)
    names = [f"box{number:05}@flow.example.com" for number in range(1, count + 1)]
    right = {name: MARK + secrets.token_hex(8) for name in names}
    wrong = {name: MARK + secrets.token_hex(8) for name in random.sample(names, count // WRONG_SHARE)}
    imap = dovecot.start(folder / "imap", right, pair, addresses=HOSTS)
    try:
        smtp = postfix.start(folder / "smtp", right, pair, addresses=HOSTS)
    except process.UnavailableError:
        imap.stop()
        raise
    smtp_ports = {"ssl": smtp.ssl, "starttls": smtp.starttls, "none": smtp.none}
    imap_ports = {"ssl": imap.ssl, "starttls": imap.starttls, "none": imap.starttls}
    rows = []
    for number, name in enumerate(names):
        encryption, host = ENCRYPTIONS[number % 3], HOSTS[number % len(HOSTS)]
        password = wrong.get(name, right[name])
        rows.append(
            {
                "fromName": f"Box {number}",
                "smtpEmailAddress": name,
                "smtpUserName": name,
                "smtpPassword": password,
                "smtpHost": host,
                "smtpPort": smtp_ports[encryption],
                "smtpEncryption": encryption,
                "imapEmailAddress": name,
                "imapUserName": name,
                "imapPassword": password,
                "imapHost": host,
                "imapPort": imap_ports[encryption],
                "imapEncryption": encryption,
                "Department": f"department {number % 7}",
            }
        )
    sent = frozenset({*right.values(), *wrong.values()})
    return Town(imap, smtp, rows, frozenset(wrong), sent, authority.ca_file, folder)
