"""Channel accounts of a release before are known to other services after its migration."""

from pathlib import Path
from typing import Any

import asyncpg

from libs.common.ids import new_id
from services import channel_gateway

_MIGRATION = Path(channel_gateway.__file__).parent / "sql/migrations/0008_accounts_known.sql"
_ACCOUNT = """
INSERT INTO account (team_id, account_id, channel, display_name, connection, rate_per_second, concurrency_max,
                     created_at, updated_at, deleted)
VALUES ($1, $2, 1, 'Shop', '{}', 1, 1, now(), now(), $3)
"""


async def test_accounts_that_there_were_are_known(connection: "asyncpg.Connection[Any]") -> None:
    team_id, kept, gone = new_id(), new_id(), new_id()
    await connection.execute("SET search_path = channel_gateway")
    await connection.execute("DROP TRIGGER known ON account; DROP FUNCTION note_account")
    await connection.execute(_ACCOUNT, team_id, kept, False)
    await connection.execute(_ACCOUNT, team_id, gone, True)
    await connection.execute(_MIGRATION.read_text())
    rows = await connection.fetch("SELECT team_id, account_id FROM platform.channel_account")
    assert [tuple(row) for row in rows] == [(team_id, kept)]
    await connection.execute((_MIGRATION.parent / "0042_channels_of_accounts.sql").read_text())
    assert await connection.fetchval("SELECT channel FROM platform.channel_account") == 1
