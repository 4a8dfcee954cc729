"""The world around the journey service: sources of mail, and the services that answer effects by key."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec.structs import asdict, replace

from libs.common.clock import SteppedClock
from libs.common.mailbox.errors import MailboxUnavailable
from libs.common.mailbox.mail import Body, Mail, MailSource, SendOutcome, TagApplied, TagRemoved
from libs.common.mailbox.memory import InMemoryMailbox, MemoryServer
from libs.common.testing.mails import Numberer
from services.journey.domain import effects as fx
from tests.sim.chance import Chance

SETTLE_MAX_S: Final = 3.0
"""Longest time that the gateway takes for a send, virtual seconds."""
_WHEN: Final = {"at", "not_after", "stop_epoch", "cap", "has_phone", "journey_name"}
"""What an effect may say differently when it is asked again."""


class Source:
    """Numbers mail, keeps it, and has it delivered: in order, at least once, whatever the mailboxes do."""

    def __init__(self, source: MailSource, server: MemoryServer, clock: SteppedClock, chance: Chance) -> None:
        self.mails: list[Mail] = []
        self.delivered = 0
        """Mails of `mails` that were delivered at least once."""
        self._source = source
        self._numberer = Numberer(source)
        self._mailbox = InMemoryMailbox(server)
        self._clock = clock
        self._chance = chance
        self._stirred = asyncio.Event()

    def record(self, customer_id: UUID, body: Body, depth: int = 0) -> Mail:
        """The commit of the source: from here on the mail counts as accepted."""
        mail = self._numberer.mail(customer_id, body)
        mail = replace(mail, occurred_at=self._clock.now(), depth=depth)
        self.mails.append(mail)
        self._stirred.set()
        return mail

    async def relay(self) -> None:
        """Delivers for ever."""
        chance = self._chance
        while True:
            if self.delivered == len(self.mails):
                self._stirred.clear()
                await self._stirred.wait()
            await asyncio.sleep(chance.some(0.5))
            page = self.mails[self.delivered : self.delivered + chance.random.randint(1, 6)]
            try:
                await self._mailbox.deliver(page)
                if chance.strikes(f"delivery of {self._source.name} repeated", 0.02):
                    continue
            except MailboxUnavailable:
                await asyncio.sleep(0.2)
                continue
            self.delivered += len(page)
            if chance.strikes(f"old mail of {self._source.name} delivered again", 0.05):
                await self._again()

    async def _again(self) -> None:
        old = [self._chance.random.choice(self.mails[: self.delivered]) for _ in range(3)]
        try:
            await self._mailbox.deliver(old)
        except MailboxUnavailable:
            return

    async def of_customer(self, team_id: UUID, customer_id: UUID, after_number: int) -> list[Mail]:
        """See `MailReader`."""
        return [m for m in self.mails if m.customer_id == customer_id and m.number > after_number]

    async def of_partition(self, partition: int, after_position: int) -> list[Mail]:
        """See `MailReader`; short pages, so that paging is tried."""
        found = [m for m in self.mails if m.partition == partition and m.position > after_position]
        return found[:5]


@dataclass
class Delivery:
    """A send as the gateway keeps it."""

    effect: fx.Send
    state: fx.SendState
    settled_at: datetime | None = None
    attempts: int = 0
    times_deferred: int = 0


@dataclass
class Services:
    """Segment, points and gateway: they keep what was done under a key, and answer it again."""

    clock: SteppedClock
    chance: Chance
    segment: Source
    gateway: Source
    ledger: list[tuple[UUID, UUID, int]] = field(default_factory=list)
    """Customer, key and points of each entry, in order."""
    sends: dict[UUID, Delivery] = field(default_factory=dict)
    tags: defaultdict[UUID, set[str]] = field(default_factory=lambda: defaultdict(set))
    changes: list[fx.ChangeTags] = field(default_factory=list)
    marked: set[UUID] = field(default_factory=set)
    """Keys under which "last marketed" was recorded."""
    stop_epochs: dict[UUID, int] = field(default_factory=dict)
    poisoned: set[UUID] = field(default_factory=set)
    """Customers for whom every call fails for good."""
    unlike: list[str] = field(default_factory=list)
    """Keys that came again with other content."""

    def __post_init__(self) -> None:
        self._first: dict[UUID, tuple[fx.Effect, fx.Answer]] = {}
        self._settling: set[asyncio.Task[None]] = set()

    @property
    def sends_in_flight(self) -> int:
        """Sends that were accepted and are not settled."""
        return sum(delivery.state is fx.SendState.ACCEPTED for delivery in self.sends.values())

    def answer(self, effects: Sequence[fx.Effect]) -> list[fx.Answer | Exception]:
        """Does what was not done yet; one answer each."""
        return [self._answer(effect) for effect in effects]

    def _answer(self, effect: fx.Effect) -> fx.Answer | Exception:
        if effect.customer_id in self.poisoned:
            return RuntimeError("poison")
        if isinstance(effect, fx.Judge):
            return fx.Verdict(belongs=effect.audience.decode() in self.tags[effect.customer_id])
        if isinstance(effect, fx.Send):
            self._compare(effect, self.sends[effect.key].effect if effect.key in self.sends else effect)
            return self._send(effect)
        if effect.key not in self._first:
            self._first[effect.key] = (effect, self._do(effect))
        first, answer = self._first[effect.key]
        self._compare(effect, first)
        return answer

    def _compare(self, effect: fx.Effect, first: fx.Effect) -> None:
        said, before = asdict(effect), asdict(first)
        if any(said[name] != before.get(name) for name in said.keys() - _WHEN):
            self.unlike.append(f"{effect} after {first}")

    def _do(self, effect: fx.Effect) -> fx.Answer:
        match effect:
            case fx.EarnPoints():
                self.ledger.append((effect.customer_id, effect.key, 1))
            case fx.ChangePoints():
                self.ledger.append((effect.customer_id, effect.key, effect.delta))
            case fx.ChangeTags():
                self.changes.append(effect)
                return self._change_tags(effect)
            case fx.MarkMarketed():
                self.marked.add(effect.key)
            case _:
                raise AssertionError(f"no journey of the simulation asks for {effect}")
        return fx.ChangeAnswer(fx.ChangeState.APPLIED)

    def _change_tags(self, effect: fx.ChangeTags) -> fx.Answer:
        changed = self.set_tags(effect.customer_id, effect.add, effect.remove, effect.depth + 1)
        return fx.ChangeAnswer(fx.ChangeState.APPLIED if changed else fx.ChangeState.UNCHANGED)

    def set_tags(
        self, customer_id: UUID, add: Iterable[str] = (), remove: Iterable[str] = (), depth: int = 0
    ) -> bool:
        """Changes tags; each real change is mailed. False if there was none."""
        tags = self.tags[customer_id]
        fresh, gone = [t for t in add if t not in tags], [t for t in remove if t in tags]
        tags.update(fresh)
        tags.difference_update(gone)
        for tag in fresh:
            self.segment.record(customer_id, TagApplied(tag), depth)
        for tag in gone:
            self.segment.record(customer_id, TagRemoved(tag), depth)
        return bool(fresh or gone)

    # -- the gateway ----------------------------------------------------------------------------------------------

    def _send(self, effect: fx.Send) -> fx.Answer:
        known = self.sends.get(effect.key)
        anew = (
            known is not None
            and known.state is fx.SendState.DEFERRED
            and known.effect.not_after != effect.not_after
        )
        if known is not None and not anew:
            return self.repeated(known)
        if effect.stop_epoch < self.stop_epochs.get(effect.journey_id, 0):
            return self._refuse(effect, known, fx.SendState.CANCELLED)
        if effect.not_after is not None and effect.not_after <= self.clock.now():
            return self._refuse(effect, known, fx.SendState.DEFERRED)
        delivery = Delivery(effect, fx.SendState.ACCEPTED)
        if known is not None:
            delivery.times_deferred = known.times_deferred
        self.sends[effect.key] = delivery
        task = asyncio.get_running_loop().create_task(self._settle(delivery))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        return fx.SendAnswer(fx.SendState.ACCEPTED)

    def repeated(self, known: Delivery) -> fx.Answer:
        """What a key that is known is answered: what became of the send, as soon as that is known."""
        return fx.SendAnswer(known.state, "", known.settled_at)

    def _refuse(self, effect: fx.Send, known: Delivery | None, state: fx.SendState) -> fx.Answer:
        deferred = (known.times_deferred if known else 0) + (state is fx.SendState.DEFERRED)
        self.sends[effect.key] = Delivery(effect, state, self.clock.now(), times_deferred=deferred)
        return fx.SendAnswer(state, "", self.clock.now())

    async def _settle(self, delivery: Delivery) -> None:
        await asyncio.sleep(self.chance.some(SETTLE_MAX_S))
        effect, now = delivery.effect, self.clock.now()
        if effect.stop_epoch < self.stop_epochs.get(effect.journey_id, 0):
            delivery.state = fx.SendState.CANCELLED
        elif effect.not_after is not None and effect.not_after <= now:
            delivery.state = fx.SendState.DEFERRED
            delivery.times_deferred += 1
        else:
            delivery.attempts += 1
            outcomes = [fx.SendState.SKIPPED, fx.SendState.FAILED, fx.SendState.UNKNOWN]
            delivery.state = self.chance.random.choice([fx.SendState.SENT] * 7 + outcomes)
        delivery.settled_at = now
        body = SendOutcome(effect.key, effect.enrolment_id, delivery.state, "", now, 1)
        self.gateway.record(effect.customer_id, body)
