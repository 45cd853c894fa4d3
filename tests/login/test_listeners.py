"""Where the service itself listens is known by every address behind it."""

import socket

from app.login.listeners import list_own_listeners


async def test_addresses_and_names_are_known_by_the_addresses_behind_them() -> None:
    found = await list_own_listeners([("127.0.0.1", 8080), ("[::1]", 9100), ("localhost", 7000), ("192.0.2.1", 0)])
    assert {("127.0.0.1", 8080), ("::1", 9100), ("127.0.0.1", 7000)} <= found
    assert not any(port == 0 for _, port in found)


async def test_a_name_that_leads_nowhere_is_no_listener() -> None:
    assert await list_own_listeners([("nowhere.invalid", 8080)]) == frozenset()


async def test_everywhere_means_every_address_of_the_machine() -> None:
    own = {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for host in ("0.0.0.0", "::", "[::]", ""):
        found = await list_own_listeners([(host, 8080)])
        assert {("0.0.0.0", 8080), ("::", 8080)} <= found
        assert {(address, 8080) for address in own} <= found
