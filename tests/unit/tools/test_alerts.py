"""Rules of Prometheus and dashboards of Grafana in `deploy`: of metrics that there are, each alert with its section."""

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from libs.common.metrics import definitions
from tools.paths import ROOT

DEPLOYED = ROOT / "deploy" / "prometheus"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
_OURS = re.compile(r"omnijourney[_:][\w:]+")


def _rules() -> Iterator[dict[str, str]]:
    for group in yaml.safe_load((DEPLOYED / "alerts.yml").read_text(encoding="utf-8"))["groups"]:
        yield from group["rules"]


def _names_in(expression: str) -> set[str]:
    return set(_OURS.findall(expression))


def _known() -> set[str]:
    """What Prometheus has of ours: each series that the services declare, and what rules record."""
    importlib.import_module("libs.common.app")
    for file in sorted((ROOT / "services").glob("*/metrics.py")):
        importlib.import_module(f"services.{file.parent.name}.metrics")
    known = {rule["record"] for rule in _rules() if "record" in rule}
    for each in definitions():
        ends = ("_bucket", "_sum", "_count") if each.kind == "histogram" else ("",)
        known.update(each.name + end for end in ends)
    return known


@pytest.mark.parametrize("rule", list(_rules()), ids=lambda rule: rule.get("alert") or rule["record"])
def test_each_rule_is_of_metrics_that_there_are(rule: dict[str, str]) -> None:
    assert _names_in(rule["expr"]) <= _known()


def test_each_alert_has_its_section_and_each_section_its_alert() -> None:
    alerts = [rule["alert"] for rule in _rules() if "alert" in rule]
    sections = re.findall(
        r"^## (\w+)$", (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sections == alerts


def test_each_alert_is_tried() -> None:
    tried = yaml.safe_load((DEPLOYED / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    names = {case["alertname"] for test in tried for case in test.get("alert_rule_test", [])}
    assert names == {rule["alert"] for rule in _rules() if "alert" in rule}


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_each_panel_is_of_metrics_that_there_are_and_each_series_has_a_name(file: Path) -> None:
    dashboard = json.loads(file.read_text(encoding="utf-8"))
    titles = [panel["title"] for panel in dashboard["panels"]]
    assert len(set(titles)) == len(titles)
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            assert _names_in(target["expr"]) <= _known(), panel["title"]
            assert target["legendFormat"], panel["title"]
            assert panel["datasource"]["uid"] == "prometheus"


def test_there_are_four_dashboards() -> None:
    titles = {json.loads(file.read_text(encoding="utf-8"))["title"] for file in DASHBOARDS}
    assert titles == {"Overview", "Journeys and nodes", "Channels and quota", "Runtime"}
