"""The OpenAPI document: complete, valid, and the same as what is served; and its page for people."""

import html
import json
import re
import shlex
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from app.api.context import Api
from app.api.openapi import make_document
from app.api.parameters import CONNECT_NAMES
from app.api.routes import ROUTES
from app.settings import Settings
from tests.api.asking import CONNECT, Client, ask, serving
from tests.api.described import Described

Operation = tuple[str, str, dict[str, Any]]


def operations() -> list[Operation]:
    paths: dict[str, dict[str, Any]] = make_document()["paths"]
    return [(method.upper(), path, entry) for path, found in paths.items() for method, entry in found.items()]


def test_every_route_is_described_and_every_description_is_a_route() -> None:
    served = {(route.method, re.sub(r"\{(\w+):[^}]+\}", r"{\1}", route.path)) for route in ROUTES}
    assert {(method, path) for method, path, _ in operations()} == served


def test_the_scope_that_is_described_is_the_one_that_is_asked_for() -> None:
    described = {(method, path): entry for method, path, entry in operations()}
    for route in ROUTES:
        entry = described[route.method, re.sub(r"\{(\w+):[^}]+\}", r"{\1}", route.path)]
        if route.scope is None:
            assert entry["security"] == []
        else:
            assert f"`{route.scope}`" in entry["description"]


def test_every_path_parameter_is_described() -> None:
    for method, path, entry in operations():
        named = {one["name"] for one in entry.get("parameters", ()) if one["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path)), (method, path)


def test_every_parameter_of_connect_is_described() -> None:
    entry = make_document()["paths"]["/v1/email-accounts/connect"]["post"]
    named = {one["name"] for one in entry["parameters"] if one["in"] == "query"}
    assert named == CONNECT_NAMES - {"callbackUrl"}


def test_every_shape_is_a_valid_schema_and_every_reference_leads_somewhere() -> None:
    document = make_document()
    for shape in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(shape)
    resolver = Registry().with_resource("", DRAFT202012.create_resource(document)).resolver()
    for reference in set(re.findall(r"'\$ref': '([^']+)'", str(document))):
        assert resolver.lookup(reference).contents


def test_every_shape_is_used() -> None:
    document = make_document()
    used = set(re.findall(r"'#/components/schemas/(\w+)'", str(document)))
    assert used == set(document["components"]["schemas"])


def test_the_judge_of_the_tests_can_say_no() -> None:
    described = Described()
    good: dict[str, Any] = {"payload": {"items": [], "nextCursor": None, "total": 0}}
    described.check("GET", "/v1/email-accounts", 200, "application/json", good)
    for status, kind, body in (
        (200, "application/json", {"payload": {"items": [], "nextCursor": None}}),
        (200, "application/json", {**good, "more": 1}),
        (200, "text/html", good),
        (418, "application/json", good),
        (404, "application/problem+json", {"status": 404}),
    ):
        with pytest.raises(AssertionError):
            described.check("GET", "/v1/email-accounts", status, kind, body)
    with pytest.raises(AssertionError):
        described.check("GET", "/nowhere", 404, "text/html", "")


async def test_the_document_needs_no_key_and_names_its_server(running: tuple[Api, Client]) -> None:
    answer = await ask(running[1], "GET", "/openapi.json")
    assert answer.status == 200
    assert answer.json["openapi"].startswith("3.1")
    assert answer.json["servers"] == [{"url": str(running[1].make_url("")).rstrip("/")}]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert {**answer.json, "servers": None} == {**make_document(), "servers": None}


async def test_the_document_names_the_public_url(settings: Settings) -> None:
    async with serving(replace(settings, public_url="https://connect.example.com")) as (_, client):
        answer = await ask(client, "GET", "/openapi.json")
        assert answer.json["servers"] == [{"url": "https://connect.example.com"}]


async def test_the_page_shows_every_operation_and_runs_nothing(running: tuple[Api, Client]) -> None:
    answer = await ask(running[1], "GET", "/docs")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<script" not in answer.text
    for method, path, entry in operations():
        assert f"<b class={method.lower()}>{method}</b> {path}" in answer.text
        assert entry["summary"] in answer.text


async def test_the_example_of_the_page_can_be_pasted_and_fits_on_it(running: tuple[Api, Client]) -> None:
    page = (await ask(running[1], "GET", "/docs", headers={"Host": "127.0.0.1:8080"})).text
    (example,) = re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)
    text = html.unescape(example)
    assert max(map(len, text.splitlines())) <= 100
    assert re.search(r"pre \{[^}]*white-space: pre-wrap;", page)
    words = shlex.split(text)
    assert [words[place + 1] for place, word in enumerate(words) if word == "curl"] == [
        f"http://127.0.0.1:8080{CONNECT}",
        f"http://127.0.0.1:8080{CONNECT}/status/REQUEST_ID?wait=30",
    ]
    assert json.loads(words[words.index("-d") + 1])[0]["smtpEmailAddress"] == "sales@example.com"


async def test_every_link_of_the_page_leads_somewhere(running: tuple[Api, Client]) -> None:
    page = (await ask(running[1], "GET", "/docs")).text
    anchors = re.findall(r" id=([^ >]+)", page)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r"href=#([^ >]+)", page)) == set(anchors)


async def test_a_host_that_is_made_up_stays_text(running: tuple[Api, Client]) -> None:
    answer = await ask(running[1], "GET", "/docs", headers={"Host": "<b>x"})
    assert "<b>x" not in answer.text
