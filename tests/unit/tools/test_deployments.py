"""What image, compose, units and chart promise, read from their files: rights, grace periods, health checks."""

from __future__ import annotations

import fnmatch
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from libs.client.services import SERVICES
from libs.common.app import WORKER_GRACE_S
from libs.common.config import DEFAULT_PORTS, METRICS_PORT_DISTANCE
from libs.common.mailbox.relay import DRAIN_GRACE_S as RELAY_GRACE_S
from libs.common.process import EXIT_DATABASE_UNFIT
from libs.common.rpc.server import DRAIN_GRACE_S
from services.channel_gateway.servicer.http.listener import GRACE_S as HTTP_GRACE_S
from services.channel_gateway.worker.inbox import DRAIN_S as INBOX_GRACE_S
from tests.deployments import CHART, DEPLOY, UNITS, VALUES, containers, rendered, unit
from tools.paths import ROOT

STOPS_WITHIN_S: Final = HTTP_GRACE_S + DRAIN_GRACE_S + INBOX_GRACE_S + RELAY_GRACE_S + 2 * WORKER_GRACE_S
"""Longest that a service takes to drain: HTTP, gRPC, inbox, mail, workers, connections."""
needs_helm = pytest.mark.skipif(
    importlib.util.find_spec("helm_python") is None, reason="Helm's library is not installed: make chart"
)
KUBERNETES: Final = ("1.30.0", "1.37.0")
"""The oldest that the chart takes, and the newest whose schemas there are."""
KINDS: Final = ("Service", "PodDisruptionBudget")
LINTED_AS_ERROR: Final = 2
OTHERS: Final[dict[str, dict[str, Any]]] = {
    "least": VALUES,
    "all": {
        **VALUES,
        "image": {
            "repository": "registry.example/o",
            "digest": f"sha256:{'0' * 64}",
            "pullSecrets": ["registry"],
        },
        "tls": {"existingSecret": "tls", "clients": "required"},
        "services": {"journey": {"replicas": 2, "autoscaling": {"enabled": True, "cpuPercent": 80}}},
        "ingress": {"enabled": True, "host": "shop.example", "tlsSecret": "shop", "className": "nginx"},
        "console": {
            "enabled": True,
            "sessionKeys": {"existingSecret": "sessions"},
            "url": "https://console.example",
            "oidc": {"issuer": "https://login.example", "clientId": "console", "existingSecret": "people"},
            "ingress": {"host": "console.example", "tlsSecret": "console"},
        },
        "networkPolicy": {
            "grpcFrom": [{"namespaceSelector": {"matchLabels": {"team": "shop"}}}],
            "metricsFrom": [{"namespaceSelector": {}}],
            "httpFrom": [{"podSelector": {}}],
            "postgresTo": [{"ipBlock": {"cidr": "10.1.0.0/16"}}],
        },
        "podAnnotations": {"example": "yes"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "nodeSelector": {"disk": "ssd"},
    },
    "credentials of one's own": {
        **VALUES,
        "owner": {},
        "credentials": {"existingSecret": "files"},
        "migrate": {"enabled": False},
    },
}


# ---------------------------------------------------------------- the image
def test_what_the_image_copies_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = [line[1:] for line in ignored if line.startswith("!")]
    copied = re.findall(
        r"^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE
    )
    for source in " ".join(copied).split():
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, each) for each in let_through), source


def test_who_stops_a_service_waits_longer_than_it_drains() -> None:
    graces = [int(each["stop_grace_period"].rstrip("s")) for name, each in _services_of_compose()]
    (unit_s,) = unit(UNITS / "omnijourney@.service")["TimeoutStopSec"]
    for grace_s in (*graces, int(unit_s)):
        assert grace_s > STOPS_WITHIN_S


def _services_of_compose() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, each in containers().items():
        if each.get("command", [""])[0].startswith("services."):
            yield name, each


def test_no_container_of_ours_may_do_more_than_it_needs() -> None:
    ours = {name: each for name, each in containers().items() if each["image"] == "omnijourney"}
    for name in ours.keys() - {"migrate"}:
        assert ours[name]["read_only"], name
        assert ours[name]["cap_drop"] == ["ALL"], name
        assert ours[name]["security_opt"] == ["no-new-privileges:true"], name
    assert ours["emulators"]["profiles"] == ["emulators"]
    # The gateway's plain HTTP goes to its own loopback only.
    assert ours["emulators"]["network_mode"] == "service:channel-gateway"


