"""Checks, report, receipts and tables on figures made by hand."""

import io
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from libs.demo.attributed import Attributed
from libs.demo.checks import check
from libs.demo.definitions import BIG_BASKET, FAVOURITE_ITEM, VIP_WELCOME
from libs.demo.expected import Expected
from libs.demo.figures import (
    Channel,
    CountedPoints,
    Figures,
    Journey,
    Messages,
    Points,
    Simulated,
    Step,
    report_of,
    write_report,
)
from libs.demo.patience import DemoFault
from libs.demo.receipts import GrowingJournals, read_receipts
from libs.demo.tables import show_checks, show_figures
from libs.demo.workplace import fresh_directory
from libs.emulators.journal import Journal

EXPECTED = Expected(
    orders=10,
    refunds=2,
    anonymous=1,
    customers=5,
    earned=100,
    refund_asked=30,
    earning_orders=9,
    big_baskets=3,
    big_customers=2,
    favourite_orders=4,
    favourite_reachable=3,
    favourite_customers=3,
)
POINTS = Points(
    entries=12, earned=100, refunded=20, refund_shortfall=10, journey=50, balance=130, cumulative=150
)


def journey(name: str, triggered: int, sent: int, nodes: dict[str, int], refused: int = 0) -> Journey:
    steps = tuple(Step(node, "step", ()) for node in nodes)
    return Journey(
        name=name,
        channel="WhatsApp",
        status="ACTIVE",
        reason=None,
        triggered=triggered,
        refused=refused,
        completed=triggered,
        halted=0,
        messages=Messages(sent=sent, failed=0, skipped=0, unknown=0),
        nodes=nodes,
        cost="HKD 1",
        steps=steps,
        enrolments={"COMPLETED": triggered},
    )


def good_figures() -> Figures:
    big = {
        "thanks": 2,
        "next-day": 2,
        "many-points": 2,
        "make-vip": 1,
        "bonus": 1,
        "reward": 1,
        "encourage": 1,
    }
    journeys = [
        journey(BIG_BASKET, 2, 4, big, refused=1),
        replace(journey(FAVOURITE_ITEM, 4, 3, {"remind": 4}), messages=Messages(3, 0, 1, 0)),
        journey(VIP_WELCOME, 1, 1, {"platinum": 1, "welcome": 1}),
    ]
    return Figures(
        orders=10,
        refunds=2,
        anonymous=1,
        customers=5,
        points=POINTS,
        stats_points=CountedPoints.of(POINTS),
        balances=(130, 150),
        ledger_findings=0,
        journeys={each.name: each for each in journeys},
        channels={"whatsapp": Channel(5, 5, 5, 0), "line": Channel(3, 3, 3, 0)},
        events_per_s=123.456,
        wall_s=12.34,
    )


def test_figures_that_agree_pass_every_check() -> None:
    checks = check(good_figures(), EXPECTED)
    assert [found for found in checks if not found.good] == []
    assert len(checks) > 40


def with_simulations(**changes: Simulated) -> Figures:
    """Good figures, and simulations that agree with them but for `changes`, by journey with underscores."""
    figures = good_figures()
    agreeing = {
        each.name: Simulated(each.triggered, each.refused, each.messages.sent, dict(each.nodes))
        for each in figures.journeys.values()
    }
    changed = {name.replace("_", "-"): simulated for name, simulated in changes.items()}
    return replace(figures, simulated={**agreeing, **changed})


@pytest.mark.rule("J-40c")
def test_a_simulation_is_held_to_what_was_counted_node_by_node() -> None:
    assert [found for found in check(with_simulations(), EXPECTED) if not found.good] == []
    other = with_simulations(vip_welcome=Simulated(1, 0, 1, {"platinum": 1, "welcome": 0}))
    bad = [found.what for found in check(other, EXPECTED) if not found.good]
    assert bad == ["vip-welcome: visits of `welcome` in the simulation = visits"]
    text = io.StringIO()
    show_figures(Console(file=text, width=120), other)
    assert [line.split() for line in text.getvalue().splitlines() if line.split()[:1] == ["welcome"]] == [
        ["welcome", "1", "0"]
    ]


def test_a_simulation_may_differ_by_those_who_are_undecided() -> None:
    nodes = {"make-vip": 2, "bonus": 2, "reward": 2, "encourage": 0}
    big = good_figures().journeys[BIG_BASKET]
    figures = with_simulations(big_basket=Simulated(2, 1, 4, {**big.nodes, **nodes}))
    assert len([each for each in check(figures, EXPECTED) if not each.good]) == 4
    assert [each for each in check(figures, replace(EXPECTED, undecided=1)) if not each.good] == []


def test_of_a_journey_that_its_cap_stopped_only_what_was_sent_is_compared() -> None:
    figures = with_simulations(favourite_item=Simulated(3, 0, 3, {"remind": 3}))
    stopped = replace(figures.journeys[FAVOURITE_ITEM], status="STOPPED", reason="LINE_CAP_REACHED")
    figures = replace(figures, journeys={**figures.journeys, FAVOURITE_ITEM: stopped})
    wrong = [each.what for each in check(figures, EXPECTED) if not each.good]
    assert not [what for what in wrong if "simulation" in what]


