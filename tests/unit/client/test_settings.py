"""Where a client finds an installation."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from libs.client import SERVICES, ClientSettings, full_name
from libs.client.found import Found, InstallationFile


def test_defaults() -> None:
    assert list(ClientSettings().targets().values()) == [f"127.0.0.1:{port}" for port in range(7401, 7406)]


def test_the_environment_wins_over_what_runs_and_that_over_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    InstallationFile(tmp_path).publish({"points": "a:1", "stats": "a:2"}, "http://a:3")
    monkeypatch.setenv("OMNIJOURNEY_STATS_TARGET", "b:9")
    targets = ClientSettings(data_dir=tmp_path).targets()
    assert [targets[service] for service in SERVICES] == [
        *("127.0.0.1:7401", "a:1", "127.0.0.1:7403", "127.0.0.1:7404", "b:9")
    ]


def test_what_a_dead_supervisor_said_is_not_believed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        dead = process.pid
    said = {"pid": dead, "targets": {"points": "a:1"}, "http_url": "http://a:3"}
    (tmp_path / "installation.json").write_text(json.dumps(said))
    file = InstallationFile(tmp_path)
    assert file.read() is None
    file.publish({"points": "a:2"}, "http://a:4")
    assert file.read() == Found(os.getpid(), {"points": "a:2"}, "http://a:4")
    file.withdraw()
    assert file.read() is None


def test_the_token_is_the_configured_one_or_that_of_the_data_directory(tmp_path: Path) -> None:
    assert ClientSettings(data_dir=tmp_path).api_token() == ""
    (tmp_path / "token").write_text("generated\n")
    assert ClientSettings(data_dir=tmp_path).api_token() == "generated"
    assert ClientSettings.model_validate({"data_dir": tmp_path, "token": "own"}).api_token() == "own"


def test_grpc_names() -> None:
    assert full_name("channel_gateway") == "omnijourney.channel_gateway.v1.ChannelGatewayService"
    assert full_name("points") == "omnijourney.points.v1.PointsService"
