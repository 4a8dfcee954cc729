"""Crashes of owners and of servers: nothing is left running, nothing is lost, the next start is fine."""

import asyncio
import contextlib
import os
import signal
import threading
from pathlib import Path

import psutil
import pytest
import redis.asyncio

from libs.embedded import Attachment, Endpoints, attach, open_attachment, start_embedded
from libs.embedded.account import SERVER_ENV
from libs.embedded.keepalive import Died, Event, Restarted
from libs.embedded.process import Child, Spec
from tests.integration.embedded.holder import Hold, still_running
from tests.integration.embedded.test_servers import ask


async def test_a_killed_owner_leaves_nothing_running_and_no_commit_is_lost(
    data_dir: Path, hold: Hold
) -> None:
    holder = hold(data_dir)
    await ask(holder.postgres_dsn, "CREATE TABLE kept AS SELECT 1 AS one")
    running = holder.descendants()
    assert len(running) > 5  # PostgreSQL with its workers, Valkey
    holder.kill()
    assert still_running(running) == []
    async with attach(data_dir) as endpoints:
        assert endpoints.owner
        assert await ask(endpoints.postgres_dsn, "SELECT one FROM kept") == 1


async def test_a_new_owner_need_not_wait_until_the_old_servers_are_gone(data_dir: Path, hold: Hold) -> None:
    holder = hold(data_dir)
    holder.kill()
    async with attach(data_dir) as endpoints:  # at once: the old PostgreSQL may still write its checkpoint
        assert await ask(endpoints.postgres_dsn, "SELECT 1") == 1


async def test_a_second_process_attaches_to_the_first(data_dir: Path, hold: Hold) -> None:
    holder = hold(data_dir)
    async with attach(data_dir) as endpoints:
        assert endpoints == Endpoints(holder.postgres_dsn, holder.redis_url, holder.token, owner=False)
        assert await ask(endpoints.postgres_dsn, "SELECT 1") == 1
    assert await ask(holder.postgres_dsn, "SELECT 1") == 1  # leaving stopped nothing
    assert holder.end() == 0
    assert still_running(list(holder.pids.values())) == []


async def test_many_start_at_once_and_one_becomes_the_owner(data_dir: Path) -> None:
    attachments = await asyncio.gather(*(open_attachment(data_dir) for _ in range(5)))
    try:
        assert [attachment.endpoints.owner for attachment in attachments].count(True) == 1
        assert len({attachment.endpoints.postgres_dsn for attachment in attachments}) == 1
    finally:
        await asyncio.gather(*(attachment.close() for attachment in attachments))


async def test_what_a_dead_owner_published_is_not_believed(data_dir: Path, hold: Hold) -> None:
    holder = hold(data_dir)
    holder.kill()
    assert (data_dir / "endpoints.json").exists()
    async with attach(data_dir) as endpoints:
        assert endpoints.owner
        assert endpoints.postgres_dsn != holder.postgres_dsn
    assert not (data_dir / "endpoints.json").exists()


async def test_configured_addresses_are_taken_as_they_are(data_dir: Path) -> None:
    async with attach(data_dir, postgres_dsn="postgresql://p", redis_url="redis://r", token="t") as endpoints:
        assert endpoints == Endpoints("postgresql://p", "redis://r", "t", owner=False)
    assert not data_dir.exists()
    async with attach(data_dir, postgres_dsn="postgresql://p", redis_url="redis://r") as endpoints:
        assert endpoints.token == (data_dir / "token").read_text().strip()
    async with attach(data_dir, postgres_dsn="postgresql://p") as endpoints:
        assert endpoints.postgres_dsn == "postgresql://p"
        async with redis.asyncio.from_url(endpoints.redis_url, protocol=2) as client:
            assert await client.ping()


async def _until_restarted(heard: list[Event], name: str) -> None:
    async with asyncio.timeout(60):
        while not any(isinstance(event, Restarted) and event.name == name for event in heard):
            await asyncio.sleep(0.05)


def _pid_of(attachment: Attachment, name: str) -> int:
    assert attachment.embedded is not None
    (child,) = (server.child for server in attachment.embedded.servers if server.name == name)
    assert child is not None
    return child.pid


@pytest.mark.parametrize("name", ["postgres", "valkey"])
async def test_a_killed_server_comes_back_at_its_old_address(data_dir: Path, name: str) -> None:
    heard: list[Event] = []
    attachment = await open_attachment(data_dir, listener=heard.append)
    try:
        await ask(attachment.endpoints.postgres_dsn, "CREATE TABLE kept AS SELECT 1 AS one")
        os.kill(_pid_of(attachment, name), signal.SIGKILL)
        await _until_restarted(heard, name)
        assert await ask(attachment.endpoints.postgres_dsn, "SELECT one FROM kept") == 1
        async with redis.asyncio.from_url(attachment.endpoints.redis_url, protocol=2) as client:
            assert await client.ping()
    finally:
        await attachment.close()
    first = heard[0]
    assert isinstance(first, Died)
    assert first.why == "signal SIGKILL"


async def test_a_stale_pid_file_of_somebody_else_is_no_obstacle(data_dir: Path) -> None:
    embedded = await start_embedded(data_dir, valkey=False)
    await embedded.stop()
    (data_dir / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{data_dir}/postgres\n")
    async with attach(data_dir) as endpoints:
        assert await ask(endpoints.postgres_dsn, "SELECT 1") == 1


async def test_an_orphaned_postgres_is_ended_first(data_dir: Path) -> None:
    """As where the kernel knows no death signal: the lock is free, but a server still runs."""
    orphan = await start_embedded(data_dir, valkey=False)
    try:
        async with attach(data_dir) as endpoints:
            assert await ask(endpoints.postgres_dsn, "SELECT 1") == 1
            assert orphan.postgres is not None
            assert orphan.postgres.child is not None
            assert orphan.postgres.child.returncode == 0
    finally:
        await orphan.stop()


def test_children_start_from_the_main_thread_only() -> None:
    faults: list[str] = []

    def elsewhere() -> None:
        try:
            Child.spawn(Spec("thing", ["/bin/true"], SERVER_ENV))
        except RuntimeError as error:
            faults.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert faults == ["thing must be started from the main thread: it ends with the thread that starts it"]


async def test_a_stop_that_is_not_obeyed_becomes_a_kill(tmp_path: Path) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    child = Child.spawn(Spec("stubborn", ["/bin/sh", "-c", script], SERVER_ENV, log=tmp_path / "log"))
    async with asyncio.timeout(60):
        while "ready" not in child.log_end():
            await asyncio.sleep(0.02)
    assert await child.stop([(signal.SIGTERM, 0.2)]) == -signal.SIGKILL


async def test_a_program_that_is_not_there_says_so(tmp_path: Path) -> None:
    child = Child.spawn(Spec("nothing", ["/no/such/program"], SERVER_ENV, log=tmp_path / "log"))
    assert await child.wait() == 97
    assert "cannot start /no/such/program: [Errno 2] No such file or directory" in child.log_end()


def test_a_server_leaves_the_process_group_of_the_terminal(data_dir: Path, hold: Hold) -> None:
    holder = hold(data_dir)
    groups = {os.getpgid(pid) for pid in holder.pids.values()}
    assert os.getpgid(holder.process.pid) not in groups
    for pid in holder.pids.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            assert psutil.Process(pid).ppid() == holder.process.pid