def test_what_links_led_to_is_held_to_the_recount_and_the_checker_to_nothing_found() -> None:
    figures = good_figures()
    led_to = Attributed(2, 3, Decimal("30.50"))
    big = replace(figures.journeys[BIG_BASKET], attributed=led_to, return_on_ad_spend=30.5 / 2)
    figures = replace(
        figures,
        journeys={**figures.journeys, BIG_BASKET: big},
        recounted={BIG_BASKET: led_to},
        statistics_compared=100,
    )
    expected = replace(EXPECTED, message_prices={"whatsapp": Decimal("0.5")})
    assert [each for each in check(figures, expected) if not each.good] == []
    other = replace(
        figures,
        recounted={BIG_BASKET: Attributed(1, 4, Decimal(30))},
        statistics_findings=("points: earned",),
    )
    assert [each.what for each in check(other, expected) if not each.good] == [
        "big-basket: clicked in stats = messages whose link was opened",
        "big-basket: orders in stats = recounted orders",
        "big-basket: revenue in stats = recounted revenue",
        "big-basket: return on ad spend",
        "figures that differ from the records, by stats' checker",
    ]
    assert report_of(figures)["attribution"][BIG_BASKET] == {
        "clicked": 2,
        "orders": 3,
        "revenue": "30.50",
        "return_on_ad_spend": 15.25,
    }


def test_a_disagreement_is_found_and_shown() -> None:
    figures = good_figures()
    wrong = replace(figures, channels={**figures.channels, "line": Channel(3, 3, 2, 0)})
    checks = check(wrong, EXPECTED)
    bad = [found.what for found in checks if not found.good]
    assert bad == [
        "line: sent in stats = received by the emulator",
        "line: sent in the gateway = received by the emulator",
    ]
    text = io.StringIO()
    show_checks(Console(file=text, width=120), checks)
    assert "2 of" in text.getvalue()
    assert "line: sent in stats = received by the emulator: 3 ≠ 2" in text.getvalue()


def test_the_cap_stops_the_journey_with_its_reason() -> None:
    figures = good_figures()
    reachable = replace(EXPECTED, favourite_reachable=150, favourite_orders=200)
    stopped = replace(
        figures.journeys[FAVOURITE_ITEM],
        status="STOPPED",
        reason="LINE_CAP_REACHED",
        triggered=160,
        completed=155,
        halted=5,
        messages=Messages(100, 0, 55, 0),
        enrolments={"COMPLETED": 155, "HALTED": 5},
    )
    capped = replace(
        figures,
        journeys={**figures.journeys, FAVOURITE_ITEM: stopped},
        channels={**figures.channels, "line": Channel(100, 100, 100, 0)},
    )
    assert [found.what for found in check(capped, reachable) if not found.good] == []
    still_open = replace(stopped, status="ACTIVE", reason=None)
    capped.journeys[FAVOURITE_ITEM] = still_open
    assert [found.what for found in check(capped, reachable) if not found.good] == [
        "favourite-item: stands at"
    ]


def test_the_report_has_the_agreed_form(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "r.json"
    write_report(good_figures(), path)
    report = json.loads(path.read_text())
    assert report == report_of(good_figures())
    assert list(report) == [
        "orders",
        "refunds",
        "anonymous",
        "customers",
        "points",
        "journeys",
        "attribution",
        "channels",
        "events_per_s",
        "wall_s",
    ]
    assert report["points"] == {
        "entries": 12,
        "earned": 100,
        "refunded": 20,
        "refund_shortfall": 10,
        "journey": 50,
        "balance": 130,
        "cumulative": 150,
    }
    assert report["journeys"]["vip-welcome"] == {
        "status": "ACTIVE",
        "reason": None,
        "triggered": 1,
        "refused": 0,
        "completed": 1,
        "halted": 0,
        "messages": {"sent": 1, "failed": 0, "skipped": 0, "unknown": 0},
        "nodes": {"platinum": 1, "welcome": 1},
    }
    assert report["channels"]["line"] == {"sent": 3, "received_by_emulator": 3}


def test_the_tables_show_status_tree_points_and_messages() -> None:
    text = io.StringIO()
    show_figures(Console(file=text, width=140), good_figures())
    for part in (
        "big-basket",
        "ACTIVE",
        "thanks",
        "cumulative",
        "150",
        "received by the emulator",
        "whatsapp",
    ):
        assert part in text.getvalue()


def test_receipts_count_distinct_messages_and_doubles(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "line.jsonl")
    journals = GrowingJournals(tmp_path)
    assert list(journals.lines()) == []
    for number, key in (("1", "a"), ("2", "b"), ("3", "a"), ("4", None)):
        journal.append([{"id": number, "recipient": "U1", "retry_key": key}])
    journal.close()
    assert [len(list(journals.lines())) for _ in range(2)] == [4, 0]
    receipts = read_receipts(tmp_path, "line")
    assert (receipts.received, receipts.doubles, receipts.recipients) == (4, 1, 1)
    assert read_receipts(tmp_path, "whatsapp").received == 0


def test_the_demo_empties_its_own_directory_and_no_other(tmp_path: Path) -> None:
    with fresh_directory(tmp_path) as first:
        (first / "old").touch()
        with pytest.raises(DemoFault, match="another demo runs"), fresh_directory(tmp_path):
            pass
    with fresh_directory(tmp_path) as second:
        assert second == first == tmp_path / "demo"
        assert not (second / "old").exists()
    foreign = tmp_path / "other"
    (foreign / "demo").mkdir(parents=True)
    with pytest.raises(DemoFault, match="was not made by a demo"), fresh_directory(foreign):
        pass
