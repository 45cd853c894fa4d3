"""Settings: every variable is read, every wrong one is named, none is quoted that is secret."""

import ipaddress
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from app.settings import PREFIX, Settings, SettingsError, list_documented, render_value, variable_name

# variable without prefix, text, field, value
GOOD: list[tuple[str, str, str, object]] = [
    ("DATABASE_URL", "postgresql://localhost/x", "database_url", "postgresql://localhost/x"),
    ("DATABASE_URL", "postgres://localhost/x", "database_url", "postgres://localhost/x"),
    ("REDIS_URL", "redis://localhost:6379/1", "redis_url", "redis://localhost:6379/1"),
    ("REDIS_URL", "rediss://localhost", "redis_url", "rediss://localhost"),
    ("REDIS_URL", "unix:///run/valkey.sock", "redis_url", "unix:///run/valkey.sock"),
    ("SECRET_KEYS", "a, b,,", "secret_keys", ("a", "b")),
    ("PUBLIC_URL", "https://mail.example.com", "public_url", "https://mail.example.com"),
    ("HOST", "::", "host", "::"),
    ("PORT", "0", "port", 0),
    ("PORT", " 65535 ", "port", 65535),
    ("METRICS_ADDRESS", "[::1]:9100", "metrics_address", "[::1]:9100"),
    ("REPORT_STORE", "s3://bucket/prefix", "report_store", "s3://bucket/prefix"),
    ("REPORT_STORE", "file:///srv/reports", "report_store", "file:///srv/reports"),
    ("DATA_DIR", "/srv/data", "data_dir", Path("/srv/data")),
    ("CHECK_TIMEOUT", "1", "check_timeout_seconds", 1.0),
    ("CONNECT_TIMEOUT", "0.5", "connect_timeout_seconds", 0.5),
    ("ALLOW_NETWORKS", "10.0.0.0/8, fd00::/8", "allow_networks", ("10.0.0.0/8", "fd00::/8")),
    ("ALLOW_PORTS", "2525, 10465", "allow_ports", frozenset({2525, 10465})),
    ("PROVIDER_LIMITS", "gmail=10,mail.example.com=4", "provider_limits", {"gmail": 10, "mail.example.com": 4}),
    ("PROBE_SENDER", "true", "probe_sender", True),
    ("PROBE_SENDER", "false", "probe_sender", False),
    ("DNS_SERVERS", "192.0.2.1, 192.0.2.2:5353", "dns_servers", ("192.0.2.1", "192.0.2.2:5353")),
    ("DNS_SERVERS", "2001:db8::53", "dns_servers", ("2001:db8::53",)),
    ("LOG_FORMAT", "json", "log_format", "json"),
    ("LOG_LEVEL", "DEBUG", "log_level", "DEBUG"),
]

BAD = [
    ("DATABASE_URL", "mysql://user:hunter2@localhost/x", "must begin with postgresql://"),
    ("REDIS_URL", "http://user:hunter2@localhost", "must begin with redis://, rediss:// or unix://"),
    ("PUBLIC_URL", "mail.example.com", "must begin with http:// or https:// and not end with a slash"),
    ("PUBLIC_URL", "https://mail.example.com/", "must begin with http:// or https:// and not end with a slash"),
    ("PORT", "65536", "must be a whole number from 0 to 65535"),
    ("PORT", "-1", "must be a whole number from 0 to 65535"),
    ("PORT", "http", "must be a whole number from 0 to 65535"),
    ("PORT", "--1", "must be a whole number from 0 to 65535"),
    ("PORT", "²", "must be a whole number from 0 to 65535"),
    ("PORT", "8080.5", "must be a whole number from 0 to 65535"),
    ("METRICS_ADDRESS", "9100", "must be an address and a port such as 127.0.0.1:9100"),
    ("METRICS_ADDRESS", "localhost:", "must be an address and a port such as 127.0.0.1:9100"),
    ("METRICS_ADDRESS", "localhost:70000", "must be an address and a port such as 127.0.0.1:9100"),
    ("METRICS_ADDRESS", "localhost:²", "must be an address and a port such as 127.0.0.1:9100"),
    ("REPORT_STORE", "/srv/reports", "must be file:///folder or s3://bucket/prefix"),
    ("REPORT_STORE", "file://srv/reports", "must be file:///folder or s3://bucket/prefix"),
    ("REPORT_STORE", "file://", "must be file:///folder or s3://bucket/prefix"),
    ("REPORT_STORE", "s3://", "must be file:///folder or s3://bucket/prefix"),
    ("REPORT_STORE", "s3:///prefix", "must be file:///folder or s3://bucket/prefix"),
    ("CHECK_TIMEOUT", "soon", "must be a number of seconds from 1 to 600"),
    ("CHECK_TIMEOUT", "nan", "must be a number of seconds from 1 to 600"),
    ("CHECK_TIMEOUT", "inf", "must be a number of seconds from 1 to 600"),
    ("CHECK_TIMEOUT", "0.5", "must be a number of seconds from 1 to 600"),
    ("ALLOW_NETWORKS", "10.0.0.1/8", "must be networks such as 10.0.0.0/8,fd00::/8"),
    ("ALLOW_PORTS", "0", "must be ports such as 2525,10465"),
    ("ALLOW_PORTS", "smtp", "must be ports such as 2525,10465"),
    ("ALLOW_PORTS", "²", "must be ports such as 2525,10465"),
    ("PROVIDER_LIMITS", "gmail", "must be pairs such as gmail=10,mail.example.com=4"),
    ("PROVIDER_LIMITS", "gmail=0", "must be pairs such as gmail=10,mail.example.com=4"),
    ("PROVIDER_LIMITS", "gmail=²", "must be pairs such as gmail=10,mail.example.com=4"),
    ("PROVIDER_LIMITS", "=4", "must be pairs such as gmail=10,mail.example.com=4"),
    ("PROBE_SENDER", "yes", "must be one of true, false"),
    *(
        ("DNS_SERVERS", text, "must be addresses such as 192.0.2.53,2001:db8::53 or 192.0.2.53:5353")
        for text in (
            *("ns.example.com", "192.0.2.1,nowhere", "192.0.2.1:0", "192.0.2.1:70000", "192.0.2.1:", "x.y:53"),
            "192.0.2.1:53:53",
        )
    ),
    ("LOG_FORMAT", "xml", "must be one of auto, console, json"),
]


