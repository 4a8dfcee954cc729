"""Events and effects in one statement: once each, whoever sends them again, at the same time or in another release."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import msgspec
import pytest

from libs.common.clock import SteppedClock
from libs.common.ids import new_id
from libs.common.mailbox.mail import Checkout
from libs.testing.fixtures import Database, Servers
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.internal.v1 import change_pb2
from omnijourney.segment.v1 import event_pb2, segment_service_pb2, segment_service_pb2_grpc
from services.segment.app import app
from services.segment.config import Settings
from services.segment.store.usual import packed_around
from services.segment.worker import writers
from tests.integration.segment.conftest import START, TIMEOUT_S, Segment, identity

ACCEPTED = event_pb2.EVENT_STATUS_ACCEPTED
DUPLICATE = event_pb2.EVENT_STATUS_DUPLICATE
REFUSED = event_pb2.EVENT_STATUS_REFUSED
APPLIED = change_pb2.CHANGE_STATUS_APPLIED
UNCHANGED = change_pb2.CHANGE_STATUS_UNCHANGED


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    """The owner of the tables, who sees every row."""
    connection = await asyncpg.connect(database.admin_dsn, server_settings={"search_path": "segment,public"})
    yield connection
    await connection.close()


def _joined(segment: Segment, key: str, customer_id: str, external_id: str = "1") -> event_pb2.CustomerEvent:
    added = event_pb2.ContactAdded(identity=identity(external_id))
    return segment.event(key, contact_added=added, who={"customer_id": customer_id})


async def test_a_usual_event_keeps_its_key_in_its_fact(
    segment: Segment, owner: asyncpg.Connection[Any]
) -> None:
    first, second = await segment.create(phone="+886912345678"), await segment.create(phone="+886912345679")
    order = segment.order("e2", "o1", who={"customer_id": second})
    results = await segment.record(_joined(segment, "e1", first), order)
    assert [(each.status, each.customer_id) for each in results] == [(ACCEPTED, first), (ACCEPTED, second)]
    rows = await owner.fetch("SELECT event_key FROM fact WHERE event_key IS NOT NULL ORDER BY 1")
    assert [row["event_key"] for row in rows] == ["e1", "e2"]
    assert await owner.fetchval("SELECT count(*) FROM event_key") == 0
    for customer_id in (first, second):
        assert [letter.number for letter in await segment.mail(customer_id)] == [1]
        assert (await segment.customer(customer_id)).times.HasField("customer_interact_time")


async def test_the_same_event_twice_in_a_batch_and_with_other_content(segment: Segment) -> None:
    one, other = await segment.create(), await segment.create()
    event = _joined(segment, "e1", one)
    assert [each.status for each in await segment.record(event, event)] == [ACCEPTED, DUPLICATE]
    (again,) = await segment.record(event)
    assert (again.status, again.customer_id) == (DUPLICATE, one)
    changed, neighbour = await segment.record(
        _joined(segment, "e1", other, "2"), _joined(segment, "e2", other, "3")
    )
    assert (changed.status, changed.reason) == (REFUSED, error_reason_pb2.ERROR_REASON_EVENT_KEY_REUSED)
    assert neighbour.status == ACCEPTED
    assert len(await segment.mail(one)) == len(await segment.mail(other)) == 1


async def test_what_is_not_as_presumed_is_decided_with_everything_read(segment: Segment) -> None:
    known, nameless = await segment.create(name="Ann", phone="+886912345678"), await segment.create()
    await segment.record(_joined(segment, "bound", known, "1"))
    named = _joined(segment, "named", nameless, "2")
    named.customer_name = "Bea"
    results = await segment.record(
        _joined(segment, "missing", str(new_id()), "9"),
        _joined(segment, "taken", str(await segment.create()), "1"),
        named,
        segment.order("order", "o1", who={"customer_id": known}),
    )
    assert [each.status for each in results] == [REFUSED, REFUSED, ACCEPTED, ACCEPTED]
    assert results[0].reason == error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND
    assert (await segment.customer(nameless)).name == "Bea"
    (phoneless,) = await segment.record(segment.order("o2", "o2", who={"customer_id": nameless}))
    assert phoneless.status == ACCEPTED
    told = [
        fact.checkout_completed.has_phone
        for fact in await segment.facts()
        if fact.WhichOneof("fact") == "checkout_completed"
    ]
    assert sorted(told) == [False, True]
    (*_, letter) = await segment.mail(nameless)
    assert isinstance(letter.body, Checkout)
    assert not letter.body.has_phone


async def test_events_that_leave_only_a_time_are_kept_by_their_keys(
    segment: Segment, owner: asyncpg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written in one statement, with nothing read before; what is otherwise is decided with everything read."""
    customers = [await segment.create() for _ in range(3)]
    at = segment.clock.now()

    def touch(key: str, customer_id: str, what: str = "customer_interacted", hours: int = 1) -> Any:
        when = at - timedelta(hours=hours)
        return segment.event(key, at=when, who={"customer_id": customer_id}, **{what: {}})

    events = [touch("e1", customers[0]), touch("e2", customers[1], "team_interacted")]
    with monkeypatch.context() as blind:
        blind.setattr(writers, "load_known_context", None)
        results = await segment.record(*events)
    assert [(each.status, each.customer_id) for each in results] == [
        (ACCEPTED, customers[0]),
        (ACCEPTED, customers[1]),
    ]
    assert await owner.fetchval("SELECT count(*) FROM event_key") == 2
    assert not [fact for fact in await segment.fact_kinds() if fact != "customer_created"]
    again = await segment.record(*events, touch("e3", customers[2]), touch("e4", str(new_id())))
    assert [each.status for each in again] == [DUPLICATE, DUPLICATE, ACCEPTED, REFUSED]
    assert again[3].reason == error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND
    (other,) = await segment.record(touch("e1", customers[1]))
    assert (other.status, other.reason) == (REFUSED, error_reason_pb2.ERROR_REASON_EVENT_KEY_REUSED)
    await segment.record(_joined(segment, "fact", customers[0]))
    (used,) = await segment.record(touch("fact", customers[0], hours=2))
    assert (used.status, used.reason) == (REFUSED, error_reason_pb2.ERROR_REASON_EVENT_KEY_REUSED)
    first, second = [(await segment.customer(each)).times for each in customers[:2]]
    assert first.customer_interact_time.ToDatetime(UTC) == at  # an earlier one moves no time back
    assert not first.HasField("team_interact_time")
    assert second.team_interact_time.ToDatetime(UTC) == at - timedelta(hours=1)
    assert not second.HasField("customer_interact_time")


