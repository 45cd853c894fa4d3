"""Pure but for the caller of `from_env`: every setting, its unit, its default; the only reader of the environment.

Variables bear the prefix `BULK_CONNECT_`, but for `DATABASE_URL` and `REDIS_URL`. A bad one is refused
at the start by name, all of them at once.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

PREFIX = "BULK_CONNECT_"
UNPREFIXED = frozenset({"DATABASE_URL", "REDIS_URL"})
MAIL_PORTS = frozenset({25, 26, 143, 465, 587, 993, 2465, 2525, 2526, 2587})

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(Exception):
    """Some settings are wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        digits = text.strip()
        if not digits.isdecimal() or not low <= int(digits) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(digits)

    return parse


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ValueError(f"must be a number of seconds from {low:g} to {high:g}")
        return value

    return parse


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError("must be networks such as 10.0.0.0/8,fd00::/8") from None


def _ports(text: str) -> frozenset[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() and 1 <= int(part) <= 65535 for part in parts):
        raise ValueError("must be ports such as 2525,10465")
    return frozenset(map(int, parts))


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return parse


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("must be an address and a port such as 127.0.0.1:9100")
    return text


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")) or text.endswith("/"):
        raise ValueError("must begin with http:// or https:// and not end with a slash")
    return text


def _database_url(text: str) -> str:
    if not text.startswith(("postgres://", "postgresql://")):
        raise ValueError("must begin with postgresql://")
    return text


def _redis_url(text: str) -> str:
    if not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    return text


def _store(text: str) -> str:
    # A host after file:// is a folder with a slash too few.
    if not re.match(r"file:///[^/]|s3://[^/]", text):
        raise ValueError("must be file:///folder or s3://bucket/prefix")
    return text


def _name_servers(text: str) -> tuple[str, ...]:
    servers = _words(text)
    if not all(map(_is_name_server, servers)):
        raise ValueError("must be addresses such as 192.0.2.53,2001:db8::53 or 192.0.2.53:5353")
    return servers


def _is_name_server(text: str) -> bool:
    address, colon, port = text.rpartition(":")
    has_port = bool(colon) and "." in address
    if has_port and not (port.isdecimal() and 1 <= int(port) <= 65535):
        return False
    try:
        ipaddress.ip_address(address if has_port else text)
    except ValueError:
        return False
    return True


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _limits(text: str) -> dict[str, int]:
    """Read `gmail=10,outlook=5`: most checks at a time for a provider's slug or a host."""
    pairs = [part.partition("=") for part in _words(text)]
    if not all(key and value.isdecimal() and int(value) > 0 for key, _, value in pairs):
        raise ValueError("must be pairs such as gmail=10,mail.example.com=4")
    return {key: int(value) for key, _, value in pairs}


