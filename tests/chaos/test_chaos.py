"""The short form of `make chaos`: one seed, a few seconds of load, a dozen faults."""

import logging

import pytest

from tests.chaos.run import SHORT, run


@pytest.mark.timeout(300)
@pytest.mark.rule("J-36", "C-04", "P-07", "T-06")
async def test_nothing_is_lost_and_nothing_happens_twice_under_faults() -> None:
    lines: list[str] = []
    logging.getLogger("asyncio").setLevel(
        logging.CRITICAL
    )  # it tells of every connection that the proxies cut
    report = await run(SHORT, lines.append)
    told = "\n".join([*lines, *(f"{p.what}: found {p.found}, wanted {p.wanted}" for p in report.bad)])
    assert not report.bad, told
    assert report.faults >= SHORT.faults // 2, told
