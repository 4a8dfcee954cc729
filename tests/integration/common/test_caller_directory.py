"""The directory of clients: what the database says of a token holds in every process, within seconds."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest

from libs.common.caller_directory import STALE_MAX_S, USES_WRITTEN_EVERY_S, ClientDirectory
from libs.common.callers import token_digest
from libs.common.clock import SteppedClock
from libs.common.db.clients import configured_client_id, register_client
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from libs.testing.fixtures import Database
from omnijourney.common.v1.scope_pb2 import SCOPE_ADMIN, SCOPE_INTERNAL, SCOPE_READ, SCOPE_WRITE

_INSERT: Final = (
    "INSERT INTO platform.api_client (api_client_id, team_id, name, name_folded, scopes, token_sha256, version)"
    " VALUES ($1, $2, $3, $3, $4, $5, 0)"
)
_NOW: Final = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
async def owner(database: Database) -> "AsyncIterator[asyncpg.Connection[Any]]":
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def reader(database: Database) -> "AsyncIterator[asyncpg.Connection[Any]]":
    """A connection under a service's own role."""
    connection = await asyncpg.connect(database.dsn_of("diary"))
    yield connection
    await connection.close()


async def _client(owner: "asyncpg.Connection[Any]", token: bytes, *, team_id: UUID | None = None) -> UUID:
    client_id = new_id()
    if team_id is not None:
        await owner.execute("INSERT INTO platform.team VALUES ($1)", team_id)
    scopes = [SCOPE_WRITE]
    await owner.execute(_INSERT, client_id, team_id, token.decode(), scopes, token_digest(token))
    return client_id


async def _until(directory: ClientDirectory, token: bytes, *, known: bool) -> None:
    async with asyncio.timeout(30):
        while (directory.find(token) is not None) is not known:
            await asyncio.sleep(0.01)


async def test_a_token_is_known_with_its_team_and_scopes(
    owner: "asyncpg.Connection[Any]", reader: "asyncpg.Connection[Any]"
) -> None:
    team_id = new_id()
    client_id = await _client(owner, b"oj_a", team_id=team_id)
    directory = ClientDirectory()
    await directory.read(reader)
    found = directory.find(b"oj_a")
    assert found is not None
    assert (found.client_id, found.name, found.team_id) == (client_id, "oj_a", team_id)
    assert found.scopes == {SCOPE_READ, SCOPE_WRITE}
    assert directory.find(b"oj_b") is None
    assert directory.find(b"") is None


async def test_a_revoked_client_is_refused_by_processes_that_follow(
    database: Database, owner: "asyncpg.Connection[Any]"
) -> None:
    async with ClientDirectory.follow(database.dsn_of("ledger")) as directory:
        client_id = await _client(owner, b"oj_a")
        await _until(directory, b"oj_a", known=True)
        await owner.execute(
            "UPDATE platform.api_client SET revoked_at = clock_timestamp() WHERE api_client_id = $1",
            client_id,
        )
        await _until(directory, b"oj_a", known=False)


@pytest.mark.usefixtures("polls_soon")
async def test_a_lost_notification_costs_a_poll(database: Database, owner: "asyncpg.Connection[Any]") -> None:
    async with ClientDirectory.follow(database.dsn_of("diary")) as directory:
        # Without its trigger the row changes unheard, but for its version.
        await owner.execute("ALTER TABLE platform.api_client DISABLE TRIGGER numbered")
        await owner.execute(
            _INSERT.replace("$5, 0)", "$5, 7)"), new_id(), None, "a", [1], token_digest(b"oj_a")
        )
        await _until(directory, b"oj_a", known=True)


async def test_a_client_that_a_restored_database_lacks_is_refused(
    owner: "asyncpg.Connection[Any]", reader: "asyncpg.Connection[Any]"
) -> None:
    directory = ClientDirectory()
    client_id = await _client(owner, b"oj_a")
    await _client(owner, b"oj_b")
    await directory.read(reader)
    await owner.execute("DELETE FROM platform.api_client WHERE api_client_id = $1", client_id)
    directory.begin()
    await directory.read(reader)
    assert directory.find(b"oj_a") is None
    assert directory.find(b"oj_b") is not None


async def test_tokens_end_by_real_time(
    owner: "asyncpg.Connection[Any]", reader: "asyncpg.Connection[Any]"
) -> None:
    clock = SteppedClock(_NOW)
    directory = ClientDirectory(clock)
    client_id = await _client(owner, b"oj_new")
    await owner.execute(
        "UPDATE platform.api_client SET old_token_sha256 = $2, old_token_expire_at = $3, expire_at = $4"
        " WHERE api_client_id = $1",
        client_id,
        token_digest(b"oj_old"),
        _NOW + timedelta(hours=1),
        _NOW + timedelta(hours=2),
    )
    await directory.read(reader)
    assert directory.find(b"oj_old") == directory.find(b"oj_new") is not None
    clock.advance(timedelta(hours=1))
    assert directory.find(b"oj_old") is None
    assert directory.find(b"oj_new") is not None
    clock.advance(timedelta(hours=1))
    assert directory.find(b"oj_new") is None


