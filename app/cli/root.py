"""I/O: the command's entry: finds the module of a subcommand, reads the settings, ends with one clear line.

Exit codes (CONTRACT section 7): 0 all well, 1 some mailboxes failed or the command did, 2 usage or settings,
3 the service cannot be reached. 130: stopped by Ctrl-C.
"""

import asyncio
import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Final, NoReturn, TypeVar

import click

from app import __version__
from app.log import describe_error
from app.memory import settle_for_long
from app.settings import Settings, SettingsError, variable_name

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
EXIT_INTERRUPTED: Final = 130

COMMANDS: Final[Mapping[str, str]] = {
    "demo": "app.cli.demo",
    "up": "app.cli.service",
    "api": "app.cli.service",
    "worker": "app.cli.service",
    "migrate": "app.cli.service",
    "settings": "app.cli.service",
    "keys": "app.cli.keys",
    "connect": "app.cli.remote",
    "status": "app.cli.remote",
    "report": "app.cli.remote",
    "accounts": "app.cli.accounts",
    "reconnect": "app.cli.accounts",
    "check": "app.cli.check",
    "explain": "app.cli.explain",
}
"""Subcommands in the order in which help lists them; each module is imported when its command is called."""

T = TypeVar("T")


class CommandError(Exception):
    """A command cannot go on. The text is the one line that is shown."""

    def __init__(self, message: str, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class _Lazy(click.Group):
    """Imports the module of the command that is called, and no other: the command line answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name]), f"{cmd_name}_command")
        return command


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Settings are environment variables: bulk-connect settings",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Connect mailboxes in bulk: every SMTP and IMAP login is tried, and what fails is explained."""


def main() -> NoReturn:
    """Run the command line and exit."""
    sys.excepthook = _tell_defect
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; nothing but the exit code is left of an error."""
    try:
        done = cli.main(arguments, prog_name="bulk-connect", standalone_mode=False)
        _flush()
        return done if isinstance(done, int) else 0
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.UsageError as error:
        error.show()
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        _say("Stopped.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would complain once more when it closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except click.ClickException as error:
        _say(error.format_message())
        return error.exit_code
    except SettingsError as error:
        _say("\n".join(error.problems))
        return EXIT_USAGE
    except CommandError as error:
        _say(str(error))
        return error.exit_code
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or type(error).__name__)
        return EXIT_FAILED


def read_settings(**overrides: object) -> Settings:
    """Read the settings; options of a command (None: not given) stand in for their variables.

    Raises:
        SettingsError: naming every variable that is wrong.
    """
    given = {variable_name(name): str(value) for name, value in overrides.items() if value is not None}
    return Settings.from_env({**os.environ, **given})


def environ() -> dict[str, str]:
    """Return the environment that processes of ours inherit; it is read here and in read_settings only."""
    return dict(os.environ)


def run_async(work: Callable[[], Coroutine[Any, Any, T]], *, fast: bool = False) -> T:
    """Run one coroutine to its end. `fast`: on uvloop, where it is installed, and for long (app/memory.py)."""
    factory = None
    if fast:
        settle_for_long()
        with contextlib.suppress(ImportError):
            import uvloop

            factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work())


def _tell_defect(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tell a defect of ours in one line: what, and where; its own words may quote what must not be shown."""
    places = traceback.extract_tb(trace)
    ours = [place for place in places if "site-packages" not in place.filename] or places
    where = f" at {ours[-1].filename}:{ours[-1].lineno}" if ours else ""
    _say(f"this is a defect: {describe_error(error) or kind.__name__}{where}")


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        click.echo(f"bulk-connect: {text}", err=True)


def _flush() -> None:
    """Meet a broken pipe here rather than at the interpreter's end."""
    sys.stdout.flush()


__all__ = [
    "EXIT_FAILED",
    "EXIT_UNREACHABLE",
    "EXIT_USAGE",
    "CommandError",
    "environ",
    "main",
    "read_settings",
    "run",
    "run_async",
]
