"""Pure: all the bad servers there are."""

from collections.abc import Iterator
from typing import Final

from app.codes import Code
from tests.fakes.behaviour import Behaviour, Scene
from tests.fakes.endings import ENDINGS
from tests.fakes.floods import FLOODS
from tests.fakes.grammar import GRAMMAR
from tests.fakes.greetings import GREETINGS
from tests.fakes.handshakes import HANDSHAKES
from tests.fakes.logins import LOGINS
from tests.fakes.mechanisms import MECHANISMS
from tests.fakes.silence import SILENCE
from tests.fakes.strangers import STRANGERS

ZOO: Final[tuple[Behaviour, ...]] = (
    *SILENCE,
    *ENDINGS,
    *FLOODS,
    *STRANGERS,
    *GREETINGS,
    *HANDSHAKES,
    *LOGINS,
    *MECHANISMS,
    *GRAMMAR,
)


def list_cases() -> Iterator[tuple[Behaviour, Scene, Code]]:
    """Yield every behaviour in every protocol and way of encryption that it has."""
    for behaviour in ZOO:
        for scene, code in behaviour.cases():
            yield behaviour, scene, code