async def test_the_same_events_from_two_processes_at_once_happen_once(
    servers: Servers, database: Database, segment: Segment
) -> None:
    customers = [await segment.create() for _ in range(12)]
    events = [_joined(segment, f"e{n}", customer, str(n)) for n, customer in enumerate(customers, 1)]
    settings = servers.settings(Settings, database)
    async with (
        app(settings, clock=SteppedClock(START)) as serving,
        servers.channel(serving.port) as channel,
    ):
        stubs = (segment.stub, segment_service_pb2_grpc.SegmentServiceStub(channel))

        async def call(number: int) -> list[event_pb2.EventResult]:
            some = random.Random(number).sample(events, 8)
            request = segment_service_pb2.RecordEventsRequest(events=some)
            return list((await stubs[number % 2].RecordEvents(request, timeout=TIMEOUT_S)).results)

        results = [each for part in await asyncio.gather(*map(call, range(20))) for each in part]
    assert sum(each.status == ACCEPTED for each in results) == len(events)
    assert {each.status for each in results} == {ACCEPTED, DUPLICATE}
    for customer_id in customers:
        assert [letter.number for letter in await segment.mail(customer_id)] == [1]


async def test_effects_that_set_attributes_happen_once_from_all_sides(segment: Segment) -> None:
    await segment.define("tier", "TEXT")
    customers = [await segment.create() for _ in range(5)]
    changes = [
        segment.change(each, new_id(), set_attribute={"key": "tier", "text": text})
        for each in customers
        for text in ("silver", "gold")
    ]

    async def call(number: int) -> list[change_pb2.ChangeResult]:
        return await segment.apply(*random.Random(number).sample(changes, 4))

    results = [each for part in await asyncio.gather(*map(call, range(30))) for each in part]
    assert {each.status for each in results} == {APPLIED}
    assert sum(not each.replayed for each in results) == len(changes)
    for customer_id in customers:
        letters = await segment.mail(customer_id)
        assert [letter.number for letter in letters] == [1, 2]
        first, second = (letter.body for letter in letters)
        assert first.old is None  # type: ignore[union-attr]
        assert second.old == first.new  # type: ignore[union-attr]


