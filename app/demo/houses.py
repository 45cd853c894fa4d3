"""Pure: mail providers as the demonstration plays them: whom they know, and what they say to whom.

The replies are what such servers really say; TAXONOMY's collection names where each was seen.
"""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final


class Certificate(Enum):
    """What a house shows of itself."""

    GOOD = "good"
    EXPIRED = "expired"
    SELF_SIGNED = "self_signed"
    OTHER_NAME = "other_name"


@dataclass(frozen=True, slots=True)
class User:
    """One mailbox. A refusal is said to every login, right or wrong; empty: the password decides.

    `busy_logins`: so many logins on the IMAP side are put off before the first is looked at.
    """

    password: str
    smtp_refusal: str = ""
    imap_refusal: str = ""
    busy_logins: int = 0


@dataclass(frozen=True, slots=True)
class House:
    """One provider: its hosts, its words, its users by name."""

    label: str
    smtp_host: str
    imap_host: str
    smtp_greeting: str
    imap_greeting: str
    smtp_wrong: str
    imap_wrong: str
    users: dict[str, User] = field(default_factory=dict)
    smtp_mechanisms: str = "PLAIN LOGIN"
    imap_capabilities: str = "IMAP4rev1 SASL-IR AUTH=PLAIN"
    smtp_welcome: str = "235 2.7.0 Authentication successful"
    imap_welcome: str = "OK Logged in"
    folders: tuple[str, ...] = (r'(\HasNoChildren) "/" INBOX', r'(\HasNoChildren \Sent) "/" Sent')
    certificate: Certificate = Certificate.GOOD
    imap_busy: str = (
        "NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)"
    )


@dataclass(frozen=True, slots=True)
class Town:
    """Where everybody is: ports by (house's label, protocol, encryption), and what a client needs to know."""

    ports: dict[tuple[str, str, str], int]
    silent_port: int
    closed_port: int
    web_port: int
    name_server: str
    ca_file: Path

    def all_ports(self) -> frozenset[int]:
        return frozenset({*self.ports.values(), self.silent_port, self.closed_port, self.web_port})


GOOGLE: Final = House(
    label="google",
    smtp_host="smtp.gmail.test",
    imap_host="imap.gmail.test",
    smtp_greeting="220 smtp.gmail.test ESMTP a640c23a62f3a-b76 - gsmtp",
    imap_greeting="* OK Gimap ready for requests from 192.0.2.10 a640c23a62f3a",
    smtp_mechanisms="LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER",
    imap_capabilities="IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN SASL-IR AUTH=XOAUTH2 AUTH=PLAIN",
    smtp_welcome="235 2.7.0 Accepted",
    imap_welcome="OK sales authenticated (Success)",
    smtp_wrong=(
        "535-5.7.8 Username and Password not accepted. For more information, go to\n"
        "535 5.7.8  https://support.google.com/mail/?p=BadCredentials a640c23a62f3a - gsmtp"
    ),
    imap_wrong="NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",
    folders=(
        r'(\HasNoChildren) "/" INBOX',
        r'(\HasChildren \Noselect) "/" "[Gmail]"',
        r'(\All \HasNoChildren) "/" "[Gmail]/All Mail"',
        r'(\HasNoChildren \Sent) "/" "[Gmail]/Sent Mail"',
    ),
    users={
        "info@northwind.test": User("abcdefghijklmnop"),
        "sales@northwind.test": User("abcdefghijklmnop"),
        "team@northwind.test": User(
            "spring-2026",
            smtp_refusal=(
                "534-5.7.9 Application-specific password required. For more information, go to\n"
                "534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor a640c23a62f3a - gsmtp"
            ),
            imap_refusal=(
                "NO [ALERT] Application-specific password required: "
                "https://support.google.com/accounts/answer/185833 (Failure)"
            ),
        ),
        "orders@northwind.test": User(
            "qrstuvwxyzabcdef",
            imap_refusal=(
                "NO [ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page "
                "and enable your account for IMAP access. (Failure)"
            ),
        ),
    },
)

