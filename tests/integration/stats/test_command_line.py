"""Figures on the command line say what the RPCs say, and of what there is none a dash with the reason."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from libs.cli import figures
from libs.cli.journeys import Command
from libs.testing.history_rows import JOURNEY, NOON, TEAM, opened
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.journey.v1 import journey_service_pb2 as journey
from tests.integration.stats.conftest import Stats
from tests.integration.stats.test_attribution import HOUR, bought
from tests.integration.stats.test_rebuilds import PEOPLE, record_a_day

OF = (str(TEAM), str(JOURNEY))


async def _said(stats: Stats, command: Command, capsys: pytest.CaptureFixture[str]) -> str:
    client: Any = SimpleNamespace(stats=stats.stub)
    capsys.readouterr()
    assert await command(client) == 0
    return capsys.readouterr().out


def _by_name(text: str) -> dict[str, str]:
    return {line[:16].strip(): line[17:] for line in text.splitlines()}


@pytest.mark.rule("T-01i", "T-02c", "T-03", "T-04", "T-05e")
async def test_figures_are_told_with_reasons_for_those_that_are_absent(
    stats: Stats, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = _by_name(await _said(stats, figures.overview(*OF, as_json=False), capsys))
    assert nothing["completed"] == "0  (– division by zero)"
    assert (nothing["return"], nothing["revenue"]) == ("– division by zero", "0")
    record_a_day(stats)
    many = len(PEOPLE)
    waits = journey.CountWaitsResponse()
    waits.waits.add(node_id="pause", wait_reason=enrolment_pb2.WAIT_REASON_DELAY, enrolment_count=3)
    stats.feeds["journey"].answers["CountWaits"] = waits
    stats.feeds["channel_gateway"].record(opened(PEOPLE[0], NOON - HOUR))
    stats.feeds["segment"].record(bought(PEOPLE[0], "mine", NOON))
    await stats.settle()
    eight = _by_name(await _said(stats, figures.overview(*OF, as_json=False), capsys))
    assert (eight["triggered"], eight["completed"]) == (f"{2 * many + 1}", f"{2 * many}  (96.0%)")
    assert (eight["messages sent"], eight["message cost"]) == (f"{many}", f"{many / 2:.2f} HKD")
    assert eight["return"] == "– no currency rate", "what was earned in TWD and spent in HKD"
    assert eight["revenue"].endswith("TWD")
    (message,) = (await _said(stats, figures.messages(*OF, as_json=False), capsys)).splitlines()
    assert f"WHATSAPP    sent {many}; delivered – not measured; read {many};" in message
    assert "skipped 1 (UNBOUND 1)" in message
    nodes = await _said(stats, figures.nodes(*OF, as_json=False), capsys)
    assert "dropped 1 (" in nodes
    assert "(JOURNEY_STOPPED 1)" in nodes
    assert "3 wait, DELAY" in nodes
    (lift,) = (await _said(stats, figures.lift(*OF, as_json=False), capsys)).splitlines()
    assert " … " in lift
    team = _by_name(await _said(stats, figures.team(str(TEAM), as_json=False), capsys))
    assert (team["orders"], team["sent, WHATSAPP"]) == (f"{many + 1}", f"{many}  ({many / 2:.2f} HKD)")
    order = _by_name(await _said(stats, figures.order(str(TEAM), "shop", "mine", as_json=False), capsys))
    assert (order["reason"], order["journey"], order["revenue"]) == ("LAST_CLICK", str(JOURNEY), "90.00 TWD")
    as_json = await _said(stats, figures.order(str(TEAM), "shop", "mine", as_json=True), capsys)
    assert json.loads(as_json)["reason"] == "ATTRIBUTION_REASON_LAST_CLICK"
