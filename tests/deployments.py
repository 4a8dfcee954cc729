"""The processes of an installation as `deploy/` and docker-compose.yml describe them: each one's command line, with the
environment that it is given there."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from libs.client.services import SERVICES
from tools.paths import ROOT

DEPLOY: Final = ROOT / "deploy"
CHART: Final = DEPLOY / "helm" / "omnijourney"
UNITS: Final = DEPLOY / "systemd"
MIGRATE: Final = "migrate"
CONSOLE: Final = "console"
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::([-?])(.*?))?\}")
_CREDENTIALS: Final = "OMNIJOURNEY_CREDENTIALS_FILE"


@dataclass(frozen=True)
class Filled:
    """What the person who installs fills in, and where the servers are."""

    owner_dsn: str
    """Without the password."""
    password: str
    token: str
    redis_url: str
    secret_keys: str


@dataclass(frozen=True)
class Process:
    """A process of an installation."""

    name: str
    command: list[str]
    """Behind the interpreter."""
    environment: dict[str, str]
    credentials: str = ""
    """Name of the credentials file that it sees; empty: none."""
    health: list[str] = field(default_factory=list)
    """Its health check, behind the interpreter; none: it has none."""


def variables_of(text: str) -> dict[str, str]:
    """A file of lines `VARIABLE=value`."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


# ---------------------------------------------------------------- compose
def containers() -> dict[str, Any]:
    """The services of docker-compose.yml."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return dict(loaded["services"])


def compose(filled: Filled) -> Iterator[Process]:
    """The containers of ours, with the emulators' profile and what its file sets."""
    shell = {
        "POSTGRES_PASSWORD": filled.password,
        "OMNIJOURNEY_TOKEN": filled.token,
        "OMNIJOURNEY_SECRET_KEYS": filled.secret_keys,
        **variables_of((DEPLOY / "compose" / "emulators.env").read_text(encoding="utf-8")),
    }
    places = {
        "postgresql://omnijourney@postgres:5432/omnijourney": filled.owner_dsn,
        "redis://valkey:6379/0": filled.redis_url,
    }

    def value_of(text: str) -> str:
        value = _VARIABLE.sub(
            lambda found: shell.get(found[1]) or (found[3] if found[2] == "-" else ""), text
        )
        return places.get(value, value)

    for name, described in containers().items():
        if described["image"] == "omnijourney":
            environment = {variable: value_of(text) for variable, text in described["environment"].items()}
            mounts = [each for each in described.get("volumes", []) if isinstance(each, dict)]
            seen = [each for each in mounts if each["target"] == environment.get(_CREDENTIALS)]
            yield Process(
                name.replace("-", "_"),
                [*_entrypoint()[1:], *described["command"]],
                environment,
                seen[0]["volume"]["subpath"] if seen else "",
                described.get("healthcheck", {}).get("test", [])[2:],
            )


