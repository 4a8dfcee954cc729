"""The short form of `make fuzz`: one seed, a few hundred cases of every RPC and endpoint."""

import logging

import pytest

from tests.fuzz.run import SHORT, run


@pytest.mark.rule("X-01d")
@pytest.mark.timeout(480)
async def test_odd_requests_are_refused_and_harm_nobody() -> None:
    lines: list[str] = []
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    report = await run(SHORT, lines.append)
    told = "\n".join([*lines, *map(str, report.faults[:20])])
    assert not report.faults, told
    assert report.orders >= SHORT.cases // SHORT.chunk
    codes = report.tally.codes()
    assert min(codes["OK"], codes["INVALID_ARGUMENT"], codes["NOT_FOUND"]) > SHORT.cases // 20, dict(codes)
