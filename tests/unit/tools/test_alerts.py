"""Rules of Prometheus and dashboards of Grafana in `deploy`: of metrics that there are, each alert with its section."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import prometheus_client
import pytest
import yaml

from tools import metrics_page
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
    known = {rule["record"] for rule in _rules() if "record" in rule}
    for each in metrics_page.defined():
        ends = ("_bucket", "_sum", "_count") if each.kind == "histogram" else ("",)
        known.update(each.name + end for end in ends)
    return known


@pytest.mark.parametrize("rule", list(_rules()), ids=lambda rule: rule.get("alert") or rule["record"])
def test_each_rule_is_of_metrics_that_there_are(rule: dict[str, str]) -> None:
    assert _names_in(rule["expr"]) <= _known()


def test_the_page_of_metrics_is_what_the_code_says() -> None:
    assert metrics_page.PAGE.read_text(encoding="utf-8") == metrics_page.page(), "run: make metrics"


def test_each_metric_of_an_alert_leads_to_it() -> None:
    alerts = metrics_page.alerts_of()
    assert alerts["omnijourney_gateway_outcomes_total"] == ["SendsFail"], "by what a rule records of it"
    for rule in _rules():
        if "alert" in rule and _names_in(rule["expr"]):
            assert any(rule["alert"] in each for each in alerts.values()), rule["alert"]


@pytest.mark.rule("T-07a")
def test_no_label_is_one_that_a_scrape_adds_and_no_series_has_a_twin() -> None:
    configured = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text(encoding="utf-8"))
    targets = [target for job in configured["scrape_configs"] for target in job["static_configs"]]
    added = {"job", "instance"}.union(*(target["labels"] for target in targets))
    assert not {each.name: each.labels for each in metrics_page.defined() if added & {*each.labels}}
    shown = prometheus_client.generate_latest().decode()
    assert "omnijourney_" in shown
    assert "_created" not in shown


def test_what_counts_faults_says_what_to_do() -> None:
    silent = [
        each.name
        for each in metrics_page.defined()
        if re.search(r"_faults_|_failed_|_set_aside_|_findings_", each.name)
        and not each.remedy
        and each.name not in metrics_page.alerts_of()
    ]
    assert silent == []


@pytest.mark.rule("T-07c")
def test_each_alert_has_its_section_and_each_section_its_alert() -> None:
    alerts = [rule["alert"] for rule in _rules() if "alert" in rule]
    sections = re.findall(
        r"^## (\w+)$", (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sections == alerts


@pytest.mark.rule("T-07c")
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


@pytest.mark.rule("T-07b")
def test_there_are_four_dashboards() -> None:
    titles = {json.loads(file.read_text(encoding="utf-8"))["title"] for file in DASHBOARDS}
    assert titles == {"Overview", "Journeys and nodes", "Channels and quota", "Runtime"}
