"""A certificate that many connections meet is written out once, and no connection is told another's."""

import asyncio
import ssl
from typing import Any

import pytest

from app.login import certificate
from app.login.certificate import KnowingLink
from app.login.tls import open_contexts
from app.model import Protocol
from tests.login.test_resumption import greeting
from tests.real.certificates import Authority


async def meet(context: ssl.SSLContext, port: int, name: str) -> Any:
    """Return the certificate as the loop tells of it."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    found = writer.get_extra_info("peercert")
    writer.transport.abort()
    return found


def names_of(found: Any) -> list[str]:
    return [value for _, value in found["subjectAltName"]]


async def test_connections_to_one_server_share_what_its_certificate_says(authority: Authority) -> None:
    context = open_contexts(str(authority.ca_file)).verify[Protocol.IMAP]
    async with greeting(authority, "shared", "mail.example.com") as port:
        first, second = [await meet(context, port, "mail.example.com") for _ in range(2)]
    assert first is second
    assert names_of(first) == ["mail.example.com"]


async def test_servers_of_one_name_are_told_apart(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "MOST_KNOWN", 2)  # however few are kept
    context = open_contexts(str(authority.ca_file)).verify[Protocol.SMTP]
    async with (
        greeting(authority, "one", "mail.example.com", "one.example.com") as one,
        greeting(authority, "two", "mail.example.com", "two.example.com") as two,
        greeting(authority, "three", "mail.example.com", "three.example.com") as three,
    ):
        ports = {"one": one, "two": two, "three": three}
        for label in ["one", "two", "one", "three", "two", "one"]:
            found = await meet(context, ports[label], "mail.example.com")
            assert names_of(found) == ["mail.example.com", f"{label}.example.com"]
            assert len(certificate._WRITTEN_OUT) <= 2


async def test_the_certificate_itself_is_given_as_it_came(authority: Authority) -> None:
    context = open_contexts(str(authority.ca_file)).verify[Protocol.IMAP]
    async with greeting(authority, "as it came", "mail.example.com") as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="mail.example.com")
        link = writer.get_extra_info("ssl_object")
        assert isinstance(link, KnowingLink)
        encoded = link.getpeercert(binary_form=True)
        writer.transport.abort()
    assert ssl.DER_cert_to_PEM_cert(encoded or b"") in (authority.folder / "as it came.pem").read_text()
