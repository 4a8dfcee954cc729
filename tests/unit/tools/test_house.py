"""The files around the code agree with each other: locks, Makefile, compose file, scrape targets."""

import importlib
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from libs.common.config import DEFAULT_PORTS, METRICS_PORT_DISTANCE, ServiceSettings, variable_of
from libs.testing.fixtures import SECRET_KEY
from tools.paths import GENERATED, ROOT

# Service -> (gRPC port, metrics port, name of its container).
SERVICES = {
    name: (port, port + METRICS_PORT_DISTANCE, name.replace("_", "-")) for name, port in DEFAULT_PORTS.items()
}


def _make(*arguments: str) -> str:
    """What make prints, as from a shell: the tests themselves may run under make."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    ended = subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return ended.stdout


def _compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return loaded


def _locked(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", text, re.MULTILINE))


def test_locks_pin_everything_by_hash_and_name_no_host() -> None:
    for file in (ROOT / "requirements").glob("*.txt"):
        text = file.read_text(encoding="utf-8")
        entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
        assert entries, file
        assert all("==" in entry and "--hash=sha256:" in entry for entry in entries), file
        assert "://" not in text, file
        assert not re.search(r"^--(?!hash)", text, re.MULTILINE), file


@pytest.mark.parametrize(
    ("lock", "groups"),
    [
        ("runtime.txt", ["build"]),
        ("demo.txt", ["build", "extra demo"]),
        ("traces.txt", ["build", "extra traces"]),
        ("dev.txt", ["build", "extra demo", "extra traces", "dev"]),
        ("demo-data.txt", ["demo-data"]),
        ("lock.txt", ["lock"]),
    ],
)
def test_the_locks_hold_what_the_project_asks_for(lock: str, groups: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    known = project["dependency-groups"] | {
        f"extra {name}": entries for name, entries in project["project"]["optional-dependencies"].items()
    }
    asked = [entry for group in groups for entry in known[group]]
    if "build" in groups:
        asked += project["project"]["dependencies"]
    locked = _locked(lock)
    for requirement in map(Requirement, asked):
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement}: run make lock"
        assert requirement.specifier.contains(version), f"{requirement}, locked {version}: run make lock"


def test_what_runs_in_tests_is_what_runs_in_the_product() -> None:
    runtime, demo, dev = _locked("runtime.txt"), _locked("demo.txt"), _locked("dev.txt")
    assert runtime.items() <= demo.items() <= dev.items()
    assert runtime.items() <= _locked("traces.txt").items() <= dev.items()


def test_the_product_comes_without_what_only_the_demo_needs() -> None:
    alone = _locked("demo.txt").keys() - _locked("runtime.txt").keys()
    assert {"arro3-core", "arro3-io", "standardwebhooks"} <= alone


def test_the_product_comes_without_what_sends_traces() -> None:
    assert not any(name.startswith("opentelemetry") for name in _locked("runtime.txt"))


def test_each_target_has_a_line_of_help() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    phony = re.search(r"^\.PHONY:(.*)$", makefile, re.MULTILINE)
    assert phony is not None
    shown = _make()
    for target in phony[1].split():
        assert re.search(rf"^  make {target} +\S", shown, re.MULTILINE), target
    assert {"help", "demo", "up", "test", "check", "protos", "rules", "bench"} <= set(phony[1].split())


def test_options_of_the_demo_are_passed_only_when_given() -> None:
    def last_line(*options: str) -> str:
        return _make("-n", "demo", *options).splitlines()[-1].strip()

    assert last_line() == ".venv/bin/omnijourney demo"
    assert (
        last_line("MONTH=5", "DATA=a b.csv.gz", "REPORT=r.json", "SPEED=60").split("demo ")[1]
        == "--month '5' --data 'a b.csv.gz' --report 'r.json' --speed '60'"
    )


def test_compose_runs_each_service_where_the_others_look_for_it() -> None:
    containers = _compose()["services"]
    for service, (port, _, container) in SERVICES.items():
        described = containers[container]
        assert described["command"] == [f"services.{service}"]
        assert f"127.0.0.1:{port}:{port}" in described["ports"]
        if service != "stats":  # which no other service calls
            assert described["environment"][f"OMNIJOURNEY_{service.upper()}_TARGET"] == f"{container}:{port}"
        assert described["healthcheck"]["test"][1:] == ["python", "-m", "libs.probe", f"127.0.0.1:{port}"]
        assert described["depends_on"].keys() <= containers.keys()
    others = {"migrate", "console", "emulators", "postgres", "valkey", "prometheus", "grafana"}
    assert containers.keys() == {container for _, _, container in SERVICES.values()} | others


def test_one_container_builds_the_image_and_the_others_take_it() -> None:
    ours = {name: each for name, each in _compose()["services"].items() if each["image"] == "omnijourney"}
    assert [name for name, each in ours.items() if "build" in each] == ["migrate"]
    assert {each["pull_policy"] for name, each in ours.items() if name != "migrate"} == {"never"}
    assert ours.keys() - {container for _, _, container in SERVICES.values()} == {
        "migrate",
        "console",
        "emulators",
    }


def test_each_container_sees_its_own_credentials_and_waits_until_they_are_made() -> None:
    containers = _compose()["services"]
    for service, (_, _, container) in SERVICES.items():
        described = containers[container]
        assert described["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        (mount,) = described["volumes"]
        assert mount["volume"] == {"subpath": f"{service}.env"}
        assert mount["target"] == described["environment"]["OMNIJOURNEY_CREDENTIALS_FILE"]
        assert not {"OMNIJOURNEY_POSTGRES_DSN", "OMNIJOURNEY_TOKEN"} & described["environment"].keys()
    migrate = containers["migrate"]
    assert migrate["environment"]["OMNIJOURNEY_POSTGRES_DSN"].endswith("@postgres:5432/omnijourney")
    assert "OMNIJOURNEY_POSTGRES_PASSWORD" not in containers["journey"]["environment"]
    assert "OMNIJOURNEY_TOKEN" in migrate["environment"]
    assert migrate["volumes"] == [f"credentials:{migrate['command'][-1]}"]
    assert migrate["command"][-1] in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_prometheus_scrapes_each_service() -> None:
    text = (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    (job,) = yaml.safe_load(text)["scrape_configs"]
    scraped = {entry["labels"]["component"]: entry["targets"] for entry in job["static_configs"]}
    assert scraped == {name: [f"{container}:{port}"] for name, (_, port, container) in SERVICES.items()}


@pytest.mark.rule("T-07b")
def test_grafana_has_no_account_and_so_no_password_that_everybody_knows() -> None:
    containers = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    said = containers["grafana"]["environment"]
    assert said["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == said["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert (said["GF_AUTH_ANONYMOUS_ENABLED"], said["GF_AUTH_ANONYMOUS_ORG_ROLE"]) == ("true", "Viewer")
    assert all(port.startswith("127.0.0.1:") for port in containers["grafana"]["ports"])


def test_every_folder_of_code_is_a_package() -> None:
    # The import contracts look at packages only; a folder without __init__.py would escape them.
    folders = {
        file.parent
        for top in ("libs", "services", "tools", "bench")
        for file in (ROOT / top).rglob("*.py")
        if not file.is_relative_to(GENERATED)
    }
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_the_environment_of_the_containers_is_what_the_services_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "own.env"
    file.touch()
    read: set[str] = set()
    containers = _compose()["services"]
    for service, (port, metrics_port, container) in SERVICES.items():
        environment = containers[container]["environment"]
        for variable, value in environment.items():
            # ${NAME:-default} takes its default, ${NAME:?…} some value.
            filled = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value)
            monkeypatch.setenv(variable, re.sub(r"\$\{.*?\}", SECRET_KEY, filled))
        monkeypatch.setenv("OMNIJOURNEY_CREDENTIALS_FILE", str(file))
        settings_type: type[ServiceSettings] = importlib.import_module(f"services.{service}.config").Settings
        settings = settings_type()
        assert (settings.grpc_port, settings.prometheus_port) == (port, metrics_port)
        fields = {variable_of(settings_type, name): name for name in settings_type.model_fields}
        for variable in fields.keys() & environment.keys():
            if variable.endswith("_TARGET"):
                assert getattr(settings, fields[variable]) == environment[variable]
        read |= fields.keys()
    assert set(containers["journey"]["environment"]) <= read
