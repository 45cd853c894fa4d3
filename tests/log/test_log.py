"""What a log line says, and what it never says."""

import io
import json
import logging
from typing import Any

import pytest
import structlog

from app import log
from app.model import Secret

PASSWORD = "correct horse battery"


@pytest.fixture
def lines(own_log: None) -> io.StringIO:
    stream = io.StringIO()
    log.set_up("json", "INFO", process="worker-1", stream=stream)
    return stream


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_holds_event_fields_level_time_and_process(lines: io.StringIO) -> None:
    structlog.get_logger().info("row.checked", account_id="a1", code="ok", elapsed_ms=12, is_last=True, host=None)
    (line,) = read(lines)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "row.checked",
        "account_id": "a1",
        "code": "ok",
        "elapsed_ms": 12,
        "is_last": True,
        "host": None,
        "level": "info",
        "process": "worker-1",
    }


def test_ids_are_on_every_line_inside_and_on_none_after(lines: io.StringIO) -> None:
    with log.bound(request_id="r1"):
        structlog.get_logger().info("inside")
        logging.getLogger("some.library").warning("also inside")
    structlog.get_logger().info("after")
    inside, library, after = read(lines)
    assert inside["request_id"] == library["request_id"] == "r1"
    assert "request_id" not in after


@pytest.mark.parametrize(
    "name",
    ["password", "smtpPassword", "api_key", "x-api-key", "Authorization", "username", "email", "address", "token"],
)
def test_closed_fields_are_starred(lines: io.StringIO, name: str) -> None:
    structlog.get_logger().info("event", **{name: PASSWORD})
    assert read(lines)[0][name] == "***"


def test_secrets_are_starred_wherever_they_are(lines: io.StringIO) -> None:
    structlog.get_logger().info(
        "event", thing=Secret(PASSWORD), many=[Secret(PASSWORD)], nested={"password": PASSWORD, "port": 25}
    )
    (line,) = read(lines)
    assert line["thing"] == "***"
    assert line["many"] == ["***"]
    assert line["nested"] == {"password": "***", "port": 25}


def test_a_traceback_keeps_places_and_loses_what_it_quotes(lines: io.StringIO) -> None:
    try:
        try:
            raise ValueError(f"invalid input for query argument $2: '{PASSWORD}'")
        except ValueError as error:
            raise RuntimeError(f'Key (email)=({PASSWORD}) "{PASSWORD}" exists') from error
    except RuntimeError:
        structlog.get_logger().exception("row.failed")
    assert PASSWORD not in lines.getvalue()
    (line,) = read(lines)
    assert "test_log.py" in line["exception"]
    assert "ValueError: invalid input for query argument $2: ***" in line["exception"]
    assert "RuntimeError: Key *** *** exists" in line["exception"]


def test_text_from_strangers_cannot_colour_the_terminal(lines: io.StringIO) -> None:
    structlog.get_logger().info("event", code="\x1b[31mred\x00")
    assert read(lines)[0]["code"] == "red"


def test_mail_libraries_are_kept_from_logging_what_is_sent(lines: io.StringIO) -> None:
    logging.getLogger("aioimaplib.aioimaplib").debug("Sending: a1 LOGIN info %s", PASSWORD)
    logging.getLogger("aioimaplib.aioimaplib").info("Sending: a1 LOGIN info %s", PASSWORD)
    logging.getLogger("arq.worker").info("job('%s')", PASSWORD)
    assert lines.getvalue() == ""


def test_they_stay_quiet_at_level_debug(lines: io.StringIO) -> None:
    log.set_up("json", "DEBUG", stream=lines)
    logging.getLogger("aioimaplib").debug("Sending: a1 LOGIN info %s", PASSWORD)
    structlog.get_logger().debug("ours")
    assert [line["event"] for line in read(lines)] == ["ours"]


def test_broken_http_of_strangers_leaves_no_traceback(lines: io.StringIO) -> None:
    from aiohttp.http_exceptions import BadStatusLine

    try:
        raise BadStatusLine("\x16\x03\x01")
    except BadStatusLine:
        logging.getLogger("aiohttp.server").exception("Error handling request")
    assert lines.getvalue() == ""


def test_a_database_that_is_away_is_one_line(lines: io.StringIO) -> None:
    try:
        raise ConnectionRefusedError(111, "refused")
    except ConnectionRefusedError:
        logging.getLogger("asyncpg.pool").exception("Failed to restore the pool connection floor")
    (line,) = read(lines)
    assert "exception" not in line


@pytest.mark.usefixtures("own_log")
def test_console_is_for_people() -> None:
    stream = io.StringIO()
    log.set_up("console", "WARNING", stream=stream)
    structlog.get_logger().info("not shown")
    structlog.get_logger().warning("worker.died", worker=2)
    assert "worker.died" in stream.getvalue()
    assert "worker=2" in stream.getvalue()
    assert "not shown" not in stream.getvalue()


def test_an_error_without_words_is_its_type() -> None:
    assert log.describe_error(TimeoutError()) == "TimeoutError"