def test_what_is_mounted_from_here_is_here() -> None:
    mounted = [
        mount.split(":")[0]
        for each in containers().values()
        for mount in each.get("volumes", [])
        if isinstance(mount, str) and mount.startswith("./")
    ]
    assert {"./deploy/prometheus", "./deploy/grafana/dashboards"} <= set(mounted)
    assert [folder for folder in mounted if not any((ROOT / folder).iterdir())] == []


# ---------------------------------------------------------------- the units
@pytest.fixture
def installed_units(tmp_path: Path) -> Path:
    """The units, with this machine's Python in the place of the installation's."""
    for file in (*UNITS.glob("*.service"), *UNITS.glob("*.target")):
        text = file.read_text(encoding="utf-8").replace("/opt/omnijourney/bin/python", sys.executable)
        (tmp_path / file.name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine")
def test_systemd_takes_the_units_and_finds_little_to_attack(installed_units: Path) -> None:
    wanted = [f"omnijourney@{service}.service" for service in SERVICES]
    names = ["omnijourney.target", "omnijourney-migrate.service", "omnijourney-console.service", *wanted]
    files = [str(installed_units / name) for name in names]
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    judged = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", *files[1:4]]
    assert subprocess.run(judged, capture_output=True, check=False).returncode == 0
    assert unit(UNITS / "omnijourney.target")["Wants"] == [" ".join([*wanted, "omnijourney-console.service"])]


def test_a_unit_is_handed_its_own_credentials_by_systemd() -> None:
    migrate, service = (
        unit(UNITS / "omnijourney-migrate.service"),
        unit(UNITS / "omnijourney@.service", "points"),
    )
    (state,), (loaded,) = migrate["StateDirectory"], service["LoadCredential"]
    assert loaded == f"own.env:/var/lib/private/{state}/points.env"
    assert migrate["DynamicUser"] == service["DynamicUser"] == ["yes"]
    assert "/etc/omnijourney/owner.env" not in service["EnvironmentFile"]
    assert str(EXIT_DATABASE_UNFIT) in service["RestartPreventExitStatus"][0].split()


# ---------------------------------------------------------------- the chart
@needs_helm
@pytest.mark.parametrize("values", OTHERS.values(), ids=OTHERS.keys())
def test_helm_finds_no_fault_and_kubernetes_knows_every_field(values: dict[str, Any]) -> None:
    import helm_python  # noqa: PLC0415 - not everybody has them
    import kubernetes_validate  # noqa: PLC0415

    report = helm_python.lint(str(CHART), values, strict=True)
    assert [each for each in report["messages"] if each["severity"] >= LINTED_AS_ERROR] == []
    # Its schemas are large: the objects that all values make have every field.
    for version in KUBERNETES if values is OTHERS["all"] else KUBERNETES[-1:]:
        for described in rendered(values):
            kubernetes_validate.validate(described, version, strict=True)


@needs_helm
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"image": {"repository": ""}}, "/image/repository"),
        ({"owner": {}}, "/owner"),
        ({"redis": {}}, "/redis"),
        ({"services": {"journey": {"replicas": 0}}}, "/services/journey/replicas"),
        ({"services": {"jorney": {"replicas": 1}}}, "jorney"),
        ({"settings": {"OMNIJOURNEY_LINK_DAYS": 30}}, "/settings/OMNIJOURNEY_LINK_DAYS"),
        ({"settings": {"LINK_DAYS": "30"}}, "LINK_DAYS"),
        ({"drainSeconds": 10}, "/drainSeconds"),
        ({"ingress": {"enabled": True}}, "/ingress/host"),
        ({"console": {"enabled": True}}, "/console/sessionKeys/existingSecret"),
        ({"console": {"oidc": {"issuer": "https://login.example"}}}, "/console/oidc/"),
        ({"console": {"oidc": {"issuer": "http://login.example"}}}, "/console/oidc/issuer"),
        ({"imagee": {}}, "imagee"),
    ],
)
def test_a_value_that_cannot_be_is_named(change: dict[str, Any], named: str) -> None:
    from helm_python import HelmError  # noqa: PLC0415 - not everybody has it

    with pytest.raises(HelmError, match=re.escape(named)):
        rendered({**VALUES, **change})


