"""`omnijourney seed-customers` against a running service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from libs.cli import journeys
from libs.cli.seed_customers import customer, seed_customers
from libs.client import ClientSettings

if TYPE_CHECKING:
    from libs.testing.fixtures import Servers
    from tests.integration.segment.conftest import Segment


async def test_made_up_customers_are_the_same_for_a_seed_and_made_once(
    segment: Segment, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: Any = ClientSettings(token=SecretStr(servers.token), segment_target=f"127.0.0.1:{segment.port}")
    team = str(segment.team_id)
    for count, said in (
        (3, "3 made, 0 were there\n"),
        (7, "4 made, 3 were there\n"),
        (7, "4 made, 3 were there\n"),
    ):
        assert await journeys.run(settings, seed_customers(team, count, seed=5)) == 0
        assert capsys.readouterr().out == said
    made = (await segment.call("ListCustomers", page_size=50)).customers
    assert {each.customer_id for each in made} == {customer(5, number).customer_id for number in range(7)}
    for each in made:
        wanted = customer(5, int(each.member_id.rpartition("-")[2]))
        assert (each.name, each.phone, each.email) == (wanted.name, wanted.phone, wanted.email)
        assert sorted(each.tags) == wanted.tags
        assert set(each.attributes) == set(wanted.attributes)
        assert (len(each.tags), len(each.attributes)) == (5, 10)
        assert each.attributes["birthday"] == wanted.attributes["birthday"]
