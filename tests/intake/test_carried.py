"""What is carried along comes back as it was given, within limits, and no secret is among it."""

import msgspec
import pytest

from app.intake.carried import REMEMBERED_CHARACTERS, REMEMBERED_NAMES, _remember, read_carried
from app.intake.fields import EXTRA_COUNT_LIMIT, EXTRA_LIMIT, METADATA_LIMIT, TEXT_LIMIT
from app.intake.reading import Reading
from app.model import RowError


def carry(**values: object) -> tuple[dict[str, object], list[RowError]]:
    reading = Reading(1, values)
    return read_carried(reading)[0], reading.errors


def read_extra(reading: Reading) -> dict[str, str]:
    return read_carried(reading)[1]


def test_each_kind_is_kept_as_what_it_is() -> None:
    details, errors = carry(
        fromName=" Sales ",
        signature="Best regards,\nSales",
        dailyLimit="50.0",
        rampUpPercent="1.5",
        active="yes",
        tags=["a", "b"],
        metadata={"team": "north"},
        smtpHost="smtp.example.com",
        unknown="x",
    )
    assert errors == []
    assert details == {
        "fromName": "Sales",
        "signature": "Best regards,\nSales",
        "dailyLimit": 50,
        "rampUpPercent": 1.5,
        "active": True,
        "tags": ["a", "b"],
        "metadata": {"team": "north"},
    }


def test_names_of_any_length_are_carried_and_long_ones_not_remembered() -> None:
    _remember.cache_clear()
    for _ in range(2):
        carried = read_carried(Reading(1, {"fromName": "Sales", "x" * 2 * REMEMBERED_CHARACTERS: "y", "Team": "north"}))
        assert carried == ({"fromName": "Sales"}, {"x" * TEXT_LIMIT: "y", "Team": "north"})
        many = {f"column {number}": "" for number in range(REMEMBERED_NAMES + 1)}
        assert read_carried(Reading(1, many)) == ({}, many)
    assert _remember.cache_info().currsize == 0
    assert read_carried(Reading(1, {"fromName": "Sales"})) == ({"fromName": "Sales"}, {})
    assert _remember.cache_info().currsize == 1


def test_of_names_that_become_the_same_the_last_counts() -> None:
    assert read_extra(Reading(1, {"a\0": "1", "b": "2", "a\ufffd": "3"})) == {"a\ufffd": "3", "b": "2"}


def test_what_is_empty_is_left_out_and_false_and_zero_are_not() -> None:
    details, errors = carry(fromName="", replyTo=None, dailyLimit="", tags=[], metadata={}, bcc=" ")
    assert (details, errors) == ({}, [])
    assert carry(active=False, dailyLimit=0, rampUpPercent=0) == (
        {"active": False, "dailyLimit": 0, "rampUpPercent": 0.0},
        [],
    )
    assert carry(tags=None, metadata=None) == carry(tags="", metadata="") == ({}, [])


@pytest.mark.parametrize("tags", ["a; b", "a,b", "a|b|", ["a", " b ", ""]])
def test_tags_may_be_a_list_or_one_text(tags: object) -> None:
    assert carry(tags=tags) == ({"tags": ["a", "b"]}, [])


@pytest.mark.parametrize("tags", [["a", 1], {"a": "b"}, 5])
def test_tags_that_are_no_texts_are_told(tags: object) -> None:
    details, (error,) = carry(tags=tags)
    assert (details, error.field, error.code) == ({}, "tags", "type")


@pytest.mark.parametrize("metadata", ["team north", ["team"], 5, True])
def test_metadata_that_is_no_object_is_told(metadata: object) -> None:
    details, (error,) = carry(metadata=metadata)
    assert (details, error.field, error.code) == ({}, "metadata", "type")


def test_metadata_beyond_the_limit_is_told() -> None:
    details, (error,) = carry(metadata={"note": "x" * METADATA_LIMIT})
    assert (details, error.field, error.code) == ({}, "metadata", "too_long")


def test_metadata_keeps_its_shape_and_loses_its_secrets() -> None:
    given = {
        "count": 1,
        "share": 0.5,
        "ok": True,
        "nothing": None,
        "api key": "hunter2",
        "list": [{"token": "hunter2", "a": "b\x00"}, ["c"]],
    }
    assert carry(metadata=given) == (
        {
            "metadata": {
                "count": 1,
                "share": 0.5,
                "ok": True,
                "nothing": None,
                "list": [{"a": "b\ufffd"}, ["c"]],
            }
        },
        [],
    )
    assert carry(metadata={"password": "hunter2"}) == ({}, [])


def test_what_is_nested_too_deeply_is_dropped() -> None:
    details, _ = carry(metadata={"1": {"2": {"3": {"4": {"5": {"6": "deep"}}}}}})
    assert details == {"metadata": {"1": {"2": {"3": {"4": {"5": None}}}}}}
    details, _ = carry(metadata={"1": [[[[["deep"]]]]]})
    assert details == {"metadata": {"1": [[[[None]]]]}}


def test_numbers_that_no_database_holds_are_kept_as_text() -> None:
    kept = {"large": 2**53, "most": 2**64 - 1, "least": -(2**63)}
    details, errors = carry(metadata={**kept, "huge": 10**400, "over": 2**64, "under": -(2**63) - 1})
    assert errors == []
    text = {"huge": str(10**400), "over": str(2**64), "under": str(-(2**63) - 1)}
    assert details == {"metadata": {**kept, **text}}
    assert msgspec.json.encode(details)


def test_unknown_columns_keep_their_names_and_cells() -> None:
    reading = Reading(1, {"Cost centre": "4711", "VIP": True, "Old": False, "Weight": 1.5, "Gone": None, "bcc": "a"})
    assert read_extra(reading) == {"Cost centre": "4711", "VIP": "true", "Old": "false", "Weight": "1.5", "Gone": ""}


def test_a_row_of_known_fields_has_no_extra() -> None:
    assert read_extra(Reading(1, {"smtpEmailAddress": "sales@example.com", "smtpPassword": "hunter2"})) == {}


def test_columns_that_smell_of_a_secret_are_kept_nowhere() -> None:
    assert read_extra(Reading(1, {"Old password": "hunter2", "2fa_seed": "hunter2", "Team": "north"})) == {
        "Team": "north"
    }


def test_lists_and_objects_leave_their_name_alone() -> None:
    assert read_extra(Reading(1, {"nested": {"password": "hunter2"}, "list": ["hunter2"]})) == {
        "nested": "",
        "list": "",
    }


def test_cells_of_unknown_columns_are_of_one_line_and_bounded() -> None:
    extra = read_extra(Reading(1, {"note": "a\r\nb\tc\x00d\ud800", "long": "x" * 5000, "n" * 1000: "y"}))
    assert extra == {"note": "a  b c\ufffdd\ufffd", "long": "x" * EXTRA_LIMIT, "n" * TEXT_LIMIT: "y"}


def test_columns_beyond_the_limit_are_dropped() -> None:
    extra = read_extra(Reading(1, {f"column {number}": "x" for number in range(EXTRA_COUNT_LIMIT + 5)}))
    assert len(extra) == EXTRA_COUNT_LIMIT
