"""What a release before spelled otherwise is spelled as now, and nobody loses an identity (S-01c, S-05e, P-03b)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.common.db.pool import open_pool
from libs.testing.fixtures import Database
from omnijourney.segment.v1 import event_pb2
from services.segment.store.spellings import SpellingStore, save_respelled
from services.segment.worker.spellings import Spellings
from services.segment.worker.writers import Writer
from tests.integration.segment.conftest import ACCOUNT, Segment, identity

_PUT = """
INSERT INTO segment.identity (team_id, channel, account_id, external_id, customer_id, blocked, bind_time, seen_at)
VALUES ($1, 2, $2, $3, $4, false, $5, $5)
"""
_FROM_THE_BEGINNING = """
INSERT INTO segment.spelling_search (reached_team_id, reached_customer_id, passes_left, due_at)
SELECT nobody, nobody, 2, clock_timestamp()
  FROM (SELECT '00000000-0000-0000-0000-000000000000'::uuid AS nobody) AS first
"""
_CUSTOMER = "UPDATE segment.customer SET {} WHERE customer_id = $1"


class Nowhere:
    """Facts that nobody waits for."""

    def publish(self, facts: Any) -> None:
        """Nothing."""


@dataclass
class Old:
    """A team as the release before left it."""

    segment: Segment
    owner: asyncpg.Connection[Any]
    store: SpellingStore
    spellings: Spellings

    async def write(self, customer_id: str, **texts: str) -> None:
        """Basic data as it was spelled."""
        for name, text in texts.items():
            folded = f", {name}_folded = lower($2)" if name != "phone" else ""
            await self.owner.execute(_CUSTOMER.format(f"{name} = $2{folded}"), UUID(customer_id), text)

    async def put(self, customer_id: str, external_id: str) -> None:
        """An identity on WhatsApp as it was spelled."""
        now = self.segment.clock.now()
        await self.owner.execute(
            _PUT,
            self.segment.team_id,
            UUID(ACCOUNT),
            external_id,
            UUID(customer_id),
            now,
        )

    async def spell(self) -> None:
        """One pass."""
        await self.owner.execute(_FROM_THE_BEGINNING)
        while await self.spellings.step(1_000):
            pass

    async def known(self, customer_id: str) -> tuple[str, set[str]]:
        """Phone and ids on WhatsApp."""
        found = await self.segment.customer(customer_id)
        return found.phone, {each.key.external_id for each in found.identities}

    async def pairs(self) -> set[tuple[frozenset[str], str]]:
        """Who is listed for merging, and by what."""
        listed = (await self.segment.call("ListIdentityConflicts")).identity_conflicts
        return {
            (frozenset((each.customer_id, each.other_customer_id)), each.matched_field) for each in listed
        }


@pytest.fixture
async def database(database: Database) -> Database:
    """With nothing to search for, or the service would search while a test does."""
    owner = await asyncpg.connect(database.admin_dsn)
    await owner.execute("DELETE FROM segment.spelling_search")
    await owner.close()
    return database


@pytest.fixture
async def old(segment: Segment, database: Database) -> AsyncIterator[Old]:
    """Before anything was searched."""
    owner = await asyncpg.connect(database.admin_dsn)
    async with await open_pool(segment.dsn, name="spellings") as pool:
        publisher: Any = Nowhere()
        writer = Writer(pool, segment.clock, publisher, timedelta(minutes=5))
        store = SpellingStore(pool)
        yield Old(segment, owner, store, Spellings(store, segment.clock, writer, publisher))
    await owner.close()


@pytest.mark.rule("S-01c")
async def test_texts_of_a_release_before_are_spelled_as_now(old: Old) -> None:
    segment = old.segment
    mexico, email = [await segment.create(name=name) for name in ("Mexico", "Mail")]
    plain = await segment.create(member_id="M-9", phone="+886912000009")
    await old.write(mexico, phone="+5215512345678")
    await old.write(email, email=" ann@\u200bexample.com\u00a0", member_id="M\u2060-1\u200b")
    before = await segment.customer(plain)
    await old.spell()
    assert (await segment.customer(mexico)).phone == "+525512345678"
    spelled = await segment.customer(email)
    assert (spelled.email, spelled.member_id) == ("ann@example.com", "M-1")
    assert await segment.customer(plain) == before
    changed = [fact for fact in await segment.facts() if fact.WhichOneof("fact") == "customer_changed"]
    assert {fact.customer_id for fact in changed} == {mexico, email}, "others who keep a copy are told"
    found = await segment.record(
        segment.order("1", "o-1", who={"phone": "+52 1 55 1234 5678"}),
        segment.order("2", "o-2", who={"email": "ann@example.com"}),
        segment.order("3", "o-3", who={"member_id": "m-1"}),
    )
    assert [each.customer_id for each in found] == [mexico, email, email]
    assert await old.pairs() == set()


@pytest.mark.rule("S-05e")
@pytest.mark.rule("P-03b")
async def test_two_who_become_one_spelling_are_listed_and_keep_what_they_have(old: Old) -> None:
    segment = old.segment
    first, second, third, holder = [await segment.create(name=name) for name in "abcd"]
    for customer in (first, second):
        await old.write(customer, phone="+5491122334455")
    await old.write(second, phone="+54111522334455")
    await old.write(third, member_id="M-1 ")
    await old.write(holder, member_id="M-1")
    await old.put(third, "+886912000001")
    await old.put(holder, "886912000001")
    await old.spell()
    assert (await old.known(first))[0] == (await old.known(second))[0] == "+5491122334455"
    assert (await segment.customer(third)).member_id == "M-1 "
    assert (await old.known(third))[1] == {"+886912000001"}
    assert (await old.known(holder))[1] == {"886912000001"}
    pairs = {pair for pair, _ in await old.pairs()}
    assert pairs == {frozenset((first, second)), frozenset((third, holder))}


@pytest.mark.rule("P-03b")
async def test_an_identity_is_spelled_as_the_channel_does_with_what_was_heard_of_it(old: Old) -> None:
    segment = old.segment
    left, twice, written = [await segment.create(name=name) for name in ("left", "twice", "written")]
    await old.put(left, "+886912000001")
    await old.put(twice, "+886912000002")
    await old.put(twice, "886912000002")
    await old.put(written, "0912-000-003")
    # The channel said that they left, by the number as it knows it: it was nobody's.
    segment.clock.advance(timedelta(minutes=1))
    gone = event_pb2.ContactBlocked(identity=identity("886912000001"))
    await segment.record(segment.event("gone", contact_blocked=gone))
    await old.spell()
    assert (await old.known(left))[1] == {"886912000001"}
    (blocked,) = (await segment.customer(left)).identities
    assert blocked.blocked
    assert (await old.known(twice))[1] == {"886912000002"}
    assert (await old.known(written))[1] == {"886912000003"}
    kinds = [fact.WhichOneof("fact") for fact in await segment.facts() if fact.customer_id == left]
    assert kinds == ["customer_created", "contact_removed", "contact_added", "contact_blocked"]
    # A day later once more, for what a process of the release before wrote meanwhile; then never again.
    assert await old.spellings.step(1_000) == 0
    await old.write(written, phone="+5215512345678")
    await old.owner.execute("UPDATE segment.spelling_search SET due_at = clock_timestamp()")
    while await old.spellings.step(1_000):
        pass
    assert (await old.known(written))[0] == "+525512345678"
    assert await old.owner.fetchval("SELECT count(*) FROM segment.spelling_search") == 0


@pytest.mark.rule("S-01c")
@pytest.mark.rule("S-05e")
async def test_what_led_to_somebody_who_was_merged_is_spelled_as_now(old: Old) -> None:
    segment = old.segment
    survivor, other, holder = [await segment.create(name=name) for name in ("one", "two", "three")]
    put = "INSERT INTO segment.customer_alias (team_id, kind, text, customer_id) VALUES ($1, $2, $3, $4)"
    for kind, text, customer_id in (
        (3, "+5215512345678", survivor),
        (2, "ann@\u200bexample.com", survivor),
        (1, "m\u2060-1", survivor),
        (3, "0912-345-678", other),
    ):
        await old.owner.execute(put, segment.team_id, kind, text, UUID(customer_id))
    await old.write(holder, phone="+886912345678")
    await old.spell()
    found = await segment.record(
        segment.order("1", "o-1", who={"phone": "+52 1 55 1234 5678"}),
        segment.order("2", "o-2", who={"email": "Ann@example.com"}),
        segment.order("3", "o-3", who={"member_id": "M-1"}),
        segment.order("4", "o-4", who={"phone": "0912345678"}),
    )
    assert [each.customer_id for each in found] == [survivor, survivor, survivor, holder]
    assert await old.pairs() == {(frozenset((other, holder)), "phone")}


async def test_a_customer_who_cannot_be_spelled_keeps_no_other_from_it(
    old: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [await old.segment.create() for _ in range(3)]
    for number, customer_id in enumerate(people):
        await old.write(customer_id, phone=f"0912-345-67{number}")

    async def save(connection: Any, respelled: Any, *more: Any) -> Any:
        if str(respelled.changed[0].customer_id) == people[1]:
            raise ValueError("a row that nobody foresaw")
        return await save_respelled(connection, respelled, *more)

    monkeypatch.setattr("services.segment.worker.spellings.save_respelled", save)
    await old.spell()
    phones = [(await old.segment.customer(customer_id)).phone for customer_id in people]
    assert phones == ["+886912345670", "0912-345-671", "+886912345672"]


async def test_of_processes_that_come_to_the_end_together_one_ends_the_pass(old: Old) -> None:
    await old.owner.execute(_FROM_THE_BEGINNING)
    at = await old.store.reached()
    assert at is not None
    await old.store.end_pass(at)
    for late in (old.store.end_pass(at), old.store.move(at, old.segment.team_id)):
        await late
        left = await old.owner.fetchrow("SELECT passes_left, reached_team_id FROM segment.spelling_search")
        assert left == (1, UUID(int=0)), "tomorrow's pass is there, and begins at the beginning"
