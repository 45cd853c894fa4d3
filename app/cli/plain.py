"""I/O: errors of the house, told in one line each."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.cli.root import EXIT_FAILED, EXIT_UNREACHABLE, CommandError
from app.embedded import EmbeddedError
from app.seal import SealError
from app.store.db import StoreError, Unavailable
from app.supervise import StartError


@contextmanager
def plain_errors(*others: type[Exception]) -> Iterator[None]:
    """Turn what the house can raise into a CommandError. `others`: errors besides, whose text says it all.

    Raises:
        CommandError: whatever it was.
    """
    told: tuple[type[Exception], ...] = (StoreError, SealError, EmbeddedError, *others)
    try:
        yield
    except Unavailable:
        text = "PostgreSQL cannot be reached. Is DATABASE_URL right, and does the server run?"
        raise CommandError(text, EXIT_UNREACHABLE) from None
    except told as error:
        text = str(error) or (type(error).__doc__ or type(error).__name__).splitlines()[0]
        raise CommandError(text, EXIT_FAILED) from None
    except StartError as error:
        raise CommandError(str(error), error.exit_code) from None
