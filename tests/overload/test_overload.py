"""The overloads in short: everything is recorded and counted. `make overload` runs them in full."""

import pytest

from tests.overload.site import site
from tests.overload.story import Overload, run

SHORT = [
    Overload("large", orders=12, lines=1_000, at_once=8),
    Overload("without stats", orders=120, lines=100, at_once=8, stopped="stats", stop_s=3.0),
    Overload("without segment", orders=120, lines=100, at_once=8, stopped="segment", stop_s=3.0),
]


@pytest.mark.rule("C-20d")
@pytest.mark.timeout(240)
async def test_every_order_is_recorded_and_counted_and_so_are_the_other_teams() -> None:
    async with site() as running:
        for overload in SHORT:
            figures = await run(running, overload, calm_s=0.0)
            assert figures.complete, figures
