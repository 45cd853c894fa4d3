"""I/O: the ground a command stands on: complete settings, and servers of our own where no addresses are given."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from app import embedded
from app.seal import Keyring
from app.settings import PREFIX, Settings, SettingsError

_KEYS_NEEDED: Final = "is required with DATABASE_URL; make a key with: openssl rand -base64 32"


@dataclass(frozen=True, slots=True)
class Ground:
    """Complete settings; `servers` None: both addresses were given."""

    settings: Settings
    servers: embedded.Embedded | None

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the environment in which a process of ours finds the same ground."""
        settings = self.settings
        return {
            **environ,
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            f"{PREFIX}SECRET_KEYS": ",".join(settings.secret_keys),
            f"{PREFIX}DATA_DIR": str(settings.data_dir),
            f"{PREFIX}HOST": settings.host,
            f"{PREFIX}PORT": str(settings.port),
        }


def open_ground(settings: Settings, *, may_attach: bool = False) -> Ground:
    """Complete the settings; start PostgreSQL and Valkey where no addresses are given. Call it from the main thread.

    `may_attach`: servers that another process runs on the same folder will do, as for `keys create`.

    Raises:
        SettingsError: as `check_settings`.
        EmbeddedError: the servers of our own cannot run.
    """
    check_settings(settings)
    if settings.database_url and settings.redis_url:
        return Ground(settings, None)
    data_dir = settings.data_dir.absolute()
    servers = embedded.start_or_attach(data_dir) if may_attach else embedded.start(data_dir)
    complete = replace(
        settings,
        data_dir=data_dir,
        database_url=settings.database_url or servers.database_url,
        redis_url=settings.redis_url or servers.redis_url,
        secret_keys=settings.secret_keys or _split(embedded.read_key_file(data_dir)),
    )
    return Ground(complete, servers)


@contextmanager
def standing(settings: Settings, *, may_attach: bool = False) -> Iterator[Ground]:
    """Yield the ground and stop, in the end, the servers that were started for it."""
    ground = open_ground(settings, may_attach=may_attach)
    try:
        yield ground
    finally:
        if ground.servers is not None:
            ground.servers.stop()


def attach_ground(settings: Settings) -> Settings:
    """Complete the settings of one process among many: addresses as given, else those of an `up` on the same folder.

    Raises:
        SettingsError: there is neither, or as `check_settings`.
    """
    check_settings(settings)
    if settings.database_url and settings.redis_url:
        return settings
    data_dir = settings.data_dir.absolute()
    servers = embedded.attach(data_dir)
    if servers is None:
        missing = [
            name
            for name, value in (("DATABASE_URL", settings.database_url), ("REDIS_URL", settings.redis_url))
            if not value
        ]
        raise SettingsError([f"{' and '.join(missing)} must be set; `bulk-connect up` brings servers of its own"])
    return replace(
        settings,
        data_dir=data_dir,
        database_url=settings.database_url or servers.database_url,
        redis_url=settings.redis_url or servers.redis_url,
        secret_keys=settings.secret_keys or _split(embedded.read_key_file(data_dir)),
    )


def check_settings(settings: Settings) -> None:
    """Refuse what is wrong of settings that each look right: secret keys, and files that they name.

    Raises:
        SettingsError: naming every variable that is wrong.
    """
    problems = {"SECRET_KEYS": _judge_keys(settings), "CA_FILE": _judge_ca_file(settings.ca_file)}
    told = [f"{PREFIX}{name} {problem}" for name, problem in problems.items() if problem]
    if told:
        raise SettingsError(told)


def _judge_keys(settings: Settings) -> str:
    """Return what is wrong with the keys; empty: nothing. They may be missing where the data are in our own folder."""
    if not settings.secret_keys:
        return _KEYS_NEEDED if settings.database_url else ""
    try:
        Keyring.from_texts(settings.secret_keys)
    except ValueError as error:
        return str(error)
    return ""


def _judge_ca_file(ca_file: str) -> str:
    if not ca_file:
        return ""
    from app.login.tls import judge_ca_file

    return judge_ca_file(ca_file)


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())
