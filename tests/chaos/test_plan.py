"""Plans: what a full run promises is in each of them, and a seed is a plan."""

from pathlib import Path

import pytest

from tests.chaos.plan import POINTS, Kind, crash_spec, make_plan, promised_count
from tests.chaos.run import FULL, SHORT, keep_logs


@pytest.mark.parametrize("seed", range(5))
def test_a_full_run_strikes_all_that_is_promised(seed: int) -> None:
    plan = make_plan(seed, FULL.load_s, FULL.faults)
    assert len(plan) == FULL.faults >= promised_count()
    struck = {(fault.kind, fault.target) for fault in plan}
    assert {kind for kind, _ in struck} == set(Kind)
    assert {fault.detail for fault in plan if fault.kind is Kind.CRASH_POINT} == set(POINTS)
    assert {
        (kind, server) for kind in (Kind.LINK_CUT, Kind.LINK_STALL) for server in ("postgres", "valkey")
    } <= struck
    assert {(Kind.FREEZE, "journey"), (Kind.FREEZE, "journey-2")} <= struck
    assert {(Kind.ANSWERS_STALL, called) for called in ("segment", "points", "channel_gateway")} <= struck


def test_a_short_run_strikes_every_kind() -> None:
    assert {fault.kind for fault in make_plan(SHORT.seed, SHORT.load_s, SHORT.faults)} == set(Kind)


def test_a_seed_is_a_plan() -> None:
    assert make_plan(7, 100, 40) == make_plan(7, 100, 40)
    assert crash_spec(7) == crash_spec(7)


def test_logs_of_a_red_run_are_kept_by_its_seed(tmp_path: Path) -> None:
    run, build = tmp_path / "run", tmp_path / "build"
    assert keep_logs(run, 7, build) is None
    (run / "logs").mkdir(parents=True)
    for said in ("first", "second"):
        (run / "logs" / f"{said}.log").write_text(said)
        kept = keep_logs(run, 7, build)
        (run / "logs" / f"{said}.log").unlink()
    assert kept == build / "7"
    assert [file.name for file in kept.iterdir()] == ["second.log"]
