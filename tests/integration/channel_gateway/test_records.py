"""What became of sends, as records: numbered mail, a row a commit, shard and team; and older facts."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.common.db.pool import Pool, open_pool
from libs.common.feeds.gateway_records import SEND_BYTES, SettledFact, customers_of, read_record
from libs.common.feeds.reading import PackedHistory
from libs.common.feeds.records import shard_of
from libs.common.feeds.rows import GatewayRow
from libs.common.ids import PARTITIONS, new_id, partition_of
from libs.common.mailbox.mail import Mail, Outcome, SendOutcome, decode_all
from libs.testing.fixtures import Database
from omnijourney.common.v1.history_pb2 import HistoryCursor
from omnijourney.internal.v1 import mail_service_pb2
from services.channel_gateway.domain.model import Channel, DeliveryOutcome, Job, Price, SendState
from services.channel_gateway.store.deliveries import DeliveryStore
from services.channel_gateway.store.feed import FeedStore
from services.channel_gateway.store.outcomes import Settlement
from tests.integration.channel_gateway.conftest import LINE, START, TIMEOUT_S, Gateway, GatewayMaker

_UNSETTLED = """
INSERT INTO channel_gateway.delivery (team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel,
    state, accepted, reason, messages, price_micros, currency, capped, stop_epoch, depth, recipient, sender, created_at)
VALUES ($1, $2, $3, $4, $5, 'hello', 1, 9, true, '', 1, 200000, 'TWD', false, 0, 0, '', $6, now())
"""
_OLD_FACT = """
WITH at AS (SELECT channel_gateway.allocate_positions(ARRAY[$3::smallint]) AS positions)
INSERT INTO channel_gateway.history (partition, position, team_id, customer_id, kind, occurred_at, event_id,
    mail_number, effect_key, enrolment_id, journey_id, node_id, channel, outcome)
SELECT $3, positions[1], $1, $2, 1, $5, gen_random_uuid(), $4, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),
       'hello', 1, 1 FROM at