def full(name: str) -> str:
    return name if name in {"DATABASE_URL", "REDIS_URL"} else PREFIX + name


def read(**variables: str) -> Settings:
    return Settings.from_env({full(name): text for name, text in variables.items()})


def problems_of(environ: Mapping[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    assert str(caught.value) == "; ".join(caught.value.problems)
    return caught.value.problems


@pytest.mark.parametrize(("name", "text", "field", "value"), GOOD)
def test_variables_are_read(name: str, text: str, field: str, value: object) -> None:
    found = getattr(read(**{name: text}), field)
    assert (tuple(map(str, found)) if field == "allow_networks" else found) == value


@pytest.mark.parametrize(("name", "text", "why"), BAD)
def test_what_is_wrong_is_named_and_not_quoted(name: str, text: str, why: str) -> None:
    (problem,) = problems_of({full(name): text})
    assert problem == f"{full(name)} {why}"
    assert "hunter2" not in problem


def test_all_that_is_wrong_is_said_at_once() -> None:
    environ = {"BULK_CONNECT_PORT": "x", "BULK_CONNECT_MAX_ROWS": "0", "BULK_CONNECT_PROT": "8080"}
    problems = problems_of(environ)
    assert len(problems) == 3
    assert problems[-1] == "BULK_CONNECT_PROT is not a setting"


def test_nothing_set_means_the_defaults() -> None:
    assert Settings.from_env({}) == Settings()
    assert Settings.from_env({"BULK_CONNECT_PORT": "", "DATABASE_URL": "", "HOME": "/home"}) == Settings()


def test_variables_of_the_client_are_no_strangers() -> None:
    assert Settings.from_env({"BULK_CONNECT_URL": "http://localhost", "BULK_CONNECT_API_KEY": "x"}) == Settings()


def test_a_folder_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/service")
    assert read(DATA_DIR="~/data").data_dir == Path("/home/service/data")


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {entry.variable: entry for entry in list_documented()}
    assert len(documented) == len(fields(Settings))
    assert documented["BULK_CONNECT_CHECK_TIMEOUT"].default == "60"
    assert documented["BULK_CONNECT_PROBE_SENDER"].default == "false"
    assert documented["BULK_CONNECT_PROVIDER_LIMITS"].default == ""
    assert all(entry.about and not entry.about.endswith(".") for entry in documented.values())
    secrets = {entry.variable for entry in documented.values() if entry.is_secret}
    assert secrets == {"DATABASE_URL", "REDIS_URL", "BULK_CONNECT_SECRET_KEYS"}


@pytest.mark.parametrize("entry", fields(Settings), ids=lambda entry: str(entry.name))
def test_defaults_read_back_as_themselves(entry: Any) -> None:
    default = getattr(Settings(), entry.name)
    text = render_value(default)
    if text:
        assert getattr(Settings.from_env({variable_name(entry.name): text}), entry.name) == default


def test_values_are_written_as_variables_hold_them() -> None:
    networks = (ipaddress.ip_network("fd00::/8"), ipaddress.ip_network("10.0.0.0/8"))
    assert render_value({"gmail": 10, "yahoo": 5}) == "gmail=10,yahoo=5"
    assert render_value(networks) == "10.0.0.0/8,fd00::/8"
    assert render_value(True) == "true"
    assert render_value(0.5) == "0.5"
    assert render_value(8080) == "8080"
