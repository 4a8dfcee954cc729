"""A database with the schemas of all five services."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from libs.testing.fixtures import Databases
from tests.integration.schemas.services import SERVICES


@pytest.fixture
async def connection(databases: Databases) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """The admin's connection to a freshly migrated database."""
    async with databases.fresh({service: f"services.{service}" for service in SERVICES}) as database:
        connection = await asyncpg.connect(database.admin_dsn)
        try:
            yield connection
        finally:
            await connection.close()