"""


class Sender:
    """Settles sends of one team without a gateway around it."""

    def __init__(self, pool: Pool, admin: asyncpg.Connection[Any]) -> None:
        self.team_id, self.id, self._journey_id, self._account_id = (new_id() for _ in range(4))
        self.store, self.feed = DeliveryStore(pool), FeedStore(pool)
        self._admin = admin

    async def job(self, customer_id: UUID) -> Job:
        """An unsettled send of this sender."""
        job = Job(
            team_id=self.team_id,
            effect_key=new_id(),
            customer_id=customer_id,
            enrolment_id=new_id(),
            journey_id=self._journey_id,
            node_id=f"node {customer_id.int % 2}",
            channel=Channel.LINE,
            account_id=self._account_id,
            depth=0,
            stop_epoch=0,
            not_after=None,
            recipient="",
            parts=[b"{}"],
            price=Price("TWD", 200_000),
        )
        keys = (job.team_id, job.effect_key, customer_id, job.enrolment_id, job.journey_id)
        await self._admin.execute(_UNSETTLED, *keys, self.id)
        return job

    async def settle(self, *jobs: Job, state: SendState = SendState.SENT) -> list[Mail]:
        """Settles sends together; their mail."""
        items = [Settlement(job, DeliveryOutcome(state)) for job in jobs]
        return (await self.store.settle(items, START, self.id)).mails


@pytest.fixture
async def admin(database: Database) -> Any:
    """A connection of the owner."""
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def sender(database: Database, admin: asyncpg.Connection[Any]) -> Any:
    """A sender on the database."""
    pool = await open_pool(database.dsn_of("channel_gateway"), name="sender")
    yield Sender(pool, admin)
    await pool.close()


def numbers(mails: list[Mail]) -> list[int]:
    """Of mails."""
    return [mail.number for mail in mails]


@pytest.mark.parametrize("seed", range(3))
async def test_the_mail_of_each_customer_is_numbered_without_gaps_and_read_again_from_any_number(
    sender: Sender, seed: int
) -> None:
    rng = random.Random(seed)
    customers = [new_id() for _ in range(6)]
    told: dict[UUID, list[Mail]] = defaultdict(list)
    for _ in range(8):
        jobs = [await sender.job(rng.choice(customers)) for _ in range(rng.choice([1, 2, 9]))]
        for mail in await sender.settle(*jobs):
            told[mail.customer_id].append(mail)
    for customer, mails in told.items():
        mails.sort(key=lambda mail: mail.number)
        assert numbers(mails) == list(range(1, len(mails) + 1))
        assert [mail.position for mail in mails] == sorted(mail.position for mail in mails)
        for after in range(len(mails) + 1):
            again = await sender.feed.customer_mail(sender.team_id, customer, after, 100)
            assert again == mails[after:]
        assert await sender.feed.customer_mail(sender.team_id, customer, 0, 2) == mails[:2]


async def test_a_partition_is_read_again_from_any_position(sender: Sender) -> None:
    told: list[Mail] = []
    for size in (1, 20, 3, 40):
        told += await sender.settle(*[await sender.job(new_id()) for _ in range(size)])
    for partition in range(PARTITIONS):
        mine = [mail for mail in told if mail.partition == partition]
        mine.sort(key=lambda mail: mail.position)
        for after in (0, *(mail.position for mail in mine)):
            found = await sender.feed.fetch_after({partition: after}, 1_000)
            assert sorted(found, key=lambda mail: mail.event_id) == sorted(
                (mail for mail in mine if mail.position > after), key=lambda mail: mail.event_id
            )


async def test_each_partition_of_a_shard_is_read_from_its_own_position(sender: Sender) -> None:
    told: list[Mail] = []
    for _ in range(3):
        told += await sender.settle(*[await sender.job(new_id()) for _ in range(100)])
    positions = sorted({mail.position for mail in told if shard_of(mail.partition) == 0})
    cursors = {partition: positions[place % 3] for place, partition in enumerate(range(0, PARTITIONS, 8))}
    found = await sender.feed.fetch_after(cursors, 1_000)
    assert {mail.event_id for mail in found} == {
        mail.event_id
        for mail in told
        if mail.partition in cursors and mail.position > cursors[mail.partition]
    }


async def test_records_without_mail_of_a_partition_are_not_read_for_it_again(
    sender: Sender, admin: asyncpg.Connection[Any]
) -> None:
    busy = new_id()
    partition = partition_of(sender.team_id, busy)
    quiet = (partition + 8) % PARTITIONS
    for _ in range(3):
        mails = await sender.settle(await sender.job(busy))
    assert len(await sender.feed.fetch_after({partition: 0, quiet: 0}, 100)) == 3
    # Whoever read the records again would find mail of the quiet partition in them.
    late = next(
        each for each in (new_id() for _ in range(10_000)) if partition_of(sender.team_id, each) == quiet
    )
    await admin.execute("UPDATE channel_gateway.history_record SET customers = ARRAY[$1::uuid]", late)
    assert await sender.feed.fetch_after({partition: mails[0].position, quiet: 0}, 100) == []
    # What comes afterwards is read, and so is what a repair asks for.
    (after,) = await sender.settle(await sender.job(late))
    assert await sender.feed.fetch_after({partition: mails[0].position, quiet: 0}, 100) == [after]
    assert len(await sender.feed.fetch_after({quiet: 1}, 100)) == 3


async def test_mail_of_one_record_is_read_whole_whatever_the_limit(sender: Sender) -> None:
    mails = await sender.settle(*[await sender.job(new_id()) for _ in range(40)])
    [(shard, _)] = Counter(shard_of(mail.partition) for mail in mails).most_common(1)
    record = [mail for mail in mails if shard_of(mail.partition) == shard]
    assert len(record) > 1
    found = await sender.feed.fetch_after({mail.partition: 0 for mail in record}, 1)
    assert {mail.event_id for mail in found} == {mail.event_id for mail in record}


async def test_an_outcome_that_is_recorded_again_is_told_once(
    sender: Sender, admin: asyncpg.Connection[Any]
) -> None:
    jobs = [await sender.job(new_id()) for _ in range(3)]
    assert len(await sender.settle(*jobs[:2])) == 2
    # As when the answer to that commit was lost, and a stop or another process has the third meanwhile.
    await admin.execute(
        "UPDATE channel_gateway.delivery SET sender = $2 WHERE effect_key = $1", jobs[1].effect_key, new_id()
    )
    assert [mail.event_id for mail in await sender.settle(*jobs)] == [jobs[2].effect_key]
    assert await sender.settle(*jobs, state=SendState.FAILED) == []
    assert await admin.fetchval("SELECT array_agg(state) FROM channel_gateway.delivery") == [1, 1, 1]
    assert await admin.fetchval("SELECT sum(last_number) FROM channel_gateway.customer_mail") == 3


async def test_a_send_that_stands_twice_in_a_batch_is_settled_once(sender: Sender) -> None:
    job = await sender.job(new_id())
    assert numbers(await sender.settle(job, job)) == [1]


async def test_records_follow_what_the_release_before_wrote(
    sender: Sender, admin: asyncpg.Connection[Any]
) -> None:
    customer = new_id()
    partition = partition_of(sender.team_id, customer)
    beside = (partition + 8) % PARTITIONS  # another partition of the shard, with more facts
    for number, place in ((1, partition), (2, partition), *[(None, beside)] * 5):
        await admin.execute(_OLD_FACT, sender.team_id, customer, place, number, START)
    await admin.execute(
        "INSERT INTO channel_gateway.customer_mail (team_id, customer_id, last_number) VALUES ($1, $2, 2)",
        sender.team_id,
        customer,
    )
    told = [(await sender.settle(await sender.job(customer)))[0] for _ in range(2)]
    assert numbers(told) == [3, 4]
    for after in range(5):
        mails = await sender.feed.customer_mail(sender.team_id, customer, after, 100)
        assert numbers(mails) == [1, 2, 3, 4][after:]
    mails = await sender.feed.fetch_after(dict.fromkeys(range(PARTITIONS), 0), 100)
    assert numbers(mails) == [1, 2, 3, 4]
    assert [mail.position for mail in mails] == [1, 2, 6, 7], "beyond all facts of the shard's partitions"
    assert numbers(await sender.feed.fetch_after({partition: 2}, 100)) == [3, 4]


async def test_the_feed_tells_what_the_release_before_wrote_first_and_everything_once(
    sender: Sender, admin: asyncpg.Connection[Any]
) -> None:
    customer = new_id()
    for number in range(1, 8):
        place = (number * 11) % PARTITIONS
        await admin.execute(_OLD_FACT, sender.team_id, customer, place, number, START)
    for size in (1, 30, 2):
        await sender.settle(*[await sender.job(new_id()) for _ in range(size)])
    written = await admin.fetchval("SELECT count(*) FROM channel_gateway.history_record")
    for page in (1, 3, 100):
        cursors, kinds = dict.fromkeys(range(PARTITIONS), 0), []
        while True:
            rows, following = await sender.feed.page(cursors, page)
            assert len(rows) <= page
            kinds += [row["kind"] if "kind" in row.keys() else 5 for row in rows]  # noqa: SIM118 - no dictionary
            if following == cursors:
                break
            cursors = following
        assert kinds == [1] * 7 + [5] * written


async def test_the_release_before_writes_no_fact_below_one_that_was_read(
    sender: Sender, admin: asyncpg.Connection[Any]
) -> None:
    customer = new_id()
    partition = partition_of(sender.team_id, customer)
    await admin.execute(_OLD_FACT, sender.team_id, customer, partition, 1, START)
    await sender.settle(await sender.job(customer))
    with pytest.raises(asyncpg.PostgresError, match="stop the gateways of the release before"):
        await admin.execute(_OLD_FACT, sender.team_id, customer, partition, 2, START)
    with pytest.raises(asyncpg.PostgresError, match="stop the gateways of the release before"):
        await admin.fetch(
            "SELECT * FROM channel_gateway.history_page($1::smallint[], $2::bigint[], 10)", [partition], [0]
        )


async def test_mail_of_the_release_before_reaches_the_mailbox_with_that_of_this_one(
    maker: GatewayMaker, database: Database, admin: asyncpg.Connection[Any]
) -> None:
    team, customer = new_id(), new_id()
    await admin.execute(_OLD_FACT, team, customer, partition_of(team, customer), 1, START)
    await admin.execute(
        "INSERT INTO channel_gateway.customer_mail (team_id, customer_id, last_number) VALUES ($1, $2, 1)",
        team,
        customer,
    )
    async with maker.start() as gateway:
        await gateway.settled()
        gateway.team_id = team
        assert numbers(await gateway.mail(str(customer))) == [1]


async def test_sends_that_are_settled_together_are_one_row_of_the_history_a_shard(gateway: Gateway) -> None:
    account, module = await gateway.account(LINE, sink=True), await gateway.module()
    customers = [gateway.customer(account, LINE) for _ in range(60)]
    await gateway.ask(*(gateway.send(customer, LINE, bot_module_id=module) for customer in customers))
    await gateway.settled()
    history = PackedHistory("channel_gateway", gateway.internal.channel, GatewayRow)
    rows = (await history.read(dict.fromkeys(range(PARTITIONS), 0), 0, 100)).rows
    assert len(rows) <= 16, "one or two commits"
    facts = await gateway.facts()
    assert len({fact.key for fact in facts}) == len(facts) == 60
    mails = [mail for customer in customers for mail in await gateway.mail(customer)]
    assert [mail.body.outcome for mail in mails if isinstance(mail.body, SendOutcome)] == [Outcome.SENT] * 60


async def test_the_feed_tells_the_customers_of_sends_beside_their_record(sender: Sender) -> None:
    told: list[Mail] = []
    for size in (1, 30):
        told += await sender.settle(*[await sender.job(new_id()) for _ in range(size)])
    rows, _ = await sender.feed.page(dict.fromkeys(range(PARTITIONS), 0), 100)
    found: set[tuple[UUID, UUID]] = set()
    for row in rows:
        sends = b"".join(f.sends for f in read_record(row["body"]).facts if isinstance(f, SettledFact))
        keys = [UUID(bytes=sends[start : start + 16]) for start in range(0, len(sends), SEND_BYTES)]
        found |= set(zip((UUID(bytes=each) for each in customers_of(row["customers"])), keys, strict=True))
    assert found == {(mail.customer_id, mail.event_id) for mail in told}


async def test_a_stint_stands_until_all_of_its_sends_are_settled(
    sender: Sender, admin: asyncpg.Connection[Any]
) -> None:
    stint, jobs = new_id(), [await sender.job(new_id()) for _ in range(2)]
    await admin.execute("INSERT INTO channel_gateway.sender_stint VALUES ($1, $2)", stint, sender.id)
    await admin.execute("UPDATE channel_gateway.delivery SET stint_id = $1", stint)
    for count, job in zip((2, 1), jobs, strict=True):
        await sender.store.end_stints([stint])
        assert await sender.store.stints() == [(stint, sender.id)]
        assert (await sender.store.unsettled())[0] == count
        assert await sender.store.unsettled_senders() == {sender.id: {sender.team_id}}
        await sender.settle(job)
    async with admin.transaction():
        # As a reservation does that is under way, and stores another send of it.
        await admin.execute("SELECT channel_gateway.hold_stint($1, $2)", stint, sender.id)
        await sender.store.end_stints([stint])
        assert await sender.store.stints() == [(stint, sender.id)]
    await sender.store.end_stints([stint])
    assert await sender.store.stints() == []
    await admin.execute("SELECT channel_gateway.hold_stint($1, $2)", stint, sender.id)
    assert await sender.store.stints() == [(stint, sender.id)], "a reservation that comes late has it again"


async def test_the_few_that_wait_in_a_stint_are_gathered_so_that_it_can_end(
    sender: Sender, admin: asyncpg.Connection[Any]
) -> None:
    sparse, dense, target = new_id(), new_id(), new_id()
    stinted: dict[UUID, list[Job]] = {}
    for stint, sends in ((sparse, 40), (dense, 2)):
        stinted[stint] = [await sender.job(new_id()) for _ in range(sends)]
        await admin.execute("INSERT INTO channel_gateway.sender_stint VALUES ($1, $2)", stint, sender.id)
        keys = [job.effect_key for job in stinted[stint]]
        await admin.execute(
            "UPDATE channel_gateway.delivery SET stint_id = $1 WHERE effect_key = ANY ($2)", stint, keys
        )
    await sender.settle(*stinted[sparse][1:-1])
    await sender.store.gather_stints([sparse, dense], target, sender.id)
    assert {stint for stint, _ in await sender.store.stints()} == {sparse, dense, target}
    await sender.store.end_stints([sparse, dense, target])
    assert {stint for stint, _ in await sender.store.stints()} == {dense, target}
    assert (await sender.store.unsettled())[0] == 4
    await sender.settle(*stinted[dense], stinted[sparse][0], stinted[sparse][-1])
    await sender.store.end_stints([dense, target])
    assert await sender.store.stints() == []


async def test_the_stint_of_the_release_before_always_stands(
    sender: Sender, admin: asyncpg.Connection[Any]
) -> None:
    await sender.job(new_id())
    assert await sender.store.stints() == []
    assert (await sender.store.unsettled())[0] == 1
    assert await admin.fetchval("SELECT count(*) FROM channel_gateway.sender_stint") == 1


async def test_a_partition_is_read_again_page_after_page_to_its_end(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.channel_gateway.store.feed.RECORDS_MAX", 1)
    account, module = await gateway.account(LINE, sink=True), await gateway.module()
    for size in (60, 60):
        customers = [gateway.customer(account, LINE) for _ in range(size)]
        await gateway.ask(*(gateway.send(customer, LINE, bot_module_id=module) for customer in customers))
        await gateway.settled()
    found: set[UUID] = set()
    for partition in range(PARTITIONS):
        after, more = 0, True
        while more:
            cursor = HistoryCursor(partition=partition, after_position=after)
            page = await gateway.internal.mail.ListMail(
                mail_service_pb2.ListMailRequest(partition=cursor, page_size=1), timeout=TIMEOUT_S
            )
            mails = decode_all(list(page.mails))
            found |= {mail.event_id for mail in mails}
            after, more = mails[-1].position if mails else after, page.more
    assert len(found) == 120


_INDEXED = """
SELECT DISTINCT a.attname
  FROM pg_index AS i
  JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refobjid = i.indrelid
  JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = d.refobjsubid
 WHERE i.indrelid = 'channel_gateway.delivery'::regclass
UNION
SELECT a.attname
  FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
 WHERE i.indrelid = 'channel_gateway.delivery'::regclass
"""


async def test_no_index_holds_what_sending_changes(admin: asyncpg.Connection[Any]) -> None:
    indexed = {row["attname"] for row in await admin.fetch(_INDEXED)}
    # The last four are in an index of two channels and in one of sends that cost, and stay as the send was reserved.
    fixed = {"team_id", "effect_key", "created_at", "account_id", "recipient", "channel", "price_micros"}
    assert indexed == {*fixed, "stint_id"}, (
        "an update of any other column stays in its place, and touches no index"
    )
