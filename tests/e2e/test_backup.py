"""A restore into another directory, to a moment in the middle of journeys, with an empty Valkey: everything goes on."""

import asyncio
import json
import math
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import aiohttp
import asyncpg
import pytest

from libs.client import Client
from libs.supervisor import Installation, InstallationOptions, InstallationSettings
from tests.chaos.arena import WHATSAPP_RATE
from tests.chaos.case import Evidence
from tests.chaos.load import DomainTime, Load
from tests.chaos.records import Records, line_key
from tests.chaos.run import FIRST_MEMBER, check_all, set_up, until_quiet
from tests.command_line import omnijourney

MEMBERS = range(FIRST_MEMBER, FIRST_MEMBER + 12)


@pytest.fixture
def place() -> Iterator[Path]:
    """Room for data directories, backups and what the channels got."""
    with tempfile.TemporaryDirectory(prefix="omnijourney-test-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@dataclass(frozen=True, slots=True)
class Site:
    """An installation as load and check see it (`tests.chaos.arena.Place`)."""

    installation: Installation
    client: Client
    session: aiohttp.ClientSession
    receipts: Path

    @property
    def http_url(self) -> str:
        return self.installation.http_url

    @property
    def channel_urls(self) -> Mapping[str, str]:
        return self.installation.channel_urls

    @property
    def postgres_dsn(self) -> str:
        return self.installation.postgres_dsn


@asynccontextmanager
async def running(place: Path, name: str) -> AsyncIterator[Site]:
    """An installation in a directory of its own; the channels are the same for all, and remember what they took."""
    settings = InstallationSettings(
        data_dir=place / name, backup_dir=place / "backups", clock_control="on", postgres_dsn="", redis_url=""
    )
    options = InstallationOptions(
        settings=settings,
        free_ports=True,
        emulators=True,
        one_process=True,
        environment={
            "OMNIJOURNEY_EMULATOR_DATA_DIR": str(place / "channels"),
            "OMNIJOURNEY_EMULATOR_WHATSAPP_RATE": str(WHATSAPP_RATE),
        },
    )
    async with (
        Installation(options) as installation,
        Client(installation.targets, installation.token, installation.tools_token) as client,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
    ):
        yield Site(installation, client, session, place / "receipts")


async def command(place: Path, *arguments: str) -> str:
    """What `omnijourney backup …` prints."""
    environment = {"PATH": os.defpath, "OMNIJOURNEY_BACKUP_DIR": str(place / "backups"), "TZ": "UTC"}
    done = await omnijourney("backup", *arguments, environment=environment)
    assert done.code == 0, done.out + done.err
    return done.out


def received(place: Path, channel: str) -> int:
    """Messages that a channel took."""
    return len((place / "channels" / f"{channel}.jsonl").read_text().splitlines())


async def a_moment(load: Load) -> datetime:
    """A full second soon, while the load runs."""
    before = load.accepted.requests
    while load.accepted.requests < before + 3:
        await asyncio.sleep(0.01)
    return datetime.fromtimestamp(math.floor(datetime.now(UTC).timestamp()) + 1, UTC)


async def until_after(moment: datetime, load: Load, place: Path) -> None:
    """Loads on until work of after that moment was accepted, and messages have left on LINE."""
    on_line: int | None = None
    while on_line is None or received(place, "line") == on_line:
        if datetime.now(UTC) > moment and on_line is None:
            on_line = received(place, "line")
        await load.run(10, 0.3)


async def archived(place: Path, postgres_dsn: str) -> None:
    """Waits until all of the log is archived, as it is within a minute by itself."""
    admin = await asyncpg.connect(postgres_dsn)
    try:
        segment = await admin.fetchval("SELECT pg_walfile_name(pg_switch_wal())")
    finally:
        await admin.close()
    while not list((place / "backups").glob(f"*/wal/{segment}.gz")):
        await asyncio.sleep(0.05)


@dataclass(slots=True)
class After:
    """What left after the moment, and before all was lost: by channel, of sends that are known now and of others."""

    known: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)


async def told_apart(place: Path, records: Records, moment: datetime, lost: datetime) -> After:
    """Writes what the channels took to `receipts`, without messages of sends that nobody knows any more."""
    (place / "receipts").mkdir()
    rows = await records.rows("SELECT effect_key FROM channel_gateway.delivery WHERE team_id = $1")
    known = {str(row["effect_key"]) for row in rows} | {line_key(row["effect_key"]) for row in rows}
    after = After()
    for channel in ("line", "whatsapp"):
        kept = []
        for line in (place / "channels" / f"{channel}.jsonl").read_text().splitlines():
            record = json.loads(line)
            key = record["retry_key"] or str(UUID(record["callback_data"].split(":")[1]))
            if moment <= datetime.fromisoformat(record["accepted_at"]) <= lost:
                (after.known if key in known else after.unknown)[channel] += 1
                if key not in known:
                    continue
            kept.append(line)
        (place / "receipts" / f"{channel}.jsonl").write_text("".join(f"{line}\n" for line in kept))
    return after


@pytest.mark.timeout(900)
async def test_a_restore_elsewhere_goes_on_from_a_moment_amid_journeys(place: Path) -> None:
    async with running(place, "lost") as site:
        shopfront = await set_up(site, MEMBERS)
        clock = await DomainTime.begin(site.client)
        load = Load(
            site.client,
            site.session,
            site.http_url,
            shopfront=shopfront,
            members=MEMBERS,
            clock=clock,
            seed=1,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run(20, 1.5))
            made = group.create_task(command(place, "create", "--json", "--data-dir", str(place / "lost")))
        async with asyncio.TaskGroup() as group:
            moment = group.create_task(a_moment(load))
            group.create_task(load.run(20, 1.5))
        await until_after(moment.result(), load, place)
        await archived(place, site.postgres_dsn)
    at, lost = moment.result(), datetime.now(UTC)

    name = json.loads(made.result())["name"]
    key = str(place / "lost" / "secret_key")
    to = ("--to-time", at.strftime("%Y-%m-%dT%H:%M:%SZ"), "--secret-key-file", key)
    told = await command(place, "restore", name, "--data-dir", str(place / "found"), *to, "--json")
    assert datetime.fromisoformat(json.loads(told)["last_commit_time"]) <= at

    async with running(place, "found") as site:
        admin = await asyncpg.connect(site.postgres_dsn)
        try:
            records = Records(admin, UUID(shopfront.team_id))
            orders = await records.number("SELECT count(*) FROM segment.shop_order")
            assert 0 < orders < len(load.accepted.orders), "the moment lies amid the orders"
            # Who was answered after the moment has to say it again, as shops and callers of ours can.
            await load.all_again(site.client, site.session, site.http_url)
            now = await until_quiet(site)
            after = await told_apart(place, records, at, lost)
        finally:
            await admin.close()
        evidence = Evidence(
            accepted=load.accepted,
            journeys=shopfront.journeys,
            receipts=site.receipts,
            # What left after the moment leaves again, where the channel knows no keys.
            silent_doubles=after.known["whatsapp"],
            now=now,
        )
        proofs = await check_all(site, shopfront, evidence)
    assert not proofs.bad, proofs.bad
    assert after.known["line"], "LINE was not asked for a message that it had"
    # What began after the moment has the keys that it had, as its events are reported again.
    assert not after.unknown["line"]
    assert proofs.counts["LINE doubles"] == 0
