"""I/O: real Dovecot and Postfix with thousands of mailboxes, kept to one core, so that the client has the other."""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.real import dovecot, postfix
from tests.real.certificates import HOST, Authority
from tests.real.process import open_folder

SERVERS_CORE = 0
CLIENT_CORE = 1


@dataclass(frozen=True)
class House:
    """Running servers and their mailboxes. `ca_file`: the authority to trust."""

    folder: Path
    ca_file: Path
    smtp_port: int
    imap_port: int
    users: dict[str, str]

    def lines(self) -> str:
        """Return the mailboxes as JSON lines for the bare script and the engine."""
        ports = {"smtp_port": self.smtp_port, "imap_port": self.imap_port}
        return "".join(
            json.dumps({"email": email, "password": password, **ports}) + "\n" for email, password in self.users.items()
        )

    def rows(self) -> list[dict[str, object]]:
        """Return the mailboxes as a connect call brings them."""
        common = {"smtpHost": HOST, "imapHost": HOST, "smtpPort": self.smtp_port, "imapPort": self.imap_port}
        return [
            {"smtpEmailAddress": email, "smtpPassword": password, **common, "smtpEncryption": "ssl"}
            | {"imapEncryption": "ssl"}
            for email, password in self.users.items()
        ]


@contextlib.contextmanager
def open_house(count: int) -> Iterator[House]:
    """Start both servers with `count` mailboxes.

    Raises:
        UnavailableError: they are not installed.
    """
    users = {f"box{number}@bench.test": f"bench-password-{number}" for number in range(1, count + 1)}
    cores = os.sched_getaffinity(0)
    with open_folder("bench") as folder:
        authority = Authority(folder)
        pair = authority.issue("bench")
        with pinned(SERVERS_CORE):
            # One for each core that it has: https://doc.dovecot.org/2.3/admin_manual/login_processes/, read 2026-11-21.
            imap = dovecot.start(folder / "dovecot", users, pair, login_processes=1)
            smtp = postfix.start(folder / "postfix", users, pair)
        os.sched_setaffinity(0, cores)
        try:
            yield House(folder, authority.ca_file, smtp.ssl, imap.ssl, users)
        finally:
            smtp.stop()
            imap.stop()


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keep what is started inside to one core, where there are several."""
    cores = os.sched_getaffinity(0)
    if len(cores) > 1:
        os.sched_setaffinity(0, {sorted(cores)[core]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
