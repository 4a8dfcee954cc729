"""The embedded servers, started for real: data, passwords, and who they run as."""

import asyncio
import os
import shutil
import stat
import sys
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest
import redis.asyncio
from redis.exceptions import AuthenticationError

from libs.embedded import Embedded, binaries, start_embedded
from libs.embedded.postgres import PostgresServer
from libs.embedded.process import Account
from tests.integration.embedded.holder import Hold

LAUNCHER = Path("libs/embedded/launch.py").absolute()


def nobody_may_pass() -> bool:
    """Whether every user of the machine may reach the Python environment, which holds the servers' programs."""
    prefix = Path(sys.prefix).resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (prefix, *prefix.parents))


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


async def ask(dsn: str, statement: str) -> object:
    """The first value that a statement returns."""
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def pids_of(embedded: Embedded) -> list[int]:
    """Process ids of the servers."""
    return [server.child.pid for server in embedded.servers if server.child is not None]


async def test_both_answer_and_a_second_start_finds_the_data(data_dir: Path) -> None:
    first = await start_embedded(data_dir)
    try:
        await ask(first.postgres_dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    finally:
        await first.stop()
    second = await start_embedded(data_dir)
    try:
        assert await ask(second.postgres_dsn, "SELECT answer FROM kept") == 42
        assert second.token == first.token
    finally:
        await second.stop()
        await second.stop()


async def test_commits_are_durable_and_mailboxes_are_small_and_never_evicted(data_dir: Path) -> None:
    embedded = await start_embedded(data_dir)
    try:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await ask(embedded.postgres_dsn, f"SHOW {setting}") == "on"
        async with redis.asyncio.from_url(embedded.redis_url, protocol=2) as client:
            settings = await client.config_get(
                "stream-node-max-bytes", "maxmemory-policy", "save", "appendonly"
            )
    finally:
        await embedded.stop()
    assert settings == {
        "stream-node-max-bytes": "512",
        "maxmemory-policy": "noeviction",
        "save": "",
        "appendonly": "no",
    }


async def test_nobody_gets_in_without_the_password_nor_from_outside(data_dir: Path) -> None:
    embedded = await start_embedded(data_dir)
    try:
        right = urlsplit(embedded.postgres_dsn)
        wrong = right._replace(netloc=f"{right.username}:wrong@{right.hostname}:{right.port}").geturl()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(wrong, "SELECT 1")
        port = urlsplit(embedded.redis_url).port
        async with redis.asyncio.from_url(f"redis://127.0.0.1:{port}/0", protocol=2) as client:
            with pytest.raises(AuthenticationError):
                await client.ping()
        for pid in pids_of(embedded):
            sockets = psutil.Process(pid).net_connections()
            listening = {entry.laddr.ip for entry in sockets if entry.status == psutil.CONN_LISTEN}
            assert listening == {"127.0.0.1"}
        assert_secrets_are_private(data_dir)
    finally:
        await embedded.stop()


def assert_secrets_are_private(data_dir: Path) -> None:
    """In no file that others may read, on no command line, in no commit."""
    command_lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert (data_dir / "token").exists() is False  # nobody asked for it yet
    for name in ("postgres.password", "valkey.password"):
        secret = data_dir / name
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert not [line for line in command_lines if secret.read_text().strip() in line]
    assert (data_dir / ".gitignore").read_text() == "*\n"


async def test_only_the_servers_that_are_asked_for_run(data_dir: Path) -> None:
    embedded = await start_embedded(data_dir, postgres=False)
    try:
        assert embedded.postgres_dsn == ""
        assert [server.name for server in embedded.servers] == ["valkey"]
    finally:
        await embedded.stop()


@pytest.mark.parametrize(
    "ended",
    [
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.AdminShutdownError("terminating connection due to administrator command"),
        asyncpg.InterfaceError("connection is closed"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_server_that_ends_while_it_is_asked_is_asked_again(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, ended: Exception
) -> None:
    """Whether it has ended its process says; one that is recovering cuts whoever came too early."""
    ensure, faults = PostgresServer._ensure_database, [ended]

    async def cut_once(server: PostgresServer) -> None:
        if faults:
            raise faults.pop()
        await ensure(server)

    monkeypatch.setattr(PostgresServer, "_ensure_database", cut_once)
    embedded = await start_embedded(data_dir, valkey=False)
    try:
        assert await ask(embedded.postgres_dsn, "SELECT 1") == 1
    finally:
        await embedded.stop()


async def test_settings_can_be_added(data_dir: Path) -> None:
    embedded = await start_embedded(data_dir, valkey=False, postgres_settings={"fsync": "off"})
    try:
        assert await ask(embedded.postgres_dsn, "SHOW fsync") == "off"
    finally:
        await embedded.stop()


def test_one_loop_may_start_them_and_another_one_stop_them(data_dir: Path) -> None:
    embedded = asyncio.run(start_embedded(data_dir))
    assert asyncio.run(ask(embedded.postgres_dsn, "SELECT 1")) == 1
    asyncio.run(embedded.stop())
    assert all(
        server.child is not None and server.child.returncode is not None for server in embedded.servers
    )


async def test_a_half_made_data_directory_is_made_anew(data_dir: Path) -> None:
    draft = data_dir / "postgres.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    (data_dir / "postgres.new.password").write_text("of an initdb that was killed")
    data_dir.chmod(0o711)
    embedded = await start_embedded(data_dir, valkey=False)
    try:
        assert await ask(embedded.postgres_dsn, "SELECT 1") == 1
    finally:
        await embedded.stop()
    assert not draft.exists()


@pytest.mark.skipif(not Path("/usr/lib/postgresql/15").is_dir(), reason="no Debian PostgreSQL here")
async def test_the_postgres_of_the_machine_will_do(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_postgres_directories", lambda: iter([Path("/usr/lib/postgresql/15/bin")]))
    first = await start_embedded(data_dir, valkey=False)
    await first.stop()
    monkeypatch.undo()  # the wheel is there again, yet data made by 15 is run by 15
    second = await start_embedded(data_dir, valkey=False)
    try:
        assert str(await ask(second.postgres_dsn, "SHOW server_version")).startswith("15.")
    finally:
        await second.stop()


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no Redis here")
async def test_the_redis_of_the_machine_will_do(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_valkey_of_wheel", lambda: None)
    embedded = await start_embedded(data_dir, postgres=False)
    try:
        async with redis.asyncio.from_url(embedded.redis_url, protocol=2) as client:
            assert await client.ping()
    finally:
        await embedded.stop()


@as_root
@pytest.mark.skipif(not nobody_may_pass(), reason="the programs lie where only their owner may pass")
async def test_root_runs_them_as_nobody(data_dir: Path) -> None:
    embedded = await start_embedded(data_dir)
    try:
        for pid in pids_of(embedded):
            process = psutil.Process(pid)
            assert set(process.uids()) == set(process.gids()) == {65534}
            assert "Groups:\t\n" in Path(f"/proc/{pid}/status").read_text().replace(" ", "")
    finally:
        await embedded.stop()


@as_root
async def test_root_runs_them_in_a_user_namespace_where_nobody_else_may_pass(open_dir: Path) -> None:
    open_dir.chmod(0o700)
    first = await start_embedded(open_dir / "data")
    try:
        postgres = first.postgres
        assert postgres is not None
        assert postgres.child is not None
        status = Path(f"/proc/{postgres.child.pid}/status").read_text()
        assert "CapEff:\t0000000000000000" in status
        own, theirs = Path("/proc/self/ns/user"), Path(f"/proc/{postgres.child.pid}/ns/user")
        assert own.readlink() != theirs.readlink()
        await ask(first.postgres_dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    finally:
        await first.stop()
    open_dir.chmod(0o755)  # the data stays with the account that made it
    second = await start_embedded(open_dir / "data")
    try:
        assert await ask(second.postgres_dsn, "SELECT answer FROM kept") == 42
    finally:
        await second.stop()


@as_root
def test_a_normal_user_runs_them_as_themselves(data_dir: Path, hold: Hold) -> None:
    prefix = [sys.executable, str(LAUNCHER), "--parent", str(os.getpid()), "--signal", "9", "--userns", "--"]
    holder = hold(data_dir, prefix)
    assert holder.owner
    namespaces = {
        Path(f"/proc/{pid}/ns/user").readlink() for pid in (*holder.pids.values(), holder.process.pid)
    }
    assert len(namespaces) == 1
    assert holder.end() == 0


def test_an_account_tells_who_owns_its_files() -> None:
    assert Account.same().launcher_options == ()
    assert Account.dropped(65534, 65534).uid == 65534
    assert Account.namespaced().uid == os.geteuid()
