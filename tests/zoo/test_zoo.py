"""Every bad server, in every protocol and encryption that it has, comes to its code and harms nobody."""

import asyncio
import logging

import pytest

from app.model import Encryption, Protocol
from app.text import list_needles
from tests.fakes.behaviour import PASSWORD, USERNAME, Behaviour
from tests.fakes.zoo import ZOO, list_cases
from tests.zoo.faults import list_faults
from tests.zoo.keeper import Ground, look


@pytest.mark.usefixtures("calm")
@pytest.mark.parametrize("behaviour", ZOO, ids=lambda behaviour: behaviour.name.replace(" ", "-"))
async def test_bad_server_gets_its_code(
    behaviour: Behaviour, grounds: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sights = await asyncio.gather(*[look(behaviour, scene, code, grounds) for scene, code in behaviour.cases()])
    assert {sight.label: faults for sight in sights if (faults := list_faults(sight))} == {}
    assert [needle for needle in list_needles(USERNAME, PASSWORD) if needle in caplog.text] == []


def test_the_zoo_is_large_and_each_has_a_name_of_its_own() -> None:
    assert len({behaviour.name for behaviour in ZOO}) == len(ZOO) >= 45
    met = {(scene.protocol, scene.encryption) for _, scene, _ in list_cases()}
    assert met == {(protocol, way) for protocol in Protocol for way in Encryption}
    for protocol, way in met:
        assert sum((scene.protocol, scene.encryption) == (protocol, way) for _, scene, _ in list_cases()) >= 45