async def test_a_value_that_another_set_meanwhile_is_the_one_before(
    segment: Segment, owner: asyncpg.Connection[Any]
) -> None:
    await segment.define("tier", "TEXT")
    customer_id = await segment.create(attributes={"tier": "iron"})
    async with owner.transaction():
        await owner.execute("UPDATE customer SET revision = revision + 1")
        await owner.execute("UPDATE customer_attribute SET value = 'silver', value_folded = 'silver'")
        change = segment.change(customer_id, set_attribute={"key": "tier", "text": "gold"})
        waiting = asyncio.create_task(segment.apply(change))
        while not await owner.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
    assert [each.status for each in await waiting] == [APPLIED]
    assert [letter.body.old for letter in await segment.mail(customer_id)] == [None, "silver"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "hint", [{"phone": "+886912345678"}, {"email": "ann@example.com"}, {"member_id": "m1"}]
)
async def test_a_hint_that_leads_elsewhere_meanwhile_is_followed_there(
    segment: Segment, owner: asyncpg.Connection[Any], hint: dict[str, str]
) -> None:
    before = await segment.create(**hint)
    column, text = next(iter(hint.items()))
    searched = column if column == "phone" else f"{column}_folded"
    async with owner.transaction():
        await owner.execute(f"UPDATE customer SET {searched} = $1", f"{text}0")
        waiting = asyncio.create_task(segment.record(segment.order("e1", "o1", who=hint)))
        while not await owner.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
    (result,) = await waiting
    assert (result.status, result.customer_created) == (ACCEPTED, True)
    assert result.customer_id != before
    assert await segment.mail(before) == []


async def test_a_second_report_of_an_order_and_one_of_a_new_customer_are_decided_at_leisure(
    segment: Segment,
) -> None:
    (first,) = await segment.record(segment.order("e1", "o1", who={"member_id": "new"}))
    assert (first.status, first.customer_created) == (ACCEPTED, True)
    second, third = await segment.record(
        segment.order("e2", "o1", who={"member_id": "new"}, items=["a tea"]),
        segment.order("e3", "o3", who={"email": "other@example.com"}),
    )
    assert (second.status, second.customer_id) == (DUPLICATE, first.customer_id)
    assert (third.status, third.customer_created) == (ACCEPTED, True)
    kinds = await segment.fact_kinds()
    assert (kinds.count("order_amended"), kinds.count("checkout_completed")) == (1, 2)


async def test_a_hint_leads_to_the_one_known_longest(
    segment: Segment, owner: asyncpg.Connection[Any]
) -> None:
    first = await segment.create(phone="+886912345678", email="ann@example.com")
    segment.clock.advance(timedelta(hours=1))
    await segment.create(phone="+886912345678", email="ann@example.com")
    events = [
        segment.order("e1", "o1", who={"phone": "+886912345678"}),
        segment.order("e2", "o2", who={"email": "ANN@example.com"}),
    ]
    for event in events:
        (result,) = await segment.record(event)
        assert (result.status, result.customer_id) == (ACCEPTED, first)
    assert await owner.fetchval("SELECT count(*) FROM event_key") == 0


async def test_an_event_key_that_is_used_meanwhile_is_used_once(
    segment: Segment, owner: asyncpg.Connection[Any]
) -> None:
    """By a process of the release before, which keeps it in a row of its own, with the customer locked."""
    customer_id = await segment.create()
    event = _joined(segment, "e1", customer_id)
    async with owner.transaction():
        await owner.execute("SELECT FROM customer FOR NO KEY UPDATE")
        waiting = asyncio.create_task(segment.record(event))
        while not await owner.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
        key = "INSERT INTO event_key VALUES ($1, 'e1', '\\x00', NULL)"
        await owner.execute(key, segment.team_id)
    (result,) = await waiting
    assert result.reason == error_reason_pb2.ERROR_REASON_EVENT_KEY_REUSED
    assert await segment.mail(customer_id) == []


async def test_a_key_that_is_used_in_a_fact_meanwhile_is_kept_nowhere_else(
    segment: Segment, owner: asyncpg.Connection[Any]
) -> None:
    """A report that makes no fact, since its identity is bound by then, and whose key was looked for before."""
    customer_id, other = await segment.create(), await segment.create()
    event = _joined(segment, "e1", customer_id)
    await segment.record(event)
    await owner.execute("UPDATE fact SET event_key = NULL, digest = NULL")
    async with owner.transaction():
        await owner.execute("SELECT FROM customer FOR NO KEY UPDATE")
        # Two events of a customer are no usual batch.
        waiting = asyncio.create_task(
            segment.record(event, _joined(segment, "e2", customer_id), _joined(segment, "e3", other, "3"))
        )
        while not await owner.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
        await owner.execute(
            "UPDATE fact SET event_key = 'e1', digest = '\\x00' WHERE customer_id = $1 AND mail_number = 1",
            UUID(customer_id),
        )
    first, *others = await waiting
    assert first.reason == error_reason_pb2.ERROR_REASON_EVENT_KEY_REUSED
    assert [each.status for each in others] == [ACCEPTED, ACCEPTED]
    assert await owner.fetchval("SELECT array_agg(event_key) FROM event_key") == ["e2"]


