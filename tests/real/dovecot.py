"""Real Dovecot on high ports of 127.0.0.1, with its own configuration in a folder of the test's.

`start` serves IMAP over all three encryptions; `start_auth` is Dovecot's login service alone, for Postfix. Each
has a log of its own, where every refused login can be counted.
"""

import base64
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.real import process
from tests.real.certificates import Pair
from tests.real.process import UnavailableError

COMMON = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
auth_verbose = yes
login_log_format_elements = user=<%u> method=%m %c
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
first_valid_uid = 1
first_valid_gid = 1
mail_uid = {mail_uid}
mail_gid = {mail_gid}
auth_mechanisms = {mechanisms}
auth_failure_delay = 0 secs
auth_username_chars =
auth_username_format = %u
auth_cache_size = 0
disable_plaintext_auth = {tls_only}
default_client_limit = 20000
default_process_limit = 2000
default_vsz_limit = 512M
mail_max_userip_connections = 100000
mail_location = maildir:{folder}/mail/%Mu
stats_writer_socket_path =
service anvil {{
  client_limit = 20000
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  client_limit = 40000
  unix_listener auth-for-postfix {{
    mode = 0666
  }}
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
{oauth}
userdb {{
  driver = static
  args = uid={mail_uid} gid={mail_gid} home={folder}/mail/%Mu
}}
"""

IMAP = """
protocols = imap
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
ssl_min_protocol = TLSv1.2
service imap-login {{
  service_count = 0
  process_min_avail = {login_processes}
  client_limit = 5000
  chroot =
  inet_listener imap {{
    address = {addresses}
    port = {starttls}
  }}
  inet_listener imaps {{
    address = {addresses}
    port = {ssl}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 2000
  service_count = 50
  client_limit = 1
}}
"""

OAUTH = """
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
"""


@dataclass(frozen=True)
class Handle:
    """A running Dovecot. `ssl` and `starttls` are ports (`starttls` is also for `none`); `auth_socket` for Postfix."""

    ssl: int
    starttls: int
    folder: Path
    server: subprocess.Popen[bytes]

    @property
    def log(self) -> Path:
        return self.folder / "dovecot.log"

    @property
    def auth_socket(self) -> Path:
        return self.folder / "run" / "auth-for-postfix"

    def failed_logins(self) -> dict[str, int]:
        """Count refused passwords by user name."""
        counts: dict[str, int] = {}
        text = self.log.read_text(errors="replace")
        for name in re.findall(r"passwd-file\((.*?),127\.0\.0\.1.*?\): (?:Password mismatch|unknown user)", text):
            counts[name] = counts.get(name, 0) + 1
        return counts

    def stop(self) -> None:
        process.stop(self.server)


def start(
    folder: Path,
    users: Mapping[str, str],
    certificate: Pair,
    *,
    mechanisms: str = "plain login",
    tls_only: bool = False,
    introspection_url: str = "",
    addresses: Sequence[str] = ("127.0.0.1",),
    login_processes: int = 2,
) -> Handle:
    """Start Dovecot for IMAP. `users`: name to password. `introspection_url`: where it asks about tokens.

    `addresses`: of the loopback, on which it listens; to whoever dials them they are so many hosts. `login_processes`:
    how many share the logins; each keeps its own keys, so that none takes up another's TLS sessions.

    Raises:
        UnavailableError: it is not installed, or did not come up.
    """
    ssl_port, starttls_port = process.free_ports(2)
    files = {"certificate": certificate.certificate, "key": certificate.key}
    ports = {"ssl": ssl_port, "starttls": starttls_port}
    text = IMAP.format(**files, **ports, addresses=" ".join(addresses), login_processes=login_processes)
    server = _launch(folder, users, text, mechanisms, tls_only=tls_only, introspection_url=introspection_url)
    process.wait_until(lambda: process.is_listening(ssl_port), server, folder / "dovecot.log")
    return Handle(ssl_port, starttls_port, folder, server)


def start_auth(
    folder: Path, users: Mapping[str, str], *, mechanisms: str = "plain login cram-md5", introspection_url: str = ""
) -> Handle:
    """Start Dovecot's login service alone."""
    text = "protocols =\nssl = no\n"
    server = _launch(folder, users, text, mechanisms, tls_only=False, introspection_url=introspection_url)
    handle = Handle(0, 0, folder, server)
    process.wait_until(handle.auth_socket.exists, server, handle.log)
    return handle


def _launch(
    folder: Path, users: Mapping[str, str], text: str, mechanisms: str, *, tls_only: bool, introspection_url: str
) -> subprocess.Popen[bytes]:
    program = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise UnavailableError("Dovecot is not installed (Debian: dovecot-imapd)")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mail").mkdir(mode=0o777, exist_ok=True)
    (folder / "mail").chmod(0o777)
    lines = [f"{name}:{{PLAIN.b64}}{base64.b64encode(word.encode()).decode()}" for name, word in users.items()]
    (folder / "users").write_text("\n".join(lines) + "\n")
    (folder / "users").chmod(0o644)
    oauth = ""
    if introspection_url:
        (folder / "oauth2.conf").write_text(
            f"introspection_url = {introspection_url}\nintrospection_mode = post\n"
            "username_attribute = username\nactive_attribute = active\nactive_value = true\n"
        )
        oauth = OAUTH.format(folder=folder)
        mechanisms = f"{mechanisms} xoauth2 oauthbearer"
    owners = _list_owners()
    head = COMMON.format(
        folder=folder, mechanisms=mechanisms, tls_only="yes" if tls_only else "no", oauth=oauth, **owners
    )
    (folder / "dovecot.conf").write_text(head + text)
    return process.start([program, "-F", "-c", folder / "dovecot.conf"], folder / "dovecot.out")


def _list_owners() -> dict[str, str]:
    """Return who runs what: as root the accounts that the package made, else ourselves for everything."""
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("dovenull")
            pwd.getpwnam("dovecot")
        except KeyError:
            raise UnavailableError("the accounts dovecot and dovenull are missing") from None
        nobody = pwd.getpwnam("nobody")
        return {
            "internal": "dovecot",
            "internal_group": "dovecot",
            "login": "dovenull",
            "mail_uid": str(nobody.pw_uid),
            "mail_gid": str(nobody.pw_gid),
        }
    me = pwd.getpwuid(os.geteuid())
    group = str(me.pw_gid)
    return {
        "internal": me.pw_name,
        "internal_group": group,
        "login": me.pw_name,
        "mail_uid": str(me.pw_uid),
        "mail_gid": group,
    }
