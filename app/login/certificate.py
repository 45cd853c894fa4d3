"""I/O: what a server's certificate says, for the report."""

import asyncio
import functools
import ipaddress
import ssl
from datetime import UTC, datetime
from typing import Any, Final, cast

from cryptography import x509

from app.checked import Certificate
from app.text import clean_text

NAMES_SHOWN: Final = 20
MOST_KNOWN: Final = 1024

_WRITTEN_OUT: dict[bytes, Any] = {}


class KnowingLink(ssl.SSLObject):
    """A verified TLS connection that has each certificate written out once, for all connections that meet it.

    The loops ask for that at every handshake, and it takes OpenSSL a twentieth of the handshake's time.
    """

    def getpeercert(self, binary_form: bool = False) -> Any:
        """Return what every connection returns."""
        encoded = super().getpeercert(binary_form=True)
        if binary_form or not encoded:
            return encoded
        known = _WRITTEN_OUT.get(encoded)
        if known is None:
            if len(_WRITTEN_OUT) >= MOST_KNOWN:
                _WRITTEN_OUT.clear()
            known = _WRITTEN_OUT[encoded] = super().getpeercert()
        return known


def read_facts(transport: asyncio.BaseTransport) -> tuple[str, Certificate]:
    """Return the TLS version and the certificate of a verified connection; empty ones in clear."""
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return "", Certificate()
    peer = cast(dict[str, Any], transport.get_extra_info("peercert") or {})
    return tls.version() or "", _read_verified(peer.get("notAfter", ""), peer.get("subjectAltName", ()))


@functools.lru_cache(maxsize=MOST_KNOWN)
def _read_verified(not_after: str, names: tuple[tuple[str, str], ...]) -> Certificate:
    expires_at = datetime.fromtimestamp(ssl.cert_time_to_seconds(not_after), UTC) if not_after else None
    shown = [_plain_name(value) for kind, value in names if kind in {"DNS", "IP Address"}]
    return Certificate(tuple(shown[:NAMES_SHOWN]), expires_at)


def _plain_name(name: str) -> str:
    """Write an IPv6 address in its short form; OpenSSL prints `0:0:0:0:0:0:0:1`."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return clean_text(name, limit=255)


def read_unverified(transport: asyncio.BaseTransport) -> Certificate:
    """Return what the certificate of an unverified connection says; an empty one if it cannot be read."""
    tls = transport.get_extra_info("ssl_object")
    encoded = tls.getpeercert(binary_form=True) if tls is not None else None
    if not encoded:
        return Certificate()
    try:
        return _read_encoded(encoded)
    except ValueError:
        return Certificate()


@functools.lru_cache(maxsize=MOST_KNOWN)
def _read_encoded(encoded: bytes) -> Certificate:
    certificate = x509.load_der_x509_certificate(encoded)
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]
    except x509.ExtensionNotFound:
        subject = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        names = [str(attribute.value) for attribute in subject]
    shown = tuple(_plain_name(name) for name in names[:NAMES_SHOWN])
    return Certificate(shown, certificate.not_valid_after_utc)