def _entrypoint() -> list[str]:
    found = re.search(r"^ENTRYPOINT (.*)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    words: list[str] = json.loads(found[1])
    assert words[0] == "python"
    return words


# ---------------------------------------------------------------- systemd
def unit(file: Path, instance: str = "") -> dict[str, list[str]]:
    """The settings of a unit, all sections together, each as often as it stands there."""
    settings: dict[str, list[str]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings.setdefault(name, []).append(value.replace("%i", instance))
    return settings


def units(filled: Filled) -> Iterator[Process]:
    """The units, with their environment files as they are shipped and filled in."""
    own = {
        "OMNIJOURNEY_POSTGRES_DSN": filled.owner_dsn,
        "OMNIJOURNEY_POSTGRES_PASSWORD": filled.password,
        "OMNIJOURNEY_TOKEN": filled.token,
        "OMNIJOURNEY_SECRET_KEYS": filled.secret_keys,
        "OMNIJOURNEY_REDIS_URL": filled.redis_url,
    }
    for name in (MIGRATE, *SERVICES, CONSOLE):
        file = UNITS / ("omnijourney@.service" if name in SERVICES else f"omnijourney-{name}.service")
        settings = unit(file, name)
        environment: dict[str, str] = {}
        for each in settings["EnvironmentFile"]:
            shipped = UNITS / Path(each).name
            if shipped.exists() or not each.startswith("-"):
                environment |= variables_of(shipped.read_text(encoding="utf-8"))
        environment |= {variable: own[variable] for variable in environment.keys() & own.keys()}
        environment |= variables_of("\n".join(settings.get("Environment", [])))
        (command,) = settings["ExecStart"]
        credentials = ""
        for each in settings.get("LoadCredential", []):
            key, _, path = each.partition(":")
            assert environment[_CREDENTIALS] == f"%d/{key}"
            credentials = Path(path).name
        yield Process(
            name, command.replace("${STATE_DIRECTORY}", "/state").split()[1:], environment, credentials
        )


# ---------------------------------------------------------------- the chart
VALUES: Final[dict[str, Any]] = {
    "image": {"repository": "registry.example/omnijourney"},
    "owner": {"existingSecret": "owner"},
    "secretKeys": {"existingSecret": "keys"},
    "redis": {"existingSecret": "redis"},
}
WITH_CONSOLE: Final[dict[str, Any]] = {
    **VALUES,
    "console": {"enabled": True, "sessionKeys": {"existingSecret": "keys"}},
}
"""The least that the chart must be told."""


def rendered(values: Mapping[str, Any], name: str = "omnijourney") -> list[dict[str, Any]]:
    """The objects that the chart makes of the values. Raises ImportError where Helm's library is not installed."""
    from helm_python import Chart  # noqa: PLC0415 - not everybody has it

    made: Mapping[str, str] = Chart.load(str(CHART)).render(dict(values), name=name, namespace="shop")
    texts = [text for path, text in made.items() if path.endswith(".yaml")]
    return [found for text in texts for found in yaml.safe_load_all(text) if found]


def chart(filled: Filled, values: Mapping[str, Any] = WITH_CONSOLE) -> Iterator[Process]:
    """The containers of the chart's job and deployments."""
    secrets = {
        "owner": {"dsn": filled.owner_dsn, "password": filled.password, "token": filled.token},
        "keys": {"keys": filled.secret_keys},
        "redis": {"url": filled.redis_url},
    }
    found = rendered(values)
    for described in found:
        if described["kind"] in {"Job", "Deployment"}:
            pod = described["spec"]["template"]["spec"]
            (container,) = pod["containers"]
            python, *options = container["command"] + container["args"]
            assert python == "python"
            seen = [each["subPath"] for each in container["volumeMounts"] if "subPath" in each]
            yield Process(
                described["metadata"]["labels"]["app.kubernetes.io/component"],
                options,
                _injected(found, pod) | dict(_environment(container, secrets)),
                Path(seen[0]).name if seen else "",
                container.get("readinessProbe", {}).get("exec", {}).get("command", [])[1:],
            )


def _environment(
    container: Mapping[str, Any], secrets: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, str]]:
    for each in container["env"]:
        asked = each.get("valueFrom", {}).get("secretKeyRef", {})
        if "value" in each:
            yield each["name"], each["value"]
        elif not asked.get("optional") or asked["key"] in secrets[asked["name"]]:
            # Secrets are in base64: what a person writes there comes out as it was.
            held = base64.b64encode(secrets[asked["name"]][asked["key"]].encode())
            yield each["name"], base64.b64decode(held).decode()


def _injected(found: list[dict[str, Any]], pod: Mapping[str, Any]) -> dict[str, str]:
    """The variables that Kubernetes adds for each service of the namespace, unless it is asked not to."""
    if not pod.get("enableServiceLinks", True):
        return {}
    services = [each for each in found if each["kind"] == "Service"]
    return {
        f"{each['metadata']['name'].upper().replace('-', '_')}_PORT": f"tcp://10.0.0.1:{each['spec']['ports'][0]['port']}"
        for each in services
    }
