"""Pure: what a hostile server does, named, with the code that a check of it must come to; and how sessions begin.

A behaviour is written once, as a script for a `Scene`: one protocol in one way of encryption.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.codes import Code
from app.model import Encryption, Protocol
from tests.fakes.scripted import Do, Step

SMTP, IMAP = Protocol.SMTP, Protocol.IMAP
SSL, STARTTLS, NONE = Encryption.SSL, Encryption.STARTTLS, Encryption.NONE
EVERY_WAY: Final = (NONE, SSL, STARTTLS)
UNDER_TLS: Final = (SSL, STARTTLS)

PASSWORD: Final = "correct-horse-7"
"""What every check of the zoo sends, and what must be found in none of its results."""
USERNAME: Final = "info@example.com"


@dataclass(frozen=True)
class Scene:
    """Where a script is played, and the beginnings that scripts share."""

    protocol: Protocol
    encryption: Encryption

    def pick(self, smtp: bytes, imap: bytes) -> bytes:
        return smtp if self.protocol is SMTP else imap

    @property
    def greeting(self) -> bytes:
        return self.pick(b"220 mail.example.com ESMTP\r\n", b"* OK mail.example.com ready\r\n")

    @property
    def hello(self) -> str:
        """The line with which a client asks what is offered."""
        return "EHLO" if self.protocol is SMTP else "CAPABILITY"

    def offers(self, *words: bytes) -> bytes:
        """Return the answer to `hello`."""
        if self.protocol is SMTP:
            return b"".join(b"250-" + word + b"\r\n" for word in (b"mail.example.com", *words)) + b"250 8BITMIME\r\n"
        return b" ".join((b"* CAPABILITY IMAP4rev1", *words)) + b"\r\nTAG OK done\r\n"

    @property
    def logins(self) -> bytes:
        """The word of `offers` that says how to log in."""
        return self.pick(b"AUTH PLAIN LOGIN", b"SASL-IR AUTH=PLAIN")

    @property
    def login(self) -> str:
        return "AUTH PLAIN" if self.protocol is SMTP else "AUTHENTICATE PLAIN"

    def consented(self) -> list[Step]:
        """Up to the consent to STARTTLS; what comes next is the handshake."""
        go = self.pick(b"220 go ahead\r\n", b"TAG OK go ahead\r\n")
        return [self.greeting, self.hello, self.offers(b"STARTTLS"), "STARTTLS", go]

    def secured(self) -> list[Step]:
        """Greeted, and encrypted where that was asked for; what comes next is the hello under TLS."""
        return [*self.consented(), Do.STARTTLS] if self.encryption is STARTTLS else [self.greeting]

    def ready(self, *words: bytes) -> list[Step]:
        """Until the server has said what it offers: `words`, or the usual logins."""
        return [*self.secured(), self.hello, self.offers(*(words or (self.logins,)))]

    def asked(self) -> list[Step]:
        """Until the server has heard the login."""
        return [*self.ready(), self.login]

    def inside(self) -> list[Step]:
        """Until the server has said yes to the login."""
        return [*self.asked(), self.pick(b"235 2.7.0 welcome\r\n", b"TAG OK welcome\r\n")]

    def look(self) -> list[Step]:
        """What comes after a good login, to the end."""
        if self.protocol is SMTP:
            return ["QUIT", b"221 bye\r\n"]
        return [*self.folders(b'* LIST () "/" INBOX\r\nTAG OK listed\r\n')]

    def folders(self, listed: bytes, opened: bytes = b"* 3 EXISTS\r\nTAG OK opened\r\n") -> list[Step]:
        """An IMAP session after the login."""
        return ["LIST", listed, "EXAMINE", opened, "LOGOUT", b"* BYE\r\nTAG OK bye\r\n"]


Script = Callable[[Scene], Sequence[Step]]


@dataclass(frozen=True)
class Behaviour:
    """A way to be a bad server. `smtp`, `imap`: the code it must come to; None: it makes no sense there.

    `ways`: in which encryptions. `apart`: codes that differ by protocol and way. `logins`: how many AUTHs the server
    must have seen. `certificate`: a key of the zoo's contexts. `is_raw`: it speaks no TLS on its own, also where the
    client expects it from the first byte. `is_tls`: it speaks TLS from the first byte, also where nobody expects it.
    """

    name: str
    script: Script
    smtp: Code | None
    imap: Code | None
    logins: int = 0
    ways: Sequence[Encryption] = EVERY_WAY
    apart: Mapping[tuple[Protocol, Encryption], Code] = field(default_factory=dict)
    certificate: str = "good"
    is_raw: bool = False
    is_tls: bool = False
    is_token: bool = False

    def cases(self) -> list[tuple[Scene, Code]]:
        """List where it is played, and the code that each comes to."""
        return [
            (Scene(protocol, way), self.apart.get((protocol, way), code))
            for protocol, code in ((SMTP, self.smtp), (IMAP, self.imap))
            if code is not None
            for way in self.ways
        ]
