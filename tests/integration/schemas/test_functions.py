"""Functions of the schemas: what a freshly migrated database holds is what the files say."""

from typing import Any, Final

import asyncpg
import pytest

from tests.integration.schemas.services import PLATFORM, SERVICES, functions_of

# Their bodies name nothing that another schema could have, or were bound to what they name when they were made. A
# SET of its own would keep the planner from putting the body of `same_or`, or a named number, in the place of a call.
_WITHOUT_SEARCH_PATH: Final = {
    ("channel_gateway", "same_or"),
    ("journey", "journey_status_at"),
    ("platform", "bind"),
    ("platform", "hold_teams_apart"),
    ("platform", "open_history"),
    ("platform", "open_pages"),
    ("platform", "teams"),
    ("points", "packed_whole"),
    ("segment", "packed_boolean"),
    ("segment", "packed_text"),
}

_FUNCTIONS: Final = """
SELECT p.proname AS name, pg_get_functiondef(p.oid) AS definition, p.proconfig AS settings
  FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
 WHERE n.nspname = $1
   AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
 ORDER BY p.proname
"""


@pytest.mark.parametrize("schema", [PLATFORM, *SERVICES])
async def test_every_function_has_one_file(connection: "asyncpg.Connection[Any]", schema: str) -> None:
    rows = await connection.fetch(_FUNCTIONS, schema)
    assert [row["name"] for row in rows] == sorted(function.name for function in functions_of(schema))


@pytest.mark.parametrize("schema", [PLATFORM, *SERVICES])
async def test_a_function_is_what_its_file_says(connection: "asyncpg.Connection[Any]", schema: str) -> None:
    before = await connection.fetch(_FUNCTIONS, schema)
    # Bodies are checked here, unlike when a service starts: everything that they name has to be there.
    async with connection.transaction():
        await connection.execute(
            "SELECT set_config('search_path', quote_ident($1) || ', pg_temp', true)", schema
        )
        for function in functions_of(schema):
            await connection.execute(function.sql)
    assert await connection.fetch(_FUNCTIONS, schema) == before


async def test_functions_find_names_in_their_own_schema(connection: "asyncpg.Connection[Any]") -> None:
    named_numbers = {
        (schema, function.name)
        for schema in SERVICES
        for function in functions_of(schema)
        if "\n-- The numbers of " in f"\n{function.sql}"
    }
    without = {
        (schema, row["name"])
        for schema in (PLATFORM, *SERVICES)
        for row in await connection.fetch(_FUNCTIONS, schema)
        if not any(setting.startswith("search_path=") for setting in row["settings"] or ())
    }
    assert without - named_numbers == _WITHOUT_SEARCH_PATH
