"""`omnijourney points check` against running services."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from libs.cli.points import check_points
from libs.client import ClientSettings
from libs.common.ids import new_id
from libs.testing.fixtures import Servers
from tests.integration.points import build
from tests.integration.points.conftest import Neighboured


@pytest.mark.rule("P-07b")
async def test_every_team_is_checked_and_a_broken_law_is_the_exit_code(
    neighboured: Neighboured, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    points, customer = neighboured, new_id()
    targets = {f"{service}_target": target for service, target in points.targets.items()}
    settings = ClientSettings(token=SecretStr(servers.token), **targets)  # type: ignore[arg-type]
    await points.post(build.manual(points.team_id, customer, 5))
    assert await check_points(settings, "", incremental=False) == 0
    assert (
        f"team {points.team_id}: 1 accounts, 1 entries, 1 outcomes, 0 orders, 0 findings"
        in capsys.readouterr().out
    )
    await points.corrupt("UPDATE points.account SET balance = balance + 1")
    assert await check_points(settings, str(points.team_id), incremental=True) == 1
    assert f"CONSERVATION customer {customer} entry 1: account has" in capsys.readouterr().out
    await points.corrupt("UPDATE points.account SET balance = balance - 1")
    assert await check_points(settings, "nobody", incremental=False) == 1
    assert "INVALID_ARGUMENT" in capsys.readouterr().err