@needs_helm
def test_each_service_of_the_chart_has_what_it_needs_and_no_more() -> None:
    found = rendered(OTHERS["all"])
    deployments = {each["metadata"]["name"]: each["spec"] for each in found if each["kind"] == "Deployment"}
    assert len(deployments) == len(SERVICES) + 1
    for service in SERVICES:
        spec = deployments[f"omnijourney-{service.replace('_', '-')}"]["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert not spec["automountServiceAccountToken"]
        # Kubernetes would set OMNIJOURNEY_POINTS_PORT=tcp://… for the service omnijourney-points.
        assert not spec["enableServiceLinks"]
        (container,) = spec["containers"]
        waited_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert spec["terminationGracePeriodSeconds"] - waited_s > STOPS_WITHIN_S
        port = DEFAULT_PORTS[service]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["exec"]["command"] == ["python", "-m", "libs.probe", f"127.0.0.1:{port}"]
        open_ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        assert open_ports.items() >= {"grpc": port, "metrics": port + METRICS_PORT_DISTANCE}.items()
        for each in (container, *spec["initContainers"]):
            assert each["securityContext"]["readOnlyRootFilesystem"]
            assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        variables = {each["name"] for each in container["env"]}
        assert not variables & {
            "OMNIJOURNEY_POSTGRES_DSN",
            "OMNIJOURNEY_POSTGRES_PASSWORD",
            "OMNIJOURNEY_TOKEN",
        }
        assert ("OMNIJOURNEY_SECRET_KEYS" in variables) == (service == "channel_gateway")
        (own,) = [each for each in container["volumeMounts"] if each["name"] == "credentials"]
        assert own["subPath"] == f"files/{service}.env"
    names = {kind: {each["metadata"]["name"] for each in found if each["kind"] == kind} for kind in KINDS}
    assert names["PodDisruptionBudget"] == deployments.keys()
    called = {f"{name}-pods" for name in deployments if name != "omnijourney-console"}
    assert names["Service"] == deployments.keys() | called
    (job,) = [each for each in found if each["kind"] == "Job"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


@needs_helm
def test_with_files_of_credentials_no_pod_has_anything_of_the_owners() -> None:
    found = rendered(OTHERS["credentials of one's own"])
    assert [each for each in found if each["kind"] == "Job"] == []
    for each in found:
        if each["kind"] == "Deployment":
            assert "initContainers" not in each["spec"]["template"]["spec"]


@needs_helm
def test_each_service_names_the_others_as_they_are_named_in_the_chart() -> None:
    for name in ("omnijourney", "shop", "a-name-that-is-much-longer-than-names-of-objects-may-be"):
        found = rendered(VALUES, name=name[:53])
        services = {
            f"dns:///{each['metadata']['name']}:{port['port']}"
            for each in found
            if each["kind"] == "Service" and each["spec"].get("clusterIP") == "None"
            for port in each["spec"]["ports"]
        }
        for each in found:
            if each["kind"] == "Deployment":
                (container,) = each["spec"]["template"]["spec"]["containers"]
                targets = {v["value"] for v in container["env"] if v["name"].endswith("_TARGET")}
                assert len(targets) == len(SERVICES)
                assert targets <= services


@needs_helm
def test_journey_grows_by_how_long_its_mail_waits() -> None:
    (scaler,) = [each for each in rendered(OTHERS["all"]) if each["kind"] == "HorizontalPodAutoscaler"]
    (metric,) = [
        each["pods"]["metric"]["name"] for each in scaler["spec"]["metrics"] if each["type"] == "Pods"
    ]
    rule = (DEPLOY / "helm" / "prometheus-adapter.yaml").read_text(encoding="utf-8")
    assert f"as: {metric} " in rule
    metrics = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for series in re.findall(r"(omnijourney_\w+)\{", rule):
        assert f"`{re.sub('_(sum|count)$', '', series)}` | histogram" in metrics
    (journey,) = [
        each
        for each in rendered(OTHERS["all"])
        if each["kind"] == "Deployment"
        and each["metadata"]["name"] == scaler["spec"]["scaleTargetRef"]["name"]
    ]
    # With a number of its own each release would put back what the autoscaler has set.
    assert "replicas" not in journey["spec"]
