"""Query parameters and cursors: what is read, what is refused."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from app.api.parameters import (
    Page,
    parse_cursor,
    read_id,
    read_number,
    read_options,
    read_page,
    read_query,
    read_switch,
    read_wait,
    render_cursor,
)
from app.api.problem import Problem
from app.model import OnExisting, Options, Save


def test_nothing_said_means_the_defaults() -> None:
    assert read_options({}) == Options()
    assert read_page({}) == Page(100, "", 0)
    assert read_wait({}) == 0


def test_everything_said_is_heard() -> None:
    said = {"save": "all", "onExisting": "skip", "autoCorrect": "FALSE", "strict": "1", "name": "  Spring  "}
    assert read_options(said) == Options(Save.ALL, OnExisting.SKIP, auto_correct=False, is_strict=True, name="Spring")
    assert read_page({"limit": "1000", "offset": "7", "cursor": "x"}) == Page(1000, "x", 7)


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("0", 0), ("0.5", 0.5), ("30", 30), ("600", 60)])
def test_a_wait_has_an_end(text: str, seconds: float) -> None:
    assert read_wait({"wait": text}) == seconds


@pytest.mark.parametrize(("text", "value"), [("", True), ("true", True), ("False", False), ("0", False), ("1", True)])
def test_switches_are_read_as_people_write_them(text: str, value: bool) -> None:
    assert read_switch({"on": text}, "on", default=True) is value


def test_an_empty_word_is_refused_like_any_other_wrong_one() -> None:
    with pytest.raises(Problem) as caught:
        read_options({"save": ""})
    assert caught.value.status == 400


@pytest.mark.parametrize("text", ["+5", "5.0", "5e1", " 5", "٥", "9" * 40, "0" * 40 + "5"])
def test_numbers_are_plain_digits(text: str) -> None:
    with pytest.raises(Problem):
        read_number({"limit": text}, "limit", 1, 1, 10)


def test_the_first_unknown_name_is_named_with_the_known_ones() -> None:
    with pytest.raises(Problem) as caught:
        read_query(MultiDict({"limit": "1", "colour": "blue"}), {"limit", "cursor"})
    assert caught.value.detail == "colour is not a parameter here. Known: cursor, limit."
    with pytest.raises(Problem) as caught:
        read_query(MultiDict({"colour": "blue"}), ())
    assert "Known: none." in caught.value.detail


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.uuids())  # noqa: DTZ001 - strategies want it bare
def test_a_cursor_leads_back_to_its_request(moment: datetime, request_id: UUID) -> None:
    aware = moment.replace(tzinfo=UTC)
    assert parse_cursor(render_cursor(aware, request_id)) == (aware, request_id)


@given(st.text())
def test_any_other_cursor_is_refused_or_leads_to_some_time(text: str) -> None:
    try:
        moment, request_id = parse_cursor(text)
    except Problem as problem:
        assert problem.status == 400
    else:
        assert moment > datetime(1970, 1, 1, tzinfo=UTC) - timedelta(1)
        assert isinstance(request_id, UUID)


def test_ids_are_read_as_they_are_written_and_nothing_else() -> None:
    some = uuid4()
    assert read_id(str(some)) == some
    assert read_id("1") is None
    assert read_id("") is None