async def test_effects_are_answered_from_their_facts_and_from_rows(
    segment: Segment, owner: asyncpg.Connection[Any]
) -> None:
    await segment.define("tier", "TEXT")
    customer_id = await segment.create()
    sets, keeps = (
        segment.change(customer_id, new_id(), set_attribute={"key": "tier", "text": "gold"}) for _ in "12"
    )
    assert [(await segment.apply(each))[0].status for each in (sets, keeps)] == [APPLIED, UNCHANGED]
    assert await owner.fetchval("SELECT count(*) FROM fact WHERE effect_key IS NOT NULL") == 1
    assert await owner.fetchval("SELECT count(*) FROM effect") == 1
    for each, status in ((sets, APPLIED), (keeps, UNCHANGED)):
        (again,) = await segment.apply(each)
        assert (again.status, again.replayed) == (status, True)
        other = segment.change(customer_id, set_attribute={"key": "tier", "text": "other"})
        other.effect_key = each.effect_key
        (reused,) = await segment.apply(other)
        assert reused.reason == error_reason_pb2.ERROR_REASON_EFFECT_KEY_REUSED
    # What was kept unchanged once is not set later, whatever the value is by then.
    await segment.apply(segment.change(customer_id, set_attribute={"key": "tier", "text": "silver"}))
    (late,) = await segment.apply(keeps)
    assert (late.status, late.replayed) == (UNCHANGED, True)
    assert dict((await segment.customer(customer_id)).attributes) == {"tier": "silver"}


async def test_keys_that_the_release_before_wrote_are_found(
    segment: Segment, owner: asyncpg.Connection[Any]
) -> None:
    await segment.define("tier", "TEXT")
    customer_id = await segment.create()
    event = _joined(segment, "e1", customer_id)
    change = segment.change(customer_id, new_id(), set_attribute={"key": "tier", "text": "gold"})
    await segment.record(event)
    await segment.apply(change)
    # As that release leaves them: the keys in rows of their own, the facts without.
    await owner.execute(
        "INSERT INTO event_key SELECT team_id, event_key, digest, customer_id FROM fact WHERE event_key IS NOT NULL;"
        "INSERT INTO effect SELECT team_id, effect_key, digest, 1, '' FROM fact WHERE effect_key IS NOT NULL;"
        "UPDATE fact SET event_key = NULL, effect_key = NULL, digest = NULL;"
        # Nothing else than the keys says that it was done.
        "DELETE FROM identity; DELETE FROM customer_attribute"
    )
    (recorded,), (applied,) = await segment.record(event), await segment.apply(change)
    assert (recorded.status, recorded.customer_id) == (DUPLICATE, customer_id)
    assert (applied.status, applied.replayed) == (APPLIED, True)
    assert len(await segment.mail(customer_id)) == 2


async def test_the_release_before_finds_keys_in_facts(
    segment: Segment, owner: asyncpg.Connection[Any]
) -> None:
    customer_id = await segment.create()
    await segment.record(_joined(segment, "e1", customer_id))
    row = await owner.fetchrow(
        "SELECT * FROM recall_events(NULL, ARRAY[ROW($1, 'e1'), ROW($1, 'e2')]::told_key[], NULL, NULL, NULL, NULL,"
        " NULL, NULL, NULL, NULL, 0, NULL)",
        segment.team_id,
    )
    assert row is not None
    assert [(key["event_key"], str(key["customer_id"])) for key in row["keys"]] == [("e1", customer_id)]
    save = (
        "SELECT save_batch(now(), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,"
        " ARRAY[ROW($1, $2, '\\x00', NULL)]::used_key[], NULL, NULL, NULL, NULL, NULL, NULL)"
    )
    with pytest.raises(asyncpg.SerializationError):
        await owner.execute(save, segment.team_id, "e1")
    await owner.execute(save, segment.team_id, "e2")


