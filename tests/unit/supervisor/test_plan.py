"""Ports, variables and command lines of an installation, decided before anything runs."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from libs.client import SERVICES
from libs.common import credentials
from libs.common.config import EXIT_CONFIG
from libs.embedded import Endpoints
from libs.supervisor import Installation, InstallationOptions, InstallationSettings, PortTakenError
from libs.supervisor.plan import (
    Plan,
    channel_urls,
    check_ports,
    environment,
    make_plan,
    secret_environment,
    service_command,
    worker_environment,
    worker_names,
)
from services import __main__ as five_in_one

ENDPOINTS = Endpoints("postgresql://p", "redis://r", "t", owner=True)


def _options(**settings: object) -> InstallationOptions:
    return InstallationOptions(settings=InstallationSettings.model_validate(settings))


def test_default_ports() -> None:
    plan = make_plan(_options())
    assert plan.ports == {
        "journey": 7401,
        "points": 7402,
        "channel_gateway": 7403,
        "segment": 7404,
        "stats": 7405,
        "journey_metrics": 7501,
        "points_metrics": 7502,
        "channel_gateway_metrics": 7503,
        "segment_metrics": 7504,
        "stats_metrics": 7505,
        "http": 7480,
    }


def test_a_port_that_moves_takes_its_metrics_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIJOURNEY_POINTS_PORT", "9000")
    monkeypatch.setenv("OMNIJOURNEY_STATS_METRICS_PORT", "9009")
    ports = make_plan(_options()).ports
    assert (ports["points"], ports["points_metrics"], ports["stats_metrics"]) == (9000, 9100, 9009)


def test_port_zero_is_any_free_one() -> None:
    ports = make_plan(_options(points_port=0)).ports
    assert ports["points"] > 0
    assert ports["points_metrics"] > 0
    assert ports["journey"] == 7401


def test_free_ports_whatever_is_configured() -> None:
    options = InstallationOptions(
        settings=InstallationSettings(points_port=9000), free_ports=True, emulators=True
    )
    ports = make_plan(options).ports
    assert len(set(ports.values())) == len(ports) == 15
    assert min(ports.values()) >= 20_000


def test_a_wrong_port_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIJOURNEY_JOURNEY_PORT", "70000")
    with pytest.raises(ValidationError, match="journey_port"):
        InstallationSettings()


def test_every_taken_port_is_named_with_its_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        with pytest.raises(PortTakenError) as caught:
            check_ports(Plan("127.0.0.1", {"journey": taken, "points": 20_001, "stats": 20_001}))
    assert str(caught.value).splitlines() == [
        f"port {taken} on 127.0.0.1 is taken, journey needs it: see OMNIJOURNEY_JOURNEY_PORT",
        "port 20001 is given to both points and stats: change OMNIJOURNEY_STATS_PORT",
        "End what listens there, or set the variable to another port (0: any free one)",
    ]


def test_an_address_of_another_machine_is_a_clear_fault() -> None:
    with pytest.raises(PortTakenError, match=r"cannot listen on 192\.0\.2\.1:7401 for journey"):
        check_ports(Plan("192.0.2.1", {"journey": 7401}))


@pytest.mark.parametrize(
    ("bind", "reached"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("10.1.1.1", "10.1.1.1")]
)
def test_how_this_machine_reaches_what_it_listens_on(bind: str, reached: str) -> None:
    assert Plan(bind, {"journey": 1}).target("journey") == f"{reached}:1"


def test_processes_are_told_addresses_ports_and_targets() -> None:
    options = _options(clock_control="on", line_url="http://line")
    variables = environment(options, make_plan(options), "redis://r", Path("/data"))
    expected = {
        "OMNIJOURNEY_REDIS_URL": "redis://r",
        "OMNIJOURNEY_DATA_DIR": "/data",
        "OMNIJOURNEY_CLOCK_CONTROL": "on",
        "OMNIJOURNEY_CHANNEL_GATEWAY_PORT": "7403",
        "OMNIJOURNEY_CHANNEL_GATEWAY_METRICS_PORT": "7503",
        "OMNIJOURNEY_CHANNEL_GATEWAY_TARGET": "127.0.0.1:7403",
        "OMNIJOURNEY_HTTP_PORT": "7480",
        "OMNIJOURNEY_LINE_URL": "http://line",
    }
    assert {name: variables.get(name) for name in expected} == expected
    assert "OMNIJOURNEY_WHATSAPP_URL" not in variables
    assert not {"postgresql://p", "t"} & set(variables.values())


def test_emulators_stand_in_for_the_channels() -> None:
    options = InstallationOptions(settings=InstallationSettings(line_url="https://line"), emulators=True)
    plan = make_plan(options)
    assert channel_urls(options, plan) == {
        "whatsapp": "http://127.0.0.1:7491",
        "line": "http://127.0.0.1:7492",
        "messenger": "http://127.0.0.1:7493",
        "instagram": "http://127.0.0.1:7494",
    }
    variables = environment(options, plan, "redis://r", Path("/data"))
    assert variables["OMNIJOURNEY_EMULATOR_LINE_PORT"] == "7492"
    assert variables["OMNIJOURNEY_EMULATOR_DATA_DIR"] == "/data/emulators"


def test_what_runs_as_a_service() -> None:
    assert service_command(_options(), "points") == [sys.executable, "-m", "services.points"]
    options = InstallationOptions(commands={"points": ["/bin/true"]})
    assert service_command(options, "points") == ["/bin/true"]


def test_further_workers_have_ports_of_their_own() -> None:
    options = InstallationOptions(more_workers={"journey": 2})
    plan = make_plan(options)
    assert worker_names(options, "journey") == ["journey-2", "journey-3"]
    assert worker_names(options, "points") == []
    assert len({*plan.ports.values(), *plan.workers.values()}) == len(plan.ports) + 2
    changes = worker_environment(plan, "journey", "journey-2")
    assert changes["OMNIJOURNEY_JOURNEY_PORT"] == plan.target("journey-2").rpartition(":")[2]
    assert set(changes) <= set(environment(options, plan, "redis://r", Path("/data")))


def test_secrets_are_not_shown() -> None:
    shown = repr(
        InstallationSettings(postgres_dsn="postgresql://u:hidden@h/d", token="hidden", secret_keys="hidden")
    )
    assert "hidden" not in shown


def test_keys_of_secrets_are_given_to_the_service_that_keeps_some(tmp_path: Path) -> None:
    options = _options(secret_keys="configured")
    assert environment(options, make_plan(options), "redis://r", tmp_path)["OMNIJOURNEY_SECRET_KEYS"] == ""
    assert secret_environment(options, "journey", tmp_path) == {}
    assert secret_environment(options, "channel_gateway", tmp_path) == {
        "OMNIJOURNEY_SECRET_KEYS": "configured"
    }
    made = secret_environment(_options(), "channel_gateway", tmp_path)
    assert made == secret_environment(_options(), "channel_gateway", tmp_path), "made once"
    assert len(made["OMNIJOURNEY_SECRET_KEYS"]) == 64


def test_one_process_has_one_page_of_metrics_and_the_ports_of_five() -> None:
    installation = Installation(InstallationOptions(free_ports=True, one_process=True))
    assert set(installation.metrics_urls) == set(SERVICES)
    port = installation.plan.ports["journey_metrics"]
    assert set(installation.metrics_urls.values()) == {f"http://127.0.0.1:{port}/metrics"}
    assert len(set(installation.targets.values())) == len(SERVICES)


@pytest.mark.parametrize(
    "parted",
    [{"more_workers": {"journey": 1}}, {"services": ("segment",)}, {"commands": {"stats": ["true"]}}],
    ids=["workers", "services", "commands"],
)
def test_one_process_is_all_five_each_once(parted: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="all five services, each once"):
        InstallationOptions(one_process=True, **parted)


def test_five_in_one_process_are_refused_without_their_credentials(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(credentials.DIRECTORY_VARIABLE, raising=False)
    with pytest.raises(SystemExit) as ended:
        five_in_one.main()
    assert ended.value.code == EXIT_CONFIG
    assert capsys.readouterr().err == "OMNIJOURNEY_CREDENTIALS_DIR: must be set: run `omnijourney migrate`\n"


def test_five_in_one_process_are_refused_without_a_file_of_theirs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv(credentials.DIRECTORY_VARIABLE, str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        five_in_one.main()
    assert ended.value.code == EXIT_CONFIG
    told = capsys.readouterr().err
    assert "cannot be read" in told
    assert str(tmp_path / "journey.env") in told
