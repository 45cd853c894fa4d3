"""I/O (standard error): how log lines look, which ids they carry, and what they never say.

One line an event: a name and fields. `console` is for people, `json` for machines; both come from the same
events, also those of libraries. The censor is the last station before a line is written: fields whose name
promises something secret or personal are starred, a traceback keeps its places and loses what it quotes.
"""

import logging
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO

import structlog
from structlog.contextvars import bound_contextvars
from structlog.types import EventDict, Processor, WrappedLogger

from app.model import Secret
from app.text import STARS, clean_text

MESSAGE_LIMIT_BYTES: Final = 500

_CLOSED_FIELDS: Final = re.compile(
    r"password|passwd|secret|token|credential|authorization|api[_-]?key|cookie|username|email|address$|database_url|redis_url",
    re.IGNORECASE,
)
_OPEN_FIELDS: Final = frozenset({"metrics_address", "listen_address"})

_QUIET: Final = {
    # Below WARNING the mail libraries log what is sent, arq what jobs are given.
    "aioimaplib": logging.WARNING,
    "aiosmtplib": logging.WARNING,
    "mail.log": logging.WARNING,
    "arq": logging.WARNING,
    # One line for each call; the API logs its own.
    "aiohttp.access": logging.WARNING,
    "asyncio": logging.WARNING,
    "obstore": logging.WARNING,
    "dns": logging.WARNING,
}

_QUOTED: Final = re.compile(r"""b?'[^'\n]*'|"[^"\n]*"|\([^()\n]*\)=\([^()\n]*\)""")


def set_up(log_format: str, log_level: str, *, process: str = "", stream: TextIO | None = None) -> None:
    """Send all log lines to `stream` (standard error unless given). `process`: its name on every line; empty: none.

    `log_format`: console, json, or auto: console where the stream is a terminal. A second call replaces the first.
    """
    stream = stream or sys.stderr
    is_console = log_format == "console" or (log_format == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_process(process),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[log_level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=0)
        if is_console
        else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(stream)
    handler.addFilter(_drop_noise)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _render_exception,
                censor,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(log_level)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, logging.getLevelNamesMapping()[log_level]))


@contextmanager
def bound(**ids: str) -> Iterator[None]:
    """Put `ids` (request_id, worker_id, ...) on every line logged inside."""
    with bound_contextvars(**ids):
        yield


def censor(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Star what no log line may say, and make strangers' text safe for a terminal."""
    return {key: _censor_value(key, value) for key, value in event.items()}


def _censor_value(key: str, value: Any) -> Any:
    if isinstance(value, Secret) or (_CLOSED_FIELDS.search(key) and key not in _OPEN_FIELDS):
        return STARS
    if isinstance(value, str):
        limit = 20 * MESSAGE_LIMIT_BYTES if key == "exception" else 4 * MESSAGE_LIMIT_BYTES
        return clean_text(value, limit=limit)
    if isinstance(value, dict):
        return {name: _censor_value(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_censor_value(key, inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return clean_text(str(value), limit=MESSAGE_LIMIT_BYTES)


def describe_error(error: BaseException) -> str:
    """Return an exception's type and words; what it quotes is starred, since libraries quote their input."""
    words = _QUOTED.sub(STARS, clean_text(str(error), limit=MESSAGE_LIMIT_BYTES))
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _render_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by a traceback: places, and each exception of the chain as `describe_error` has it."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    error = found[1] if isinstance(found, tuple) else found
    if not isinstance(error, BaseException):
        return event
    lines: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        lines += [
            f"{place.filename}:{place.lineno} {place.name}" for place in traceback.extract_tb(error.__traceback__)
        ]
        lines.append(describe_error(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    event["exception"] = "\n".join(lines)
    return event


def _name_process(process: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if process:
            event.setdefault("process", process)
        return event

    return add


def _drop_noise(record: logging.LogRecord) -> bool:
    """Keep strangers' broken HTTP, and tracebacks that say no more than "PostgreSQL is away", out of the log."""
    if record.name == "aiohttp.server" and record.levelno <= logging.ERROR:
        error = record.exc_info[1] if record.exc_info else None
        # aiohttp logs every malformed call with a traceback; the caller has got a 400.
        return type(error).__name__ not in {"BadStatusLine", "BadHttpMessage", "LineTooLong", "InvalidHeader"} and not (
            type(error).__module__.startswith("aiohttp.http_exceptions")
        )
    if record.name.startswith("asyncpg") and record.exc_info:
        record.exc_info = None
    return True