@pytest.mark.parametrize("hint", ["customer_id", "member_id"])
async def test_an_event_whose_write_always_fails_costs_no_neighbour(
    segment: Segment, owner: asyncpg.Connection[Any], hint: str
) -> None:
    """Whatever the database says of one customer's row; on both ways."""
    members = ["m1", "m2", "m3"]
    customers = [await segment.create(member_id=member) for member in members]
    await owner.execute(
        f"ALTER TABLE customer ADD CHECK (customer_id <> '{customers[1]}' OR mail_number = 0) NOT VALID"
    )
    who = [{hint: value} for value in (customers if hint == "customer_id" else members)]
    events = [
        segment.event(f"e{n}", contact_added={"identity": identity(str(n))}, who=each)
        for n, each in enumerate(who, 1)
    ]
    first, broken, last = await segment.record(*events)
    assert [first.status, broken.status, last.status] == [ACCEPTED, REFUSED, ACCEPTED]
    assert broken.reason == error_reason_pb2.ERROR_REASON_INTERNAL
    assert broken.message
    with pytest.raises(grpc.aio.AioRpcError) as alone:
        await segment.record(events[1])
    assert alone.value.code() is grpc.StatusCode.INTERNAL
    assert [len(await segment.mail(each)) for each in customers] == [1, 0, 1]


async def test_texts_are_packed_as_the_code_packs_them(owner: asyncpg.Connection[Any]) -> None:
    lengths = (0, 1, 31, 32, 255, 256, 2_000, 32_767, 32_768, 65_535)
    texts = [None, "é" * 127, "é" * 128, *("x" * length for length in lengths)]
    for text in texts:
        packed = await owner.fetchval("SELECT packed_text($1)", text)
        assert packed == msgspec.msgpack.encode(text)
    head, tail = packed_around("tier", "gold")
    assert msgspec.msgpack.decode(head + msgspec.msgpack.encode("old") + tail) == [
        10,
        "tier",
        1,
        "old",
        "gold",
        False,
    ]


def _random_reports(
    segment: Segment, customers: list[str], rng: random.Random
) -> list[event_pb2.CustomerEvent]:
    reports = []
    for number in range(60):
        who: dict[str, str] = {"customer_id": rng.choice(customers)}
        if rng.random() < 0.5:
            place = rng.randrange(9)  # the ninth is nobody's
            hints = {
                "phone": f"+88691234567{place}",
                "member_id": f"m{place}",
                "email": f"a{place}@example.com",
            }
            who = {name: hints[name] for name in rng.sample(list(hints), rng.choice([1, 1, 2, 3]))}
        event = (
            segment.order(f"k{number % 45}", f"o{rng.randrange(25)}", who=who)
            if rng.random() < 0.5
            else segment.event(
                f"k{number % 45}", contact_added={"identity": identity(str(rng.randrange(30)))}, who=who
            )
        )
        if rng.random() < 0.2:
            event.customer_name = "Ann"
        reports.append(event)
    return reports


async def _create(segment: Segment, number: int) -> str:
    """One by one they lack more; the last two share the phone and the address of others."""
    member, phone = f"m{number}", number if number < 5 else 7 - number
    fields = {"member_id": member, "name": "Bob", "email": f"a{phone}@example.com"}
    some = dict(list(fields.items())[number % 4 :])
    # Who is known longest is found first: of one moment it would be by chance.
    segment.clock.advance(timedelta(seconds=1))
    return await segment.create(**some, phone=f"+88691234567{phone}" if number != 3 else "")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_batches_come_out_as_without_the_shorter_way(
    segment: Segment, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same random reports for two teams, one of which goes the longer way."""
    teams = (segment.team_id, new_id())
    await segment.create_team(teams[1])
    outcomes = []
    for team in teams:
        segment.team_id = team
        rng = random.Random(seed)
        customers = [await _create(segment, n) for n in range(8)]
        reports = _random_reports(segment, customers, rng)
        results = []
        while reports:
            size = rng.choice([1, 1, 2, 5])
            results += await segment.record(*reports[:size])
            reports = reports[size:]
        mail = [[letter.body for letter in await segment.mail(each)] for each in customers]
        names = [(await segment.customer(each)).name for each in customers]
        places = {each: place for place, each in enumerate(customers)}
        said = [
            (each.status, each.reason, places.get(each.customer_id), each.customer_created)
            for each in results
        ]
        outcomes.append((said, [[_without_ids(body) for body in own] for own in mail], names))
        monkeypatch.setattr(writers, "hints_of", lambda events: None)
        monkeypatch.setattr(writers, "plain_orders", lambda *_: None)
    assert outcomes[0] == outcomes[1]


def _without_ids(body: Any) -> dict[str, Any]:
    """Keys of orders follow from the team's id."""
    return {name: value for name, value in msgspec.structs.asdict(body).items() if name != "order_key"}
