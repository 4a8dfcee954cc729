"""The doctor: what is well is said to be, and what is not is named with what to do."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from redis.asyncio import Redis

from libs.cli import doctor_database, doctor_machine, doctor_redis, doctor_services
from libs.cli.findings import Finding, State
from libs.client import SERVICES, Client
from libs.common import credentials
from libs.common.clock import SystemClock
from libs.common.mailbox.errors import MailboxOfAnother
from libs.common.mailbox.owner import OWNER_KEY
from libs.testing.databases import Database, Databases
from libs.testing.fixtures import Servers
from services.segment.app import app
from services.segment.config import Settings

PACKAGES: dict[str, str] = {service: f"services.{service}" for service in SERVICES}
UNSAFE = [
    f"{name} is off: a crash of the machine loses what was promised" for name in ("fsync", "full_page_writes")
]
"""The servers of tests need no durability."""


@pytest.fixture
async def migrated(databases: Databases) -> AsyncIterator[Database]:
    """A database as `omnijourney migrate` leaves it."""
    async with databases.fresh(PACKAGES) as database:
        yield database


async def _found(dsn: str, files: tuple[Path, ...] = ()) -> dict[str, Finding]:
    """What is wrong, by what was found."""
    return {
        finding.found: finding
        async for finding in doctor_database.look(dsn, files)
        if finding.state is not State.OK and finding.found not in UNSAFE
    }


async def _run(database: Database, *statements: str) -> None:
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _with(dsn: str, **changes: str) -> str:
    """An address with another user, password, port or path."""
    parts = urlsplit(dsn)
    user, password = changes.get("user", parts.username), changes.get("password", parts.password)
    netloc = f"{user}:{password}@{parts.hostname}:{changes.get('port', parts.port)}"
    return urlunsplit(parts._replace(netloc=netloc, path=changes.get("path", parts.path)))


@pytest.mark.rule("X-03")
async def test_a_database_that_is_well(migrated: Database, tmp_path: Path) -> None:
    file = tmp_path / "points.env"
    credentials.write(file, {credentials.DSN_VARIABLE: migrated.dsn_of("points")})
    looked = [finding async for finding in doctor_database.look(migrated.admin_dsn, [file])]
    assert {finding.found for finding in looked if finding.state is not State.OK} <= set(UNSAFE)
    assert {"PostgreSQL's clock", "privileges", "migrations", "credentials of points"} <= {
        finding.subject for finding in looked
    }


@pytest.mark.rule("X-03")
async def test_a_database_that_cannot_be_reached_is_told_by_its_cause(servers: Servers) -> None:
    for changes, said, remedy in (
        (
            {"port": "1"},
            "nothing answers at 127.0.0.1:1/omnijourney",
            "start it, or correct OMNIJOURNEY_POSTGRES_DSN",
        ),
        ({"password": "wrong"}, "refuses user and password", "correct OMNIJOURNEY_POSTGRES_DSN"),
        ({"path": "/none"}, 'database "none" does not exist', "create the database"),
    ):
        (only,) = (await _found(_with(servers.postgres_dsn, **changes))).values()
        assert only.state is State.FAULT
        assert said in only.found
        assert remedy in only.remedy
        assert str(urlsplit(servers.postgres_dsn).password) not in only.found


@pytest.mark.rule("X-03")
async def test_settings_under_which_commits_are_lost_are_faults(servers: Servers) -> None:
    found = {finding.found: finding async for finding in doctor_database.look(servers.postgres_dsn, [])}
    for unsafe in UNSAFE:
        assert found[unsafe].state is State.FAULT
    assert found[UNSAFE[0]].remedy == "set fsync = on in postgresql.conf"
    nothing = found["nothing of the product is in this database"]
    assert (nothing.state, nothing.remedy.startswith("run `omnijourney migrate`")) == (State.FAULT, True)


@pytest.mark.rule("X-03")
async def test_what_is_wrong_with_migrations_and_privileges_is_told(
    migrated: Database, tmp_path: Path
) -> None:
    file = tmp_path / "stats.env"
    credentials.write(file, {credentials.DSN_VARIABLE: _with(migrated.dsn_of("stats"), password="old")})
    await _run(
        migrated,
        "DELETE FROM platform.migration WHERE service = 'points' AND number >= 16",
        "INSERT INTO platform.migration (service, number, name, sha256) VALUES ('stats', 999, 'later', '')",
        "REVOKE INSERT ON segment.customer FROM omnijourney_segment",
    )
    found = await _found(migrated.admin_dsn, (file,))
    assert all(finding.state is State.FAULT and finding.remedy for finding in found.values())
    said = sorted(found)
    assert len(said) == 4, said
    assert said[0].startswith("omnijourney_segment may not read and write 1 of its own tables")
    assert said[1].startswith("points lacks ")
    assert "from 0016_" in said[1]
    assert said[2].startswith("the database has migration 999 of stats, which this release does not know")
    assert said[3].startswith("the database refuses what stands in")


@pytest.mark.rule("X-03")
async def test_an_owner_who_may_not_migrate_is_told_what_is_missing(migrated: Database) -> None:
    name = "doctor_owner"
    await _run(
        migrated, f"CREATE ROLE {name} LOGIN PASSWORD 'x'", f"GRANT USAGE ON SCHEMA platform TO {name}"
    )
    await _run(migrated, f"GRANT SELECT ON platform.migration TO {name}")
    try:
        found = await _found(_with(migrated.admin_dsn, user=name, password="x"))
    finally:
        await _run(migrated, f"DROP OWNED BY {name}", f"DROP ROLE {name}")
    lacks = found[f"{name} may not make all that migrations make"]
    assert f"ALTER ROLE {name} CREATEROLE; GRANT CREATE ON DATABASE" in lacks.remedy


@pytest.mark.rule("X-03")
async def test_redis_is_asked_for_what_would_lose_mail(servers: Servers, redis: Redis) -> None:
    well = [finding async for finding in doctor_redis.look(servers.redis_url)]
    assert {finding.state for finding in well} == {State.OK}
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        faults = [one async for one in doctor_redis.look(servers.redis_url) if one.state is not State.OK]
    finally:
        await redis.config_set("maxmemory-policy", "noeviction")
    assert [(one.state, one.found.split(":")[0]) for one in faults] == [
        (State.FAULT, "maxmemory-policy is allkeys-lru")
    ]
    (away,) = [finding async for finding in doctor_redis.look("redis://127.0.0.1:1/0")]
    assert away.state is State.FAULT
    assert "127.0.0.1:1 does not let us in" in away.found
    assert "OMNIJOURNEY_REDIS_URL" in away.remedy


@pytest.mark.rule("X-03")
async def test_two_installations_on_one_redis_are_told_and_neither_starts_on_the_others(
    migrated: Database, servers: Servers, redis: Redis
) -> None:
    own = await doctor_database.installation(migrated.admin_dsn)
    # A service's role may ask for it, too.
    assert await doctor_database.installation(migrated.dsn_of("points")) == own
    assert own.endswith(urlsplit(migrated.admin_dsn).path)
    assert await doctor_database.installation(_with(migrated.admin_dsn, password="wrong")) == ""
    await redis.set(OWNER_KEY, "1/2 db.example:5432/shop")
    (apart,) = [one async for one in doctor_redis.look(servers.redis_url, own) if one.state is not State.OK]
    assert apart.found == "it holds the mail of another installation, whose database is db.example:5432/shop"
    with pytest.raises(MailboxOfAnother, match=r"whose database is db\.example:5432/shop"):
        async with app(servers.settings(Settings, migrated)):
            pass
    await redis.delete(OWNER_KEY)
    async with app(servers.settings(Settings, migrated)):
        assert await redis.get(OWNER_KEY) == own.encode()
        assert {one.state async for one in doctor_redis.look(servers.redis_url, own)} == {State.OK}


def test_a_clock_that_is_off_is_a_fault() -> None:
    now_s = SystemClock().now().timestamp()
    assert doctor_database.skew("clock", now_s).state is State.OK
    behind, ahead = doctor_database.skew("clock", now_s - 60), doctor_database.skew("clock", now_s + 60)
    assert behind.state is ahead.state is State.FAULT
    assert ("s behind" in behind.found, "s ahead of" in ahead.found) == (True, True)


@pytest.mark.rule("X-03")
def test_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> dict[str, Finding]:
        return {finding.subject: finding for finding in doctor_machine.look(tmp_path / "data")}

    usage: Any = type("Usage", (), {"total": 100 << 30, "free": 50 << 30})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert {finding.state for finding in found().values()} == {State.OK}
    usage.free = 4 << 30
    assert found()["disk"].state is State.WARNING
    usage.free = 1 << 29
    assert found()["disk"].state is State.FAULT
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "token").write_text("t")
    (tmp_path / "data" / "token").chmod(0o644)
    assert found()["files"].remedy == f"chmod 600 {tmp_path}/data/token"
    monkeypatch.setenv("OMNIJOURNEY_DATADIR", "x")
    assert "is OMNIJOURNEY_DATA_DIR meant?" in found()["variables"].found


async def test_services_that_are_away_are_named() -> None:
    async with Client(dict.fromkeys(SERVICES, "127.0.0.1:1"), "token") as client:
        found = [finding async for finding in doctor_services.look(client, accounts=True)]
    assert [(finding.subject, finding.state) for finding in found] == [
        (name, State.FAULT) for name in SERVICES
    ]
    assert "OMNIJOURNEY_STATS_TARGET" in found[-1].remedy
