"""Configuration by environment."""

import importlib
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

import pytest
from pydantic import Field, SecretStr

from libs.client import ClientSettings
from libs.common import credentials
from libs.common.config import (
    DEFAULT_PORTS,
    EXIT_CONFIG,
    ServiceSettings,
    load_or_exit,
    peer_target,
    variable_of,
)
from libs.common.variables import PREFIX, VARIABLES
from libs.console.config import ConsoleSettings
from libs.emulators.__main__ import main as emulators
from libs.emulators.config import EmulatorSettings
from libs.supervisor import InstallationSettings


class Settings(ServiceSettings):
    """A service's own settings."""

    service: ClassVar[str] = "points"
    segment_target: str = peer_target("segment")
    batch_size_max: int = Field(default=500, ge=1)
    sharing_key: SecretStr = SecretStr("")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POINTS_PORT", "POINTS_METRICS_PORT", "SEGMENT_PORT", "TOKEN", "POSTGRES_DSN", "REDIS_URL"):
        monkeypatch.delenv(f"OMNIJOURNEY_{name}", raising=False)


def test_everything_has_a_default() -> None:
    settings = Settings()
    assert (settings.grpc_port, settings.prometheus_port) == (7402, 7502)
    assert settings.segment_target == "127.0.0.1:7404"
    assert settings.postgres_dsn.get_secret_value() == ""


@pytest.mark.rule("X-03")
def test_variables_of_the_product_and_of_the_service_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIJOURNEY_POINTS_PORT", "9000")
    monkeypatch.setenv("OMNIJOURNEY_PORT", "1")
    monkeypatch.setenv("OMNIJOURNEY_BATCH_SIZE_MAX", "20")
    monkeypatch.setenv("OMNIJOURNEY_SEGMENT_PORT", "9004")
    monkeypatch.setenv("OMNIJOURNEY_REDIS_URL", "")
    settings = Settings()
    assert (settings.grpc_port, settings.prometheus_port) == (9000, 9100)
    assert (settings.batch_size_max, settings.segment_target) == (20, "127.0.0.1:9004")
    assert settings.redis_url.get_secret_value() == ""
    monkeypatch.setenv("OMNIJOURNEY_SEGMENT_TARGET", "segment:7404")
    assert Settings().segment_target == "segment:7404"


def test_any_free_port_goes_for_metrics_too() -> None:
    settings = Settings(port=0)
    assert (settings.grpc_port, settings.prometheus_port) == (0, 0)


def test_sockets_lie_in_a_folder_that_nobody_else_enters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("OMNIJOURNEY_CALLS_DIR", str(tmp_path / "calls"))
    with pytest.raises(SystemExit):
        load_or_exit(Settings)
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls").chmod(0o750)
    with pytest.raises(SystemExit):
        load_or_exit(Settings)
    assert capsys.readouterr().err.count("OMNIJOURNEY_CALLS_DIR: Value error, must be a folder") == 2
    (tmp_path / "calls").chmod(0o700)
    assert load_or_exit(Settings).calls_dir == tmp_path / "calls"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES_DSN", "db:5432"),
        ("POSTGRES_DSN", "postgresql://admin@db/x"),
        ("POSTGRES_DSN", "mysql://a:b@c/d"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis:///0"),
    ],
)
def test_addresses_of_another_form_are_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.setenv(f"OMNIJOURNEY_{name}", value)
    with pytest.raises(SystemExit):
        load_or_exit(Settings)
    said = capsys.readouterr().err
    assert said.startswith(f"OMNIJOURNEY_{name}: Value error, must be ")
    assert value not in said


