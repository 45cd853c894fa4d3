"""The ground of a command: what is given is taken, what is missing is started, what is wrong is refused."""

from pathlib import Path

import pytest

from app.ground import attach_ground, check_settings, open_ground, standing
from app.settings import Settings, SettingsError

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
GIVEN = Settings(database_url="postgresql://localhost/x", redis_url="redis://localhost", secret_keys=(KEY,))


def test_nothing_is_started_where_both_addresses_are_given() -> None:
    ground = open_ground(GIVEN)
    assert ground.servers is None
    assert ground.settings == GIVEN
    assert attach_ground(GIVEN) == GIVEN


def test_processes_find_the_same_ground() -> None:
    environ = open_ground(GIVEN).environ({"HOME": "/home", "BULK_CONNECT_WORKERS": "3"})
    read = Settings.from_env(environ)
    assert (read.database_url, read.redis_url, read.secret_keys) == (GIVEN.database_url, GIVEN.redis_url, (KEY,))
    assert read.workers == 3
    assert environ["HOME"] == "/home"


def test_a_database_without_secret_keys_is_refused() -> None:
    with pytest.raises(SettingsError, match="SECRET_KEYS is required"):
        open_ground(Settings(database_url="postgresql://localhost/x"))


def test_bad_secret_keys_are_refused_and_not_quoted() -> None:
    with pytest.raises(SettingsError, match="SECRET_KEYS must be keys of 32 bytes") as caught:
        check_settings(Settings(secret_keys=("too-short",)))
    assert "too-short" not in str(caught.value)


def test_a_file_of_authorities_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    missing, empty = tmp_path / "missing.pem", tmp_path / "empty.pem"
    empty.write_text("nothing")
    with pytest.raises(SettingsError, match=f"^BULK_CONNECT_CA_FILE cannot be read: {missing}: No such file"):
        open_ground(Settings(ca_file=str(missing), data_dir=tmp_path / "data"))
    with pytest.raises(SettingsError, match=f"^BULK_CONNECT_CA_FILE holds no certificate in PEM: {empty}"):
        attach_ground(Settings(ca_file=str(empty)))
    with pytest.raises(SettingsError) as caught:
        check_settings(Settings(ca_file=str(missing), secret_keys=("too-short",)))
    assert len(caught.value.problems) == 2
    assert not (tmp_path / "data").exists()


def test_a_part_alone_needs_addresses(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL and REDIS_URL must be set"):
        attach_ground(Settings(data_dir=tmp_path))


def test_what_is_missing_is_started_and_others_may_join(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    with standing(settings) as ground:
        assert ground.servers is not None
        assert ground.settings.database_url.startswith("postgresql://")
        assert ground.settings.redis_url.startswith("unix://")
        assert len(ground.settings.secret_keys) == 1
        joined = attach_ground(settings)
        assert joined.database_url == ground.settings.database_url
        assert joined.secret_keys == ground.settings.secret_keys
        with standing(settings, may_attach=True) as second:
            assert second.settings.database_url == ground.settings.database_url
        assert ground.servers.died() == ""
    with pytest.raises(SettingsError):
        attach_ground(settings)


def test_one_address_given_the_other_is_started(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", redis_url="redis://localhost")
    with standing(settings) as ground:
        assert ground.settings.redis_url == "redis://localhost"
        assert ground.settings.database_url.startswith("postgresql://")
