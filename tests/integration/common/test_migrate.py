"""Migrations, roles and schemas."""

import asyncio
import sys
from pathlib import Path

import asyncpg
import pytest

from libs.common.db.migrate import MigrationError, migrate, read_migrations, service_dsn
from libs.testing.fixtures import Database, Databases
from tests.integration.common.conftest import PACKAGE


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The migrations directory of an importable package `changing`."""
    folder = tmp_path / "changing" / "sql" / "migrations"
    folder.mkdir(parents=True)
    (tmp_path / "changing" / "__init__.py").touch()
    (folder / "0001_one.sql").write_text("CREATE TABLE one (n integer);")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "changing", raising=False)
    return folder


async def _applied(database: Database) -> list[tuple[str, int]]:
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        rows = await connection.fetch("SELECT service, number FROM platform.migration ORDER BY applied_at")
    finally:
        await connection.close()
    return [(row["service"], row["number"]) for row in rows]


async def test_many_processes_migrate_at_once_and_it_happens_once(databases: Databases) -> None:
    async with databases.fresh({}) as database:
        await asyncio.gather(
            *(migrate(database.admin_dsn, name, PACKAGE) for name in ["diary", "ledger"] * 4)
        )
        applied = await _applied(database)
    assert len(applied) == len(set(applied))
    assert applied[0] == ("platform", 1)
    assert {("diary/shared", 1), ("diary", 1), ("ledger/shared", 1), ("ledger", 1)} < set(applied)
    assert applied.index(("diary/shared", 1)) < applied.index(("diary", 1))


async def test_only_what_is_new_is_applied(databases: Databases, package: Path) -> None:
    async with databases.fresh({}) as database:
        await migrate(database.admin_dsn, "diary", "changing")
        (package / "0002_two.sql").write_text("ALTER TABLE one ADD m integer;")
        await migrate(database.admin_dsn, "diary", "changing")
        assert [number for service, number in await _applied(database) if service == "diary"] == [1, 2]


async def test_a_changed_file_is_refused(databases: Databases, package: Path) -> None:
    async with databases.fresh({}) as database:
        await migrate(database.admin_dsn, "diary", "changing")
        (package / "0001_one.sql").write_text("CREATE TABLE one (n bigint);")
        with pytest.raises(MigrationError, match="0001_one of diary was changed after it was applied"):
            await migrate(database.admin_dsn, "diary", "changing")


async def test_a_newer_database_is_refused(databases: Databases, package: Path) -> None:
    async with databases.fresh({}) as database:
        (package / "0002_two.sql").write_text("SELECT 1;")
        await migrate(database.admin_dsn, "diary", "changing")
        (package / "0002_two.sql").unlink()
        with pytest.raises(MigrationError, match="migration 2 of diary, which this release does not know"):
            await migrate(database.admin_dsn, "diary", "changing")


async def test_a_faulty_file_leaves_nothing_behind(databases: Databases, package: Path) -> None:
    async with databases.fresh({}) as database:
        (package / "0002_two.sql").write_text("CREATE TABLE two (n integer); SELECT 1 / 0;")
        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrate(database.admin_dsn, "diary", "changing")
        (package / "0002_two.sql").write_text("CREATE TABLE two (n integer);")
        await migrate(database.admin_dsn, "diary", "changing")


@pytest.mark.parametrize("name", ["0003_gap.sql", "one.sql", "01_short.sql"])
def test_files_out_of_order_are_refused(package: Path, name: str) -> None:
    (package / name).write_text("SELECT 1;")
    with pytest.raises(MigrationError, match=r"not 1, 2, 3|not named like"):
        read_migrations("changing", "sql/migrations")


def test_the_services_password_follows_from_the_admins() -> None:
    dsn = service_dsn("postgresql://admin:p%40ss@db.internal:5433/omni?sslmode=require", "channel_gateway")
    user, _, place = dsn.partition("@")
    assert place == "db.internal:5433/omni?sslmode=require"
    assert user.startswith("postgresql://omnijourney_channel_gateway:")
    assert len(user.rpartition(":")[2]) == 64
    assert dsn != service_dsn(
        "postgresql://admin:other@db.internal:5433/omni?sslmode=require", "channel_gateway"
    )


@pytest.mark.parametrize("dsn", ["postgresql://admin@db/omni", "db:5432", "mysql://a:b@c/d", ""])
def test_addresses_without_a_password_are_refused(dsn: str) -> None:
    with pytest.raises(MigrationError, match="must be postgresql://"):
        service_dsn(dsn, "points")


@pytest.mark.parametrize("service", ["platform", "Points", "a;b", ""])
def test_other_names_of_services_are_refused(service: str) -> None:
    with pytest.raises(MigrationError, match="no name of a service"):
        service_dsn("postgresql://a:b@c/d", service)
