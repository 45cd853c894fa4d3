"""Every statement is understood by PostgreSQL, and takes what its head says it takes."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.store.db import connect
from sql import load_queries, parse_queries, read_schema

QUERIES = load_queries()
TABLES = set(re.findall(r"^CREATE TABLE (\w+)", read_schema(), re.MULTILINE))
HEAD = "-- name: get_one :one\n-- One.\n-- params: id uuid, ids uuid[], until timestamptz\n"


@pytest.fixture(scope="module")
async def ours(database_url: str) -> AsyncIterator[Any]:
    link = await connect(database_url)
    yield link
    await link.close()


@pytest.fixture(scope="module")
async def oldest(other_database_url: str) -> AsyncIterator[Any]:
    link = await connect(other_database_url)
    yield link
    await link.close()


async def read_types(link: Any, name: str) -> tuple[list[str], list[str]]:
    """Return the types that a query declares, and those that PostgreSQL finds."""
    query = QUERIES[name]
    found = (await link.prepare(query.sql)).get_parameters()
    actual = [await link.fetchval("SELECT format_type($1, NULL)", kind.oid) for kind in found]
    declared = [await link.fetchval("SELECT format_type($1::regtype, NULL)", kind) for _, kind in query.params]
    return declared, actual


@pytest.mark.parametrize("name", sorted(QUERIES))
async def test_declared_parameters_are_the_actual_ones(name: str, ours: Any) -> None:
    declared, actual = await read_types(ours, name)
    assert declared == actual


@pytest.mark.parametrize("name", sorted(QUERIES))
async def test_they_are_so_for_the_oldest_postgresql_here(name: str, oldest: Any) -> None:
    declared, actual = await read_types(oldest, name)
    assert declared == actual


@pytest.mark.parametrize("name", sorted(QUERIES))
async def test_what_says_it_returns_records_does(name: str, ours: Any) -> None:
    attributes = (await ours.prepare(QUERIES[name].sql)).get_attributes()
    assert bool(attributes) == (QUERIES[name].kind != "exec")


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_columns_are_listed_one_by_one(name: str) -> None:
    words = QUERIES[name].sql
    # A star over the statement's own parts is no risk: they list what they hold.
    starred = set(re.findall(r"SELECT (?:DISTINCT ON \([^)]*\) )?\*.*?FROM (\w+)", words, re.DOTALL))
    assert starred & TABLES == set()
    assert "RETURNING *" not in words
    assert not any(line.startswith("INSERT INTO") and "(" not in line for line in words.splitlines())


def test_a_head_names_kind_intent_and_parameters() -> None:
    (query,) = parse_queries(HEAD + "SELECT 1;\n")
    assert (query.name, query.kind, query.intent, query.sql) == ("get_one", "one", "One.", "SELECT 1;")
    assert query.params == (("id", "uuid"), ("ids", "uuid[]"), ("until", "timestamptz"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-- name: get_one :one\nSELECT 1;", "name, intent, params"),
        (HEAD.replace(":one", ":few") + "SELECT 1;", "neither of one, many, exec"),
    ],
)
def test_a_statement_without_a_proper_head_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_queries(text)
