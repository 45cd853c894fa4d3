"""Real Postfix on high ports of 127.0.0.1 with its own configuration and queue; Dovecot looks after its logins.

Three ports, one for each encryption. It needs root, since Postfix does.
"""

import asyncio
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.real import dovecot, process
from tests.real.certificates import Pair
from tests.real.process import UnavailableError

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
myhostname = mail.test.invalid
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
default_transport = discard
relay_transport = discard
alias_maps =
alias_database =
local_recipient_maps =
smtpd_peername_lookup = no
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_mandatory_protocols = >=TLSv1.2
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth_socket}
smtpd_sasl_auth_enable = yes
smtpd_sasl_security_options = noanonymous
smtpd_sasl_tls_security_options = noanonymous
smtpd_sasl_response_limit = 24576
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_sender_restrictions = {sender_restrictions}
smtpd_delay_reject = no
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_process_limit = 400
authorized_submit_users = root
broken_sasl_auth_clients = no
"""

MASTER = """
{address}:{ssl} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
{address}:{starttls} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt
{address}:{none} inet n - n - - smtpd -o smtpd_tls_security_level=none -o smtpd_tls_auth_only=no
"""

INSIDE = """
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
cleanup unix n - n - 0 cleanup
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
discard unix - - n - - discard
error unix - - n - - error
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
qmgr unix n - n 300 1 qmgr
pickup unix n - n 60 1 pickup
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Handle:
    """A running Postfix: a port for each encryption, its log, and the Dovecot that judges its logins."""

    ssl: int
    starttls: int
    none: int
    folder: Path
    server: subprocess.Popen[bytes]
    auth: dovecot.Handle

    @property
    def log(self) -> Path:
        return self.folder / "postfix.log"

    def failed_logins(self) -> dict[str, int]:
        """Count refused passwords by user name, as Dovecot's login service saw them."""
        return self.auth.failed_logins()

    async def count_refusals(self, after_sessions: int = -1) -> tuple[int, int]:
        """Count sessions and refused AUTH commands, once Postfix has written down the end of every session.

        `after_sessions`: there are more of them by now; it writes its log a moment later than it answers.
        """
        while True:
            log = self.log.read_text(errors="replace")
            sessions = len(re.findall(r": connect from", log))
            if after_sessions < sessions == len(re.findall(r": disconnect from", log)):
                return sessions, len(re.findall(r"SASL \S+ authentication failed", log))
            await asyncio.sleep(0.05)

    def stop(self) -> None:
        process.stop(self.server, self.auth.server)


def start(
    folder: Path,
    users: Mapping[str, str],
    certificate: Pair,
    *,
    mechanisms: str = "plain login cram-md5",
    introspection_url: str = "",
    sender_restrictions: str = "permit",
    addresses: Sequence[str] = ("127.0.0.1",),
) -> Handle:
    """Start Postfix. `users`: name to password. `sender_restrictions`: as Postfix spells them.

    `addresses`: of the loopback, on which it listens; to whoever dials them they are so many hosts.

    Raises:
        UnavailableError: it is not installed, we are not root, or it did not come up.
    """
    program = shutil.which("postfix", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise UnavailableError("Postfix is not installed (Debian: postfix)")
    if os.geteuid() != 0:
        raise UnavailableError("Postfix needs root")
    try:
        owner = pwd.getpwnam("postfix")
    except KeyError:
        raise UnavailableError("the account postfix is missing") from None
    folder.mkdir(parents=True, exist_ok=True)
    auth = dovecot.start_auth(folder / "auth", users, mechanisms=mechanisms, introspection_url=introspection_url)
    config = folder / "config"
    for name in ("config", "queue", "data"):
        (folder / name).mkdir(exist_ok=True)
    os.chown(folder / "data", owner.pw_uid, owner.pw_gid)
    ssl_port, starttls_port, none_port = process.free_ports(3)
    (config / "main.cf").write_text(
        MAIN.format(
            folder=folder,
            certificate=certificate.certificate,
            key=certificate.key,
            auth_socket=auth.auth_socket,
            sender_restrictions=sender_restrictions,
        )
    )
    ports = {"ssl": ssl_port, "starttls": starttls_port, "none": none_port}
    doors = [MASTER.format(address=address, **ports) for address in addresses]
    (config / "master.cf").write_text("".join(doors) + INSIDE)
    # `postfix start` would put a shell between us and the master, which then outlives the tests.
    subprocess.run([program, "-c", config, "check"], check=True, capture_output=True)
    tool = Path(program).with_name("postconf")
    asked = subprocess.run([tool, "-c", config, "-h", "daemon_directory"], check=True, capture_output=True, text=True)
    server = process.start([f"{asked.stdout.strip()}/master", "-c", config, "-d"], folder / "postfix.out")
    handle = Handle(ssl_port, starttls_port, none_port, folder, server, auth)
    try:
        process.wait_until(lambda: process.is_listening(none_port), server, folder / "postfix.log")
    except UnavailableError:
        auth.stop()
        raise
    return handle
