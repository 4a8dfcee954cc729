"""Who refused by a number as an earlier release spelled it has refused by the number as it is spelled now."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from libs.common.ids import new_id
from tools.paths import ROOT

(_MIGRATION,) = (ROOT / "services/channel_gateway/sql/migrations").glob("*_spelled_opt_outs.sql")
THEN = datetime(2026, 1, 1, tzinfo=UTC)


async def test_the_later_word_of_a_number_counts_in_both_spellings(
    connection: "asyncpg.Connection[Any]",
) -> None:
    team_id = new_id()
    await connection.execute("SET search_path = channel_gateway")
    said = (
        ("+886912000001", True, 0),
        ("+886912000002", True, 0),
        ("886912000002", False, 1),
        ("+886912000003", True, 1),
        ("886912000003", False, 0),
        ("US.134", True, 0),
    )
    for external_id, withdrawn, days in said:
        await connection.execute(
            "INSERT INTO opt_out VALUES ($1, 2, $2, $3, 3, $4)",
            team_id,
            external_id,
            withdrawn,
            THEN + timedelta(days=days),
        )
    await connection.execute(_MIGRATION.read_text(encoding="utf-8"))
    rows = await connection.fetch("SELECT external_id, withdrawn FROM opt_out WHERE team_id = $1", team_id)
    known = dict(map(tuple, rows))
    assert {key: known[key] for key in known if not key.startswith("+")} == {
        "886912000001": True,
        "886912000002": False,
        "886912000003": True,
        "US.134": True,
    }
    assert len(known) == 7
