"""`make metrics`: the page of all metrics, written from the code that defines them."""

import importlib
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import yaml

from libs.common import metrics
from libs.common.config import DEFAULT_PORTS
from tools.paths import ROOT

PAGE: Final = ROOT / "docs" / "metrics.md"
ALERTS: Final = ROOT / "deploy" / "prometheus" / "alerts.yml"
_COMMON: Final = "Every service"
_ENDS: Final = r"(?:_bucket|_sum|_count)?(?![\w:])"

_HEAD: Final = """\
# Metrics

What each service serves at `/metrics`. Prometheus adds `component`, the service that it was read from. A name ends in
its unit; a histogram has `_bucket`, `_sum` and `_count`. Where nothing is to be done the last column is empty. `make
metrics` writes this page from the code and the alerts, and a test holds it to them.

## Labels

No label has a team, a customer or anything else without bound: labels are of a closed list, and so are their values.

| label | values |
|---|---|
"""


def defined() -> list[metrics.Definition]:
    """Every metric of the product, by name."""
    importlib.import_module("libs.common.app")
    homes = [f"services.{service}.metrics" for service in DEFAULT_PORTS]
    for home in homes:
        importlib.import_module(home)
    return [
        each for each in metrics.definitions() if each.home in homes or each.home.startswith("libs.common.")
    ]


def alerts_of() -> dict[str, list[str]]:
    """Of each metric that alerts look at, perhaps by what a rule records of it: their names."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    recorded = {rule["record"]: rule["expr"] for rule in rules if "record" in rule}
    found: defaultdict[str, list[str]] = defaultdict(list)
    for rule in rules:
        if "alert" not in rule:
            continue
        looked_at = " ".join(
            [rule["expr"], *(expr for name, expr in recorded.items() if name in rule["expr"])]
        )
        for each in defined():
            if re.search(each.name + _ENDS, looked_at):
                found[each.name].append(rule["alert"])
    return dict(found)


def page() -> str:
    """The page, in Markdown."""
    used = {label for each in defined() for label in each.labels}
    labels = [f"| `{label}` | {values} |" for label, values in metrics.LABELS.items() if label in used]
    sections: defaultdict[str, list[metrics.Definition]] = defaultdict(list)
    for each in defined():
        sections[_section(each)].append(each)
    alerts = alerts_of()
    parts = [
        "\n".join(
            [f"## {name}", "", "| name | type | labels | meaning | what to do |", "|---|---|---|---|---|"]
        )
        + "\n"
        + "\n".join(_row(each, alerts.get(each.name, ())) for each in sections[name])
        for name in (_COMMON, *DEFAULT_PORTS)
    ]
    return "\n\n".join([_HEAD + "\n".join(labels), *parts]) + "\n"


def _section(each: metrics.Definition) -> str:
    return each.home.split(".")[1] if each.home.startswith("services.") else _COMMON


def _row(each: metrics.Definition, alerts: Sequence[str]) -> str:
    labels = ", ".join(f"`{label}`" for label in each.labels)
    return f"| `{each.name}` | {each.kind} | {labels} | {each.meaning} | {_what_to_do(each, alerts)} |"


def _what_to_do(each: metrics.Definition, alerts: Sequence[str]) -> str:
    called = [f"Alert [{name}](alerts.md#{name.lower()})." for name in alerts]
    return " ".join([*called, each.remedy]).strip()


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{len(defined())} metrics in {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
