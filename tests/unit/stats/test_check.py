"""The checker sees every difference, and none where there is none."""

from libs.testing.history_rows import JOURNEY, WHATSAPP
from services.stats.domain.check import (
    LedgerFigures,
    Place,
    RunFigures,
    SendFigures,
    compare_ledger,
    compare_runs,
    compare_sends,
    ledger_recorded,
)
from services.stats.domain.model import NO_JOURNEY, Metric, Total

LEDGER = {40: 5, 41: 15, 42: 3, 47: 2, 43: 40, 45: 53, 46: 66}


def team(values: dict[int, int]) -> list[Total]:
    """Totals of the team as a whole."""
    return [Total(metric, NO_JOURNEY, "", 0, "", value) for metric, value in values.items()]


def test_a_ledger_that_agrees() -> None:
    told = LedgerFigures(5, 15, 3, 2, 40, 53, 66)
    assert [each.agrees for each in compare_ledger(team(LEDGER), told)] == [True] * 7


def test_each_figure_of_the_ledger_is_compared() -> None:
    told = LedgerFigures(5, 15, 3, 2, 40, 53, 66)
    for name in LedgerFigures._fields:
        off = told._replace(**{name: getattr(told, name) + 1})
        found = [each for each in compare_ledger(team(LEDGER), off) if not each.agrees]
        assert [each.figure for each in found] == [f"points: {name}"]
        assert found[0].recorded == found[0].counted + 1


def test_a_refund_that_found_nothing_left_no_entry_that_could_be_counted() -> None:
    told = LedgerFigures(5, 15, 3, 7, 40, 53, 66)
    assert [each.figure for each in compare_ledger(team(LEDGER), told) if not each.agrees] == [
        "points: refund_shortfall"
    ]
    place = (NO_JOURNEY, Place(Metric.REFUND_SHORTFALL, "", 0, ""))
    assert all(each.agrees for each in compare_ledger(team(LEDGER), ledger_recorded(told, {place: 2})))
    assert not all(each.agrees for each in compare_ledger(team(LEDGER), ledger_recorded(told, {place: 3})))


def test_sends_of_channels_that_only_one_side_knows() -> None:
    counted: dict[tuple[int, int], int] = {
        (Metric.MESSAGES_SENT, WHATSAPP): 2,
        (Metric.MESSAGE_COST, WHATSAPP): 99,
    }
    assert all(each.agrees for each in compare_sends(counted, {WHATSAPP: SendFigures(2, 0, 0, 0)}))
    for told in ({}, {WHATSAPP: SendFigures(2, 0, 0, 0), 1: SendFigures(0, 0, 1, 0)}):
        assert len([each for each in compare_sends(counted, told) if not each.agrees]) == 1


def test_runs_count_parked_ones_as_triggered() -> None:
    totals = [Total(metric, JOURNEY, "", 0, "", value) for metric, value in ((1, 6), (3, 2), (4, 1))]
    assert all(each.agrees for each in compare_runs(JOURNEY, totals, RunFigures(2, 2, 1, 1)))
    assert not all(each.agrees for each in compare_runs(JOURNEY, totals, RunFigures(2, 2, 1, 0)))