@pytest.mark.parametrize("password", ["p@ss/w:rd", "a?b#c%d", "50%40", "鑰匙 1", "plain"])
def test_a_password_by_itself_may_have_whatever_characters(
    monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("OMNIJOURNEY_POSTGRES_DSN", "postgresql://owner@db:5432/x?sslmode=verify-full")
    monkeypatch.setenv("OMNIJOURNEY_POSTGRES_PASSWORD", password)
    for settings in (Settings(), InstallationSettings()):
        parts = urlsplit(settings.postgres_dsn.get_secret_value())
        assert (parts.username, unquote(parts.password or ""), parts.hostname) == ("owner", password, "db")
        assert (parts.port, parts.path, parts.query) == (5432, "/x", "sslmode=verify-full")
        assert password not in repr(settings) or password == "plain"


@pytest.mark.parametrize("password", ["p@ss/w:rd", "a?b#c%d", "50%40", "鑰匙 1", "plain"])
@pytest.mark.parametrize(
    "address", ["redis://cache:6379/1", "rediss://shop@cache:6379/1", "redis+cluster://cache:6379,other:6380"]
)
def test_a_password_of_redis_may_have_whatever_characters(
    monkeypatch: pytest.MonkeyPatch, password: str, address: str
) -> None:
    monkeypatch.setenv("OMNIJOURNEY_REDIS_URL", address)
    monkeypatch.setenv("OMNIJOURNEY_REDIS_PASSWORD", password)
    for settings in (Settings(), InstallationSettings()):
        whole = settings.redis_url.get_secret_value()
        parts = urlsplit(whole)
        assert (unquote(parts.password or ""), parts.hostname) == (password, "cache")
        assert whole.replace(f":{parts.password}", "").replace("//@", "//") == address
        assert password not in repr(settings) or password == "plain"
    monkeypatch.setenv("OMNIJOURNEY_REDIS_URL", "redis://:own@cache:6379/1")
    assert Settings().redis_url.get_secret_value() == "redis://:own@cache:6379/1"


@pytest.mark.parametrize("password", ["p@ss/w:rd", "a?b", "a#b"])
def test_a_password_that_breaks_the_address_is_told_how_to_stand_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], password: str
) -> None:
    for address, variable, other in (
        (f"postgresql://owner:{password}@db:5432/x", "POSTGRES_DSN", "POSTGRES_PASSWORD"),
        (f"redis://:{password}@cache:6379/0", "REDIS_URL", "REDIS_PASSWORD"),
    ):
        monkeypatch.setenv(f"OMNIJOURNEY_{variable}", address)
        for settings in (Settings, InstallationSettings):
            with pytest.raises(SystemExit):
                load_or_exit(settings)
            said = capsys.readouterr().err
            assert said.startswith(f"OMNIJOURNEY_{variable}: ")
            assert "percent-encode it" in said
            assert f"OMNIJOURNEY_{other}" in said
            assert password not in said
        monkeypatch.delenv(f"OMNIJOURNEY_{variable}")


@pytest.mark.rule("X-03")
def test_variables_of_the_emulators_are_checked_at_their_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMNIJOURNEY_EMULATOR_LINE_QUOTA", "")
    monkeypatch.setenv("OMNIJOURNEY_EMULATOR_LINE_RATE", "0")
    monkeypatch.setenv("OMNIJOURNEY_EMULATOR_LINE_PROT", "1")
    with pytest.raises(SystemExit) as caught:
        emulators([])
    assert caught.value.code == EXIT_CONFIG
    unknown, rate = capsys.readouterr().err.splitlines()
    assert unknown.endswith("is OMNIJOURNEY_EMULATOR_LINE_PORT meant?")
    assert rate == "OMNIJOURNEY_EMULATOR_LINE_RATE: Input should be greater than 0 (it is '0')"


@pytest.mark.rule("X-03")
def test_every_fault_is_told_with_its_variable_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMNIJOURNEY_POINTS_PORT", "seventy")
    monkeypatch.setenv("OMNIJOURNEY_BATCH_SIZE_MAX", "0")
    monkeypatch.setenv("OMNIJOURNEY_LOG_LEVEL", "loud")
    monkeypatch.setenv("OMNIJOURNEY_SEGMENT_TARGET", "nowhere")
    monkeypatch.setenv("OMNIJOURNEY_TOKEN", "s3cret")
    with pytest.raises(SystemExit) as caught:
        load_or_exit(Settings)
    assert caught.value.code == EXIT_CONFIG
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "OMNIJOURNEY_LOG_LEVEL",
        "OMNIJOURNEY_POINTS_PORT",
        "OMNIJOURNEY_SEGMENT_TARGET",
        "OMNIJOURNEY_BATCH_SIZE_MAX",
    ]
    assert "'seventy'" in lines[1]
    assert "s3cret" not in repr(Settings.model_construct(token=SecretStr("s3cret")))


@pytest.mark.rule("X-03")
def test_a_mistyped_variable_is_told_with_the_one_that_is_meant(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMNIJOURNEY_POOL_SIZE", "s3cret")
    monkeypatch.setenv("OMNIJOURNEY_BATCH_SIZE_MAX", "20")  # of this service alone
    monkeypatch.setenv("OMNIJOURNEY_WHATSAPP_URL", "")  # of another service
    load_or_exit(Settings)
    assert capsys.readouterr().err.splitlines() == [
        "OMNIJOURNEY_POOL_SIZE: no part of the product reads it; is OMNIJOURNEY_POOL_SIZE_MAX meant?"
    ]


def test_every_variable_that_is_read_is_known() -> None:
    services = [importlib.import_module(f"services.{name}.config").Settings for name in DEFAULT_PORTS]
    read = {variable_of(kind, name) for kind in services for name in kind.model_fields}
    for others in (ClientSettings, ConsoleSettings, InstallationSettings, EmulatorSettings):
        read |= {variable_of(others, name) for name in others.model_fields}
    known = {PREFIX + name for name in VARIABLES}
    apart = {credentials.TOOLS_VARIABLE, credentials.DIRECTORY_VARIABLE}
    assert known == read | apart, "see libs/common/variables.py"