async def test_nobody_is_let_in_on_knowledge_that_is_too_old(
    owner: "asyncpg.Connection[Any]", reader: "asyncpg.Connection[Any]"
) -> None:
    elapsed = [0.0]
    directory = ClientDirectory(elapsed_s=lambda: elapsed[0])
    with pytest.raises(Unavailable):
        directory.find(b"oj_a")
    await _client(owner, b"oj_a")
    await directory.read(reader)
    elapsed[0] = STALE_MAX_S
    assert directory.find(b"oj_a") is not None
    elapsed[0] += 0.1
    with pytest.raises(Unavailable):
        directory.find(b"oj_a")
    await directory.read(reader)
    assert directory.find(b"oj_a") is not None


async def test_the_last_use_is_kept_to_the_hour(
    owner: "asyncpg.Connection[Any]", reader: "asyncpg.Connection[Any]"
) -> None:
    elapsed = [0.0]
    clock = SteppedClock(datetime.now(UTC).replace(minute=10) - timedelta(hours=3))
    directory = ClientDirectory(clock, lambda: elapsed[0])
    client_id = await _client(owner, b"oj_a")
    await directory.read(reader)
    newest = "SELECT max(version) FROM platform.api_client"
    before = await owner.fetchval(newest)
    directory.find(b"oj_a")
    elapsed[0] = USES_WRITTEN_EVERY_S
    await directory.read(reader)
    assert await owner.fetchval(newest) == before, "nothing that others have to read"
    last_used = await owner.fetchval(
        "SELECT last_used FROM platform.api_client WHERE api_client_id = $1", client_id
    )
    assert last_used == clock.now().replace(minute=0, second=0, microsecond=0)


async def test_a_use_never_moves_back_and_changes_nothing_else(
    owner: "asyncpg.Connection[Any]", reader: "asyncpg.Connection[Any]"
) -> None:
    client_id = await _client(owner, b"oj_a")
    for hour in (_NOW - timedelta(hours=1), _NOW - timedelta(hours=2)):
        await reader.execute("SELECT platform.note_client_uses($1, $2)", [client_id], [hour])
    last_used = await owner.fetchval(
        "SELECT last_used FROM platform.api_client WHERE api_client_id = $1", client_id
    )
    assert last_used == _NOW - timedelta(hours=1)
    for statement in (
        "UPDATE platform.api_client SET scopes = '{5}'",
        "DELETE FROM platform.api_client",
        "INSERT INTO platform.team VALUES (gen_random_uuid())",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.execute(statement)


async def test_what_configuration_registers_replaces_itself(owner: "asyncpg.Connection[Any]") -> None:
    async def registered() -> Any:
        return await owner.fetchrow(
            "SELECT api_client_id, scopes, token_sha256, version, configured FROM platform.api_client"
            " WHERE name = 'tools'"
        )

    await register_client(owner, "tools", [SCOPE_INTERNAL, SCOPE_ADMIN], token_digest(b"first"))
    first = await registered()
    assert first["api_client_id"] == configured_client_id("tools")
    assert (first["scopes"], first["configured"]) == ([SCOPE_ADMIN, SCOPE_INTERNAL], True)
    await register_client(owner, "tools", [SCOPE_ADMIN, SCOPE_INTERNAL], token_digest(b"first"))
    assert await registered() == first
    await register_client(owner, "tools", [SCOPE_ADMIN], token_digest(b"second"))
    second = await registered()
    assert (second["token_sha256"], second["scopes"]) == (token_digest(b"second"), [SCOPE_ADMIN])
    assert second["version"] > first["version"]


async def test_versions_become_visible_in_their_order(
    database: Database, owner: "asyncpg.Connection[Any]", reader: "asyncpg.Connection[Any]"
) -> None:
    other = await asyncpg.connect(database.admin_dsn)
    try:
        transaction = owner.transaction()
        await transaction.start()
        await _client(owner, b"oj_first")
        later = asyncio.create_task(_client(other, b"oj_later"))
        directory = ClientDirectory()
        await asyncio.sleep(0.1)
        await directory.read(reader)
        assert not later.done(), "the later change waits for the earlier one"
        await transaction.commit()
        await later
        await directory.read(reader)
        assert directory.find(b"oj_first") is not None
        assert directory.find(b"oj_later") is not None
    finally:
        await other.close()
