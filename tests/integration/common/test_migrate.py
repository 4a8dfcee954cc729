"""Migrations, roles and schemas."""

import asyncio
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import structlog

from libs.common.caller_directory import ClientDirectory
from libs.common.db.fitness import check_schema
from libs.common.db.migrate import connect_owner, migrate
from libs.common.db.roles import is_own, service_dsn
from libs.common.db.sql_files import MigrationError, read_functions, read_migrations
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


@pytest.fixture
def functions(package: Path) -> Path:
    """The functions directory of the same package, empty."""
    folder = package.parent / "functions"
    (folder / "retired").mkdir(parents=True)
    return folder


def _write(folder: Path, name: str, body: str, version: int = 1) -> None:
    (folder / f"{name}.sql").write_text(
        f"{f'-- version: {version}' if version > 1 else '-- What it does.'}\n"
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS integer LANGUAGE sql AS $$ {body} $$;\n"
    )


async def _value(database: Database, statement: str) -> object:
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def _run(database: Database, statements: str) -> None:
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


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


async def test_a_server_that_is_slow_to_let_in_is_waited_for_and_it_is_said(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts, has no connection free, does not answer in time; then it lets in."""
    busy: list[Exception] = [
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        TimeoutError(),
    ]
    connect = asyncpg.connect

    async def slow(*args: Any, **kwargs: Any) -> Any:
        if busy:
            raise busy.pop(0)
        return await connect(*args, **kwargs)

    async with databases.fresh({}) as database:
        monkeypatch.setattr(asyncpg, "connect", slow)
        with structlog.testing.capture_logs() as lines:
            await migrate(database.admin_dsn, "diary", PACKAGE)
    waited = [line["error"] for line in lines if line["event"] == "waiting for the database"]
    assert (busy, waited) == ([], ["the database system is starting up"])


async def test_a_server_that_never_answers_is_given_up_with_what_was_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(TimeoutError, match=r"did not answer within 0\.05 s"):
            await connect_owner(f"postgresql://o:p@127.0.0.1:{port}/d", timeout_s=0.05, wait_s_max=0)


async def test_a_server_that_is_away_or_refuses_is_not_waited_for(databases: Databases) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with structlog.testing.capture_logs() as lines:
        with pytest.raises(ConnectionRefusedError):
            await connect_owner(f"postgresql://o:p@127.0.0.1:{port}/d")
        async with databases.fresh({}) as database:
            wrong = urlsplit(database.admin_dsn)._replace(path="/there_is_no_such_database").geturl()
            with pytest.raises(asyncpg.InvalidCatalogNameError):
                await connect_owner(wrong)
    assert lines == []


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


async def test_functions_may_call_each_other_in_any_order(databases: Databases, functions: Path) -> None:
    async with databases.fresh({}) as database:
        _write(functions, "first", "SELECT second() + n FROM one")
        _write(functions, "second", "SELECT 1")
        await migrate(database.admin_dsn, "diary", "changing")
        assert await _value(database, "SELECT count(*) FROM diary.one") == 0
        assert await _value(database, "SELECT diary.second()") == 1


async def test_only_functions_that_changed_are_made_again(databases: Databases, functions: Path) -> None:
    async with databases.fresh({}) as database:
        _write(functions, "first", "SELECT 1")
        _write(functions / "retired", "second", "SELECT 2")
        await migrate(database.admin_dsn, "diary", "changing")
        before = "SELECT applied_at FROM platform.function WHERE service = 'diary' AND name = 'second'"
        made_at = await _value(database, before)
        _write(functions, "first", "SELECT 3")
        await migrate(database.admin_dsn, "diary", "changing")
        assert await _value(database, "SELECT diary.first() + diary.second()") == 5
        assert await _value(database, before) == made_at


async def test_a_function_that_is_made_again_finds_its_role_let_into_new_tables(
    databases: Databases, functions: Path
) -> None:
    """Processes of the release before call it while a database is migrated."""
    _write(functions, "count_all", "SELECT count(*)::integer FROM one")
    async with databases.fresh({}) as database:
        await migrate(database.admin_dsn, "diary", "changing")
        await _run(
            database,
            """
            CREATE TABLE public.seen (may boolean);
            CREATE FUNCTION public.look() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO public.seen VALUES (has_table_privilege('omnijourney_diary', 'diary.two', 'SELECT'));
            END $$;
            CREATE EVENT TRIGGER look ON ddl_command_end WHEN TAG IN ('CREATE FUNCTION') EXECUTE FUNCTION public.look();
            """,
        )
        (functions.parent / "migrations" / "0002_two.sql").write_text("CREATE TABLE two (n integer);")
        _write(functions, "count_all", "SELECT count(*)::integer FROM two", version=2)
        await migrate(database.admin_dsn, "diary", "changing")
        assert await _value(database, "SELECT bool_and(may) FROM public.seen") is True


async def test_an_older_release_does_not_put_its_functions_back(
    databases: Databases, functions: Path
) -> None:
    async with databases.fresh({}) as database:
        _write(functions, "first", "SELECT 2", version=2)
        await migrate(database.admin_dsn, "diary", "changing")
        _write(functions, "first", "SELECT 1")
        await migrate(database.admin_dsn, "diary", "changing")
        assert await _value(database, "SELECT diary.first()") == 2


async def test_a_function_that_was_dropped_is_made_when_a_release_has_it(
    databases: Databases, package: Path, functions: Path
) -> None:
    async with databases.fresh({}) as database:
        _write(functions, "first", "SELECT 1")
        await migrate(database.admin_dsn, "diary", "changing")
        (package / "0002_post_first.sql").write_text("DROP FUNCTION first();")
        await migrate(database.admin_dsn, "diary", "changing")
        assert await _value(database, "SELECT diary.first()") == 1


async def test_a_faulty_function_leaves_all_functions_as_they_were(
    databases: Databases, functions: Path
) -> None:
    async with databases.fresh({}) as database:
        _write(functions, "first", "SELECT 1")
        await migrate(database.admin_dsn, "diary", "changing")
        _write(functions, "first", "SELECT 2")
        _write(functions, "second", "SELEC 2")
        (functions / "third.sql").write_text("CREATE OR REPLACE FUNCTION third() RETURNS nonsense AS '';")
        with pytest.raises(asyncpg.PostgresError):
            await migrate(database.admin_dsn, "diary", "changing")
        assert await _value(database, "SELECT diary.first()") == 1


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("first", "CREATE FUNCTION first() RETURNS integer LANGUAGE sql AS 'SELECT 1';"),
        ("first", "CREATE OR REPLACE FUNCTION other() RETURNS integer LANGUAGE sql AS 'SELECT 1';"),
        ("First", "CREATE OR REPLACE FUNCTION First() RETURNS integer LANGUAGE sql AS 'SELECT 1';"),
        (
            "first",
            "CREATE OR REPLACE FUNCTION first() RETURNS integer LANGUAGE sql AS 'SELECT 1';\nCREATE TABLE t ();",
        ),
    ],
)
def test_a_file_holds_one_function_of_its_own_name(functions: Path, name: str, sql: str) -> None:
    (functions / f"{name}.sql").write_text(sql)
    with pytest.raises(MigrationError, match="is not one CREATE OR REPLACE FUNCTION"):
        read_functions("changing", "sql/functions")


def test_a_function_is_in_use_or_retired_not_both(functions: Path) -> None:
    _write(functions, "first", "SELECT 1")
    _write(functions / "retired", "first", "SELECT 1")
    with pytest.raises(MigrationError, match="is also in"):
        read_functions("changing", "sql/functions")


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


async def _who(dsn: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval("SELECT current_user")
    finally:
        await connection.close()


async def test_a_rotated_password_replaces_the_one_before(databases: Databases, package: Path) -> None:
    async with databases.fresh({}) as database:
        first = await migrate(database.admin_dsn, "rotating", "changing")
        assert first.dsn == service_dsn(database.admin_dsn, "rotating")
        second = await migrate(database.admin_dsn, "rotating", "changing", rotate=True)
        assert await migrate(database.admin_dsn, "rotating", "changing") == second
        assert await _who(second.dsn) == "omnijourney_rotating"
        with pytest.raises(asyncpg.InvalidPasswordError):
            await _who(first.dsn)
        third = await migrate(database.admin_dsn, "rotating", "changing", rotate=True)
        assert len({*first, *second, *third}) == 6
        assert await _who(third.dsn) == "omnijourney_rotating"


async def test_a_services_token_is_let_in_and_overlaps_when_it_is_rotated(
    databases: Databases, package: Path
) -> None:
    async with databases.fresh({}) as database:
        first = await migrate(database.admin_dsn, "turning", "changing")
        second = await migrate(database.admin_dsn, "turning", "changing", rotate=True)
        directory = ClientDirectory()
        connection = await asyncpg.connect(second.dsn)
        try:
            await directory.read(connection)
        finally:
            await connection.close()
    found = directory.find(second.token.encode())
    assert found is not None
    assert (found.name, found.team_id, found.is_internal) == ("turning", None, True)
    assert directory.find(first.token.encode()) == found
    assert directory.find(first.dsn.encode()) is None


@pytest.mark.parametrize(
    ("user", "own"), [("omnijourney_points", True), ("omnijourney", False), ("postgres", False)]
)
def test_the_owners_address_is_told_from_the_services_own(user: str, own: bool) -> None:
    assert is_own(f"postgresql://{user}:p@db/omni", "points") is own


def test_the_address_of_another_service_is_refused() -> None:
    with pytest.raises(MigrationError, match="is of omnijourney_stats: points logs in as omnijourney_points"):
        is_own("postgresql://omnijourney_stats:p@db/omni", "points")


async def test_a_service_sees_by_itself_that_its_schema_fits(
    databases: Databases, package: Path, functions: Path
) -> None:
    async with databases.fresh({}) as database:
        _write(functions, "first", "SELECT 1")
        own = (await migrate(database.admin_dsn, "diary", "changing")).dsn
        await check_schema(own, "diary", "changing")


async def test_a_missing_migration_and_an_older_function_are_told(
    databases: Databases, package: Path, functions: Path
) -> None:
    async with databases.fresh({}) as database:
        _write(functions, "first", "SELECT 1")
        own = (await migrate(database.admin_dsn, "diary", "changing")).dsn
        _write(functions, "first", "SELECT 2", version=2)
        with pytest.raises(MigrationError, match=r"an older first\(\) of diary: run `omnijourney migrate`"):
            await check_schema(own, "diary", "changing")
        (package / "0002_two.sql").write_text("SELECT 1;")
        with pytest.raises(
            MigrationError, match="lacks migration 0002_two of diary: run `omnijourney migrate`"
        ):
            await check_schema(own, "diary", "changing")


async def test_a_newer_schema_is_refused_and_newer_functions_are_not(
    databases: Databases, package: Path, functions: Path
) -> None:
    async with databases.fresh({}) as database:
        _write(functions, "first", "SELECT 2", version=2)
        own = (await migrate(database.admin_dsn, "diary", "changing")).dsn
        _write(functions, "first", "SELECT 1")
        await check_schema(own, "diary", "changing")
        (package / "0001_one.sql").unlink()
        with pytest.raises(MigrationError, match="migration 1 of diary, which this release does not know"):
            await check_schema(own, "diary", "changing")


async def test_a_database_that_no_release_has_made_is_told(databases: Databases, package: Path) -> None:
    async with databases.fresh({}) as made, databases.fresh({}) as empty:
        await migrate(made.admin_dsn, "diary", "changing")  # roles are the whole server's
        with pytest.raises(MigrationError, match="no schema of diary that can be checked"):
            await check_schema(empty.dsn_of("diary"), "diary", "changing")


async def test_a_service_may_look_at_what_was_applied_and_change_nothing_of_it(
    databases: Databases, package: Path
) -> None:
    async with databases.fresh({}) as database:
        own = await asyncpg.connect((await migrate(database.admin_dsn, "diary", "changing")).dsn)
        try:
            for statement in (
                "DELETE FROM platform.migration",
                "UPDATE platform.function SET version = 9",
                "CREATE TABLE diary.mine ()",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await own.execute(statement)
        finally:
            await own.close()
