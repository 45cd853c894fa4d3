"""The address guard: which addresses may be dialled. One line for each network that is nobody's mail host."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.egress import CLOSED_NETWORKS, Policy, is_let_through, refusal, unwrap
from app.settings import MAIL_PORTS, Settings

NOBODY = Policy()

# First address, last address, what it is for; each from the document that sets it aside.
CLOSED = [
    ("0.0.0.0", "0.255.255.255", "RFC 1122"),
    ("10.0.0.0", "10.255.255.255", "RFC 1918"),
    ("100.64.0.0", "100.127.255.255", "RFC 6598"),
    ("127.0.0.0", "127.255.255.255", "RFC 1122"),
    ("169.254.0.0", "169.254.255.255", "RFC 3927"),
    ("172.16.0.0", "172.31.255.255", "RFC 1918"),
    ("192.0.0.0", "192.0.0.255", "RFC 6890"),
    ("192.0.2.0", "192.0.2.255", "RFC 5737"),
    ("192.31.196.0", "192.31.196.255", "RFC 7535"),
    ("192.52.193.0", "192.52.193.255", "RFC 7450"),
    ("192.88.99.0", "192.88.99.255", "RFC 7526"),
    ("192.168.0.0", "192.168.255.255", "RFC 1918"),
    ("192.175.48.0", "192.175.48.255", "RFC 7534"),
    ("198.18.0.0", "198.19.255.255", "RFC 2544"),
    ("198.51.100.0", "198.51.100.255", "RFC 5737"),
    ("203.0.113.0", "203.0.113.255", "RFC 5737"),
    ("224.0.0.0", "239.255.255.255", "RFC 5771"),
    ("240.0.0.0", "255.255.255.255", "RFC 1112"),
    ("168.63.129.16", "168.63.129.16", "Azure"),
    ("::", "::", "RFC 4291, section 2.5.2"),
    ("::1", "::1", "RFC 4291, section 2.5.3"),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "RFC 8215"),
    ("100::", "100::ffff:ffff:ffff:ffff", "RFC 6666"),
    ("100:0:0:1::", "100::1:ffff:ffff:ffff:ffff", "RFC 9780"),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 2928"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 3849"),
    ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "RFC 7534"),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 9637"),
    ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 9602"),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 4193"),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 4291, section 2.5.6"),
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 3879"),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 4291, section 2.7"),
]

# Neighbours of closed networks, and what is plainly public.
OPEN = [
    "1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0",
    "192.31.195.255", "192.88.98.255", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
    "198.51.99.255", "203.0.112.255", "203.0.114.0", "223.255.255.255", "168.63.129.15", "168.63.129.17",
    "2001:200::", "2001:db7:ffff::", "2001:db9::", "2606:4700::1111", "2a00:1450:4001::1b", "2620:4f:7fff::",
    "3ffe:ffff::", "2000::",
]  # fmt: skip

# Addresses that stand for 127.0.0.1, and those that stand for 8.8.8.8, in the same order.
LOOPBACK_INSIDE = ["::ffff:127.0.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::"]
PUBLIC_INSIDE = ["::ffff:8.8.8.8", "::8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::"]


@pytest.mark.parametrize(("first", "last", "source"), CLOSED)
def test_networks_that_are_nobodys_mail_host_are_closed(first: str, last: str, source: str) -> None:
    for address in (first, last):
        assert source in refusal(address, 25, NOBODY)
        assert refusal(address, 25, NOBODY).startswith(f"{address} is ")


def test_every_network_of_the_table_has_its_line_and_its_source() -> None:
    listed = {(str(network[0]), str(network[-1])) for network, _ in CLOSED_NETWORKS}
    assert listed == {(str(ipaddress.ip_address(first)), str(ipaddress.ip_address(last))) for first, last, _ in CLOSED}
    assert all("RFC" in what or "Azure" in what for _, what in CLOSED_NETWORKS)


@pytest.mark.parametrize("address", OPEN)
def test_public_addresses_may_be_dialled(address: str) -> None:
    assert refusal(address, 993, NOBODY) == ""


@pytest.mark.parametrize("address", ["1000::1", "4000::1", "200::1", "a000::1", "e000::1"])
def test_what_ipv6_has_not_handed_out_is_closed(address: str) -> None:
    assert "outside the public part of IPv6" in refusal(address, 25, NOBODY)


@pytest.mark.parametrize("address", LOOPBACK_INSIDE)
def test_an_ipv4_address_inside_is_judged_as_itself(address: str) -> None:
    assert "loopback" in refusal(address, 25, NOBODY)
    inner = ipaddress.ip_network("127.0.0.0/8")
    assert refusal(address, 25, Policy(allow_networks=(inner,))) == ""


@pytest.mark.parametrize("address", PUBLIC_INSIDE)
def test_a_public_address_inside_may_be_dialled(address: str) -> None:
    assert refusal(address, 25, NOBODY) == ""
    assert unwrap(ipaddress.ip_address(address)) == (ipaddress.IPv4Address("8.8.8.8"),)


@pytest.mark.parametrize("address", ["fe80::1%eth0", "::1%1", "::ffff:127.0.0.1%1"])
def test_a_zone_hides_nothing(address: str) -> None:
    assert refusal(address, 25, NOBODY).startswith(f"{address} is ")


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "0x7f000001", "2130706433", "127.0.0.1 ", "1.2.3.4/32", "[::1]"]
)
def test_only_addresses_are_judged(text: str) -> None:
    assert refusal(text, 25, NOBODY) == "That is not an IP address."


@pytest.mark.parametrize("port", sorted(MAIL_PORTS))
def test_mail_ports_may_be_dialled(port: int) -> None:
    assert refusal("8.8.8.8", port, NOBODY) == ""


@pytest.mark.parametrize("port", [0, 1, 22, 80, 110, 443, 3306, 5432, 6379, 8080, 65535])
def test_other_ports_may_not(port: int) -> None:
    assert refusal("8.8.8.8", port, NOBODY) == f"Port {port} is none that mail servers use."
    assert refusal("8.8.8.8", port, Policy(allow_ports=frozenset({port}))) == ""


def test_other_callers_have_usual_ports_of_their_own() -> None:
    assert refusal("8.8.8.8", 443, NOBODY, {443}) == ""
    assert refusal("8.8.8.8", 25, NOBODY, {443}) != ""


def test_the_operator_opens_networks() -> None:
    policy = Policy.from_settings(Settings(allow_networks=(ipaddress.ip_network("10.1.0.0/16"),)))
    assert refusal("10.1.2.3", 25, policy) == ""
    assert refusal("10.2.2.3", 25, policy) != ""
    assert refusal("fd00::1", 25, policy) != ""
    policy = Policy(allow_networks=(ipaddress.ip_network("fd00::/8"),))
    assert refusal("fd00::1", 25, policy) == ""
    assert refusal("10.1.2.3", 25, policy) != ""


def test_this_service_itself_is_never_dialled_whatever_is_open() -> None:
    everything = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    settings = Settings(allow_networks=everything, allow_ports=frozenset({8080}))
    policy = Policy.from_settings(settings, [("127.0.0.1", 8080)])
    assert refusal("127.0.0.1", 8080, policy) == "127.0.0.1, port 8080, is this service itself."
    assert refusal("::ffff:127.0.0.1", 8080, policy) != ""
    assert refusal("127.0.0.1", 25, policy) == ""
    assert refusal("127.0.0.2", 8080, policy) == ""


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::"])
def test_a_service_that_listens_everywhere_is_not_dialled_by_any_name_of_loopback(everywhere: str) -> None:
    everything = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    policy = Policy(everything, frozenset({8080}), frozenset({(everywhere, 8080)}))
    for address in ("127.0.0.1", "127.8.9.10", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"):
        assert "this service itself" in refusal(address, 8080, policy)
        assert refusal(address, 25, policy) == ""
    assert refusal("8.8.8.8", 8080, policy) == ""


@given(st.ip_addresses(v=4))
def test_every_form_of_an_ipv4_address_is_judged_alike(address: ipaddress.IPv4Address) -> None:
    is_open = refusal(str(address), 25, NOBODY) == ""
    number = int(address)
    forms = [ipaddress.IPv6Address(0xFFFF << 32 | number), ipaddress.IPv6Address(0x64FF9B << 96 | number)]
    forms += [ipaddress.IPv6Address(0x2002 << 112 | number << 80), ipaddress.IPv6Address(0xFFFF << 48 | number)]
    for form in forms:
        assert (refusal(str(form), 25, NOBODY) == "") == is_open


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_open(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        assert refusal(str(address), 25, NOBODY) != ""


@pytest.mark.parametrize(
    ("address", "is_let"), [("10.1.2.3", True), ("10.2.0.1", False), ("fd00::1", False), ("mail.example.com", False)]
)
def test_only_what_lies_in_the_operators_networks_is_let_through(address: str, is_let: bool) -> None:
    assert is_let_through(address, Policy(allow_networks=(ipaddress.ip_network("10.1.0.0/16"),))) is is_let
