"""Credentials files: private, whole, and what settings fall back on."""

import stat
from pathlib import Path
from typing import ClassVar

import pytest

from libs.common import credentials
from libs.common.config import EXIT_CONFIG, ServiceSettings, load_or_exit

DSN = "postgresql://omnijourney_points:p@db/omnijourney?sslmode=verify-full"


class Settings(ServiceSettings):
    """Those of points."""

    service: ClassVar[str] = "points"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the service looks for its credentials."""
    file = credentials.file_of(tmp_path / "credentials", "points")
    monkeypatch.setenv(credentials.FILE_VARIABLE, str(file))
    monkeypatch.delenv("OMNIJOURNEY_POSTGRES_DSN", raising=False)
    return file


def test_nobody_else_can_read_what_is_written(file: Path) -> None:
    file.parent.mkdir(mode=0o755)
    credentials.write(file, {"A": "1"})
    credentials.write(file, {"OMNIJOURNEY_POSTGRES_DSN": DSN})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert credentials.read(file) == {"OMNIJOURNEY_POSTGRES_DSN": DSN}
    assert list(file.parent.iterdir()) == [file]


def test_the_environment_is_asked_first_and_then_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials.write(file, {"OMNIJOURNEY_POSTGRES_DSN": DSN, "OMNIJOURNEY_LOG_LEVEL": "error", "LATER": "1"})
    monkeypatch.setenv("OMNIJOURNEY_LOG_LEVEL", "debug")
    settings = load_or_exit(Settings)
    assert settings.postgres_dsn.get_secret_value() == DSN
    assert settings.log_level == "debug"


def test_a_file_that_is_missing_is_told_with_its_variable(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        load_or_exit(Settings)
    assert caught.value.code == EXIT_CONFIG
    said = capsys.readouterr().err
    assert said.startswith("OMNIJOURNEY_CREDENTIALS_FILE: Value error, cannot be read (No such file")
    assert "omnijourney migrate" in said


def test_a_file_of_another_form_is_refused_without_being_shown(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.parent.mkdir()
    file.write_text(f"# made by hand\n{DSN.partition('=')[0]}\n")
    with pytest.raises(SystemExit):
        load_or_exit(Settings)
    said = capsys.readouterr().err
    assert said.startswith("OMNIJOURNEY_CREDENTIALS_FILE: Value error, line 2 is not VARIABLE=value")
    assert "omnijourney_points" not in said