MICROSOFT: Final = House(
    label="microsoft",
    smtp_host="smtp.office365.test",
    imap_host="outlook.office365.test",
    smtp_greeting="220 FR4P281CA0001.outlook.office365.test Microsoft ESMTP MAIL Service ready",
    imap_greeting="* OK The Microsoft Exchange IMAP4 service is ready. [RgBSADQAUAAyADgAMQBDAEEA]",
    smtp_mechanisms="LOGIN XOAUTH2",
    imap_capabilities="IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE",
    smtp_welcome="235 2.7.0 Authentication successful",
    imap_welcome="OK AUTHENTICATE completed.",
    smtp_wrong=(
        "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. "
        "[FR4P281CA0001.DEUP281.PROD.OUTLOOK.COM]"
    ),
    imap_wrong="NO AUTHENTICATE failed.",
    users={
        "info@contoso.test": User("Winter!2026"),
        "sales@contoso.test": User(
            "Winter!2026",
            smtp_refusal=(
                "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. "
                "Visit https://aka.ms/smtp_auth_disabled for more information. "
                "[FR4P281CA0001.DEUP281.PROD.OUTLOOK.COM]"
            ),
        ),
        "billing@contoso.test": User(
            "Winter!2026",
            smtp_refusal=(
                "535 5.7.139 Authentication unsuccessful, basic authentication is disabled. "
                "[FR4P281CA0001.DEUP281.PROD.OUTLOOK.COM]"
            ),
        ),
        "former@contoso.test": User(
            "Winter!2026",
            smtp_refusal="535 5.7.139 Authentication unsuccessful, account locked. Contact your administrator.",
        ),
    },
)

_POSTFIX_WRONG: Final = "535 5.7.8 Error: authentication failed: (reason unavailable)"
_DOVECOT_WRONG: Final = "NO [AUTHENTICATIONFAILED] Authentication failed."


def _own_server(label: str, domain: str, certificate: Certificate = Certificate.GOOD, **users: User) -> House:
    """Return a company's own Postfix and Dovecot."""
    host = f"mail.{domain}"
    return House(
        label=label,
        smtp_host=host,
        imap_host=host,
        smtp_greeting=f"220 {host} ESMTP Postfix (Debian/GNU)",
        imap_greeting="* OK Dovecot (Debian) ready.",
        imap_capabilities="IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ AUTH=PLAIN",
        smtp_wrong=_POSTFIX_WRONG,
        imap_wrong=_DOVECOT_WRONG,
        certificate=certificate,
        users={f"{name}@{domain}": user for name, user in users.items()},
    )


OWN: Final = _own_server(
    "own",
    "harbour.test",
    info=User("tide-tables-42"),
    sales=User("Grüße aus dem Hafen"),
    support=User("tide-tables-42"),
    quotes=User("tide-tables-42"),
    office=User("tide-tables-42"),
    newsletter=User("tide-tables-42", busy_logins=1),
    archive=User("tide-tables-42"),
)
EXPIRED: Final = _own_server("expired", "forgotten.test", Certificate.EXPIRED, info=User("secret-of-2019"))
UNTRUSTED: Final = _own_server("untrusted", "homemade.test", Certificate.SELF_SIGNED, info=User("secret-of-2019"))
SHARED: Final = _own_server("shared", "tenant.test", Certificate.OTHER_NAME, info=User("secret-of-2019"))

HOUSES: Final = (GOOGLE, MICROSOFT, OWN, EXPIRED, UNTRUSTED, SHARED)

SILENT_HOST: Final = "mail.silent.test"
CLOSED_HOST: Final = "mail.closed.test"
WEB_HOST: Final = "www.harbour.test"
INNER_HOST: Final = "mail.intranet.test"
INNER_ADDRESS: Final = "10.20.30.40"
NO_HOST: Final = "mial.harbour.test"
SHARED_NAMES: Final = ("*.shared-hosting.test", "shared-hosting.test")