def _setting(default: Any, parse: Callable[[str], Any], about: str, secret: bool = False) -> Any:
    metadata = {"parse": parse, "about": about, "secret": secret}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """Every setting. Field `check_timeout_seconds` is the variable `BULK_CONNECT_CHECK_TIMEOUT`, and so on."""

    database_url: str = _setting("", _database_url, "PostgreSQL 15 or newer; empty: one of our own in DATA_DIR", True)
    redis_url: str = _setting("", _redis_url, "Redis 7 or Valkey; empty: one of our own in DATA_DIR", True)
    secret_keys: tuple[str, ...] = _setting(
        (),
        _words,
        "keys of 32 bytes in base64; the first encrypts, all decrypt; required with DATABASE_URL",
        True,
    )
    public_url: str = _setting("", _url, "how users reach the API; empty: as the request's Host header says")
    host: str = _setting("127.0.0.1", str, "address the API listens on")
    port: int = _setting(8080, _whole(0, 65535), "port the API listens on; 0: any free one")
    metrics_address: str = _setting(
        "127.0.0.1:9100",
        _address,
        "where /metrics listens; of `up`, worker N has the port N higher; port 0: any free one",
    )
    report_store: str = _setting("", _store, "file:///folder or s3://bucket/prefix; empty: reports/ in DATA_DIR")
    data_dir: Path = _setting(Path(".data"), _path, "what embedded servers, the key file and local reports live in")
    workers: int = _setting(0, _whole(0, 256), "worker processes that `up` starts; 0: one for each core")
    max_rows: int = _setting(100_000, _whole(1, 10_000_000), "rows in one request")
    max_body_bytes: int = _setting(64 * 1024 * 1024, _whole(1024, 2**31), "size of one request's body")
    max_queued_rows: int = _setting(1_000_000, _whole(1, 100_000_000), "rows a workspace may have waiting")
    check_concurrency: int = _setting(200, _whole(1, 10_000), "checks at a time in each worker process")
    check_timeout_seconds: float = _setting(60.0, _seconds(1, 600), "for one check of one side, all stages")
    connect_timeout_seconds: float = _setting(10.0, _seconds(0.1, 120), "for the TCP connection, all addresses")
    tls_timeout_seconds: float = _setting(15.0, _seconds(0.1, 120), "for a TLS handshake")
    greet_timeout_seconds: float = _setting(15.0, _seconds(0.1, 300), "for the greeting, EHLO or CAPABILITY")
    auth_timeout_seconds: float = _setting(45.0, _seconds(0.1, 300), "for the login; slow refusals are usual")
    retry_budget_seconds: float = _setting(900.0, _seconds(0, 86_400), "how long transient failures are retried")
    allow_networks: tuple[Network, ...] = _setting((), _networks, "networks the address guard lets through")
    allow_ports: frozenset[int] = _setting(frozenset(), _ports, "ports to dial besides the usual mail ports")
    ca_file: str = _setting("", str, "PEM file of authorities to trust besides the system's")
    provider_limits: dict[str, int] = _setting(
        {}, _limits, "most checks at a time for a provider or a host, which then counts as bearing it"
    )
    probe_sender: bool = _setting(False, lambda t: _one_of("true", "false")(t) == "true", "also ask MAIL FROM")
    dns_servers: tuple[str, ...] = _setting((), _name_servers, "name servers to ask; empty: the system's")
    retention_days: int = _setting(30, _whole(1, 3650), "after which requests and reports are deleted")
    secret_retention_hours: int = _setting(24, _whole(0, 8760), "after which failed rows' secrets are destroyed")
    rate_limit: int = _setting(600, _whole(1, 1_000_000), "API calls a minute for each key")
    worker_timeout_seconds: float = _setting(10.0, _seconds(2, 600), "silence after which a worker counts as dead")
    log_format: str = _setting("auto", _one_of("auto", "console", "json"), "auto: console on a terminal, else json")
    log_level: str = _setting("INFO", _one_of("DEBUG", "INFO", "WARNING", "ERROR"), "least level that is logged")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read all settings. Empty variables count as absent.

        Raises:
            SettingsError: naming every variable that is wrong or unknown.
        """
        values: dict[str, Any] = {}
        problems: list[str] = []
        known = {variable_name(entry.name): entry for entry in fields(cls)}
        for variable, entry in known.items():
            text = environ.get(variable, "")
            if text:
                try:
                    values[entry.name] = entry.metadata["parse"](text)
                except ValueError as error:
                    problems.append(f"{variable} {error}")
        # The variables of the command line share the prefix (app/cli).
        strangers = {name for name in environ if name.startswith(PREFIX)} - set(known) - CLIENT_VARIABLES
        problems += [f"{name} is not a setting" for name in sorted(strangers)]
        if problems:
            raise SettingsError(problems)
        return cls(**values)


CLIENT_VARIABLES = frozenset({"BULK_CONNECT_URL", "BULK_CONNECT_API_KEY", "BULK_CONNECT_PASSWORD"})


@dataclass(frozen=True)
class Documented:
    """One setting as people read it."""

    variable: str
    default: str
    about: str
    is_secret: bool


def variable_name(name: str) -> str:
    """Return the environment variable of a field: `check_timeout_seconds` is `BULK_CONNECT_CHECK_TIMEOUT`."""
    upper = name.removesuffix("_seconds").upper()
    return upper if upper in UNPREFIXED else PREFIX + upper


def render_value(value: object) -> str:
    """Write a value as its variable would hold it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ",".join(f"{key}={number}" for key, number in value.items())
    if isinstance(value, tuple | frozenset):
        return ",".join(sorted(map(str, value)))
    return f"{value:g}" if isinstance(value, float) else str(value)


def list_documented() -> list[Documented]:
    """List every setting in order, for `bulk-connect settings` and the README's table."""
    result = []
    for entry in fields(Settings):
        default = entry.default if entry.default is not MISSING else {}
        result.append(
            Documented(
                variable_name(entry.name),
                render_value(default),
                entry.metadata["about"],
                entry.metadata["secret"],
            )
        )
    return result
