"""The short form of `make chaos`: one seed, a few seconds of load; and proof that each of its proofs can fail."""

import logging

import pytest

from tests.chaos.case import Evidence
from tests.chaos.plan import Kind
from tests.chaos.proofs import Proofs
from tests.chaos.records import Records
from tests.chaos.run import SHORT, run
from tests.chaos.sabotage import seen
from tests.chaos.sabotages import ALL


async def _spoil(records: Records, evidence: Evidence, proofs: Proofs) -> None:
    """Every proof that was made disagrees with some spoilt installation, and the sabotages break what they should."""
    broken: set[str] = set()
    missed: list[str] = []
    for sabotage in ALL:
        bad = {proof.what for proof in await seen(sabotage, records, evidence)}
        broken |= bad
        missed += [f"{sabotage.what}: {what}" for what in sabotage.breaks if what not in bad]
    assert not missed
    assert {proof.what for proof in proofs.made} <= broken


@pytest.mark.rule("C-03b", "P-07b")
@pytest.mark.timeout(300)
async def test_nothing_is_lost_and_nothing_happens_twice_under_faults() -> None:
    lines: list[str] = []
    # It tells of every connection that the proxies cut.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    report = await run(SHORT, lines.append, inspect=_spoil)
    told = "\n".join([*lines, *(f"{p.what}: found {p.found}, wanted {p.wanted}" for p in report.bad)])
    assert not report.bad, told
    assert report.faults.total() >= SHORT.faults // 2, told
    assert len(report.faults) >= len(Kind) // 2, told
