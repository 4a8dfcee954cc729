"""Every table that belongs to teams is held apart by the database itself."""

from typing import Any

import asyncpg

from tests.integration.schemas.services import SERVICES

_OPEN = """
    SELECT namespace.nspname || '.' || class.relname AS name
      FROM pg_class AS class
      JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
      JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid AND attribute.attname = 'team_id'
     WHERE class.relkind IN ('r', 'p') AND NOT class.relispartition AND namespace.nspname = ANY ($1::text[])
       AND NOT (class.relrowsecurity
                AND EXISTS (SELECT 1 FROM pg_policy AS policy WHERE policy.polrelid = class.oid))
     ORDER BY 1
"""


async def test_every_table_of_teams_is_under_row_level_security(
    connection: "asyncpg.Connection[Any]",
) -> None:
    found = [row["name"] for row in await connection.fetch(_OPEN, list(SERVICES))]
    assert found == [], "call platform.hold_teams_apart in the migration that makes the table"


async def test_every_view_of_teams_shows_the_bound_one_only(connection: "asyncpg.Connection[Any]") -> None:
    """A view reads with its owner's rights: the policies of what it shows do not hold."""
    views = await connection.fetch(
        """
        SELECT schemaname || '.' || viewname AS name, definition FROM pg_views WHERE schemaname = ANY ($1::text[])
        """,
        list(SERVICES),
    )
    assert [view["name"] for view in views if "platform.teams()" not in view["definition"]] == []
