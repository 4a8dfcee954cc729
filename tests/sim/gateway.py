"""The gateway in memory: its own domain addresses, writes, limits and refuses; a task stands for the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from libs.common.clock import SteppedClock
from libs.common.mailbox.mail import SendOutcome
from libs.testing.mails import TEAM
from services.channel_gateway.clients.channels.sink import SinkWriter
from services.channel_gateway.domain.content import BotModule, ModuleContent, TextCard
from services.channel_gateway.domain.model import (
    Account,
    AccountState,
    Channel,
    Connection,
    ConnectionKind,
    Identity,
    Price,
    Profile,
    Reason,
    Send,
    SendState,
)
from services.channel_gateway.domain.model import SendAnswer as Decision
from services.channel_gateway.domain.prepare import Catalogue, Customer, prepare
from services.channel_gateway.domain.reserve import Limits, Quota, Reserved, decide, refuse_early
from services.journey.domain import effects as fx
from tests.sim.chance import Chance
from tests.sim.journeys import ACCOUNT, MODULE
from tests.sim.source import Source

SETTLE_MAX_S: Final = 3.0
"""Longest time on the wire, virtual seconds."""
_BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)
_ACCOUNT: Final = Account(
    TEAM,
    ACCOUNT,
    Channel.LINE,
    "sink",
    AccountState.ACTIVE,
    "",
    Connection(ConnectionKind.SINK),
    100,
    10,
    _BEGINNING,
    _BEGINNING,
    1,
)
_MODULE: Final = BotModule(TEAM, MODULE, "hello", (TextCard("Hello"),), _BEGINNING, _BEGINNING, 1)
_CATALOGUE: Final = Catalogue({(TEAM, ACCOUNT): _ACCOUNT}, {}, {(TEAM, MODULE): _MODULE}, {}, {}, {})
_WRITERS: Final = {ConnectionKind.SINK: SinkWriter()}


@dataclass
class Delivery:
    """A send as it is kept."""

    send: Send
    state: SendState
    reason: str = ""
    messages: int = 0
    attempts: int = 0
    """Times that it was on the wire."""


@dataclass(frozen=True)
class Settled:
    """A row of the history."""

    delivery: Delivery
    state: SendState
    messages: int
    at: datetime


class Gateway:
    """The tables, and `SendMessages`."""

    def __init__(
        self, source: Source, clock: SteppedClock, chance: Chance, profile_of: Callable[[UUID], Profile]
    ) -> None:
        self.deliveries: dict[UUID, Delivery] = {}
        """By effect key."""
        self.history: list[Settled] = []
        self.limits = Limits(
            quotas={(TEAM, ACCOUNT): Quota(None, 0)}, prices={(TEAM, Channel.LINE): Price("TWD", 0)}
        )
        self._profile_of = profile_of
        self._source = source
        self._clock = clock
        self._chance = chance
        self._on_the_wire: set[asyncio.Task[None]] = set()

    def stop(self, journey_id: UUID, epoch: int) -> None:
        """`StopSends`: no send of an earlier epoch starts from now on."""
        self.limits.stops[TEAM, journey_id] = epoch

    @property
    def in_flight(self) -> int:
        """Sends that were accepted and are not settled."""
        return sum(delivery.state is SendState.ACCEPTED for delivery in self.deliveries.values())

    def ask(self, effect: fx.Send) -> fx.SendAnswer:
        """`SendMessages`: what is known is answered as it stands; what was deferred is taken up anew once."""
        send = _send_of(effect)
        known = self.deliveries.get(send.effect_key)
        if known is None or (known.state is SendState.DEFERRED and known.send.not_after != send.not_after):
            known = self._take_up(send, _known(effect) or self._profile_of(send.customer_id))
        return fx.SendAnswer(fx.SendState(known.state), known.reason)

    def _take_up(self, send: Send, profile: Profile) -> Delivery:
        now = self._clock.now()
        prepared = prepare(send, _CATALOGUE, Customer(profile, None, {}, ()), _WRITERS, now)
        [decision] = decide([(send, prepared)], self.limits, now)
        delivery = Delivery(send, SendState.ACCEPTED)
        self.deliveries[send.effect_key] = delivery
        if isinstance(decision, Reserved):
            delivery.messages = len(decision.prepared.parts)
            task = asyncio.get_running_loop().create_task(self._send(delivery))
            self._on_the_wire.add(task)
            task.add_done_callback(self._on_the_wire.discard)
        else:
            self._settle(delivery, decision)
        return delivery

    async def _send(self, delivery: Delivery) -> None:
        await asyncio.sleep(self._chance.some(SETTLE_MAX_S))
        decision = refuse_early(delivery.send, self.limits, self._clock.now())
        if decision is None:
            delivery.attempts += 1
            failures = [SendState.SKIPPED, SendState.FAILED, SendState.UNKNOWN]
            state = self._chance.random.choice([SendState.SENT] * 7 + failures)
            reason = {SendState.SKIPPED: Reason.BLOCKED, SendState.UNKNOWN: Reason.NO_ANSWER}.get(state, "")
            decision = Decision(state, reason)
        self._settle(delivery, decision)
        send, now = delivery.send, self._clock.now()
        body = SendOutcome(
            send.effect_key, send.enrolment_id, decision.state, decision.reason, now, delivery.messages
        )
        self._source.record(send.customer_id, body, send.depth)

    def _settle(self, delivery: Delivery, decision: Decision) -> None:
        delivery.state, delivery.reason = decision.state, decision.reason
        if decision.state not in {SendState.SENT, SendState.UNKNOWN}:
            delivery.messages = 0  # it left whole or not at all
        self.history.append(Settled(delivery, decision.state, delivery.messages, self._clock.now()))


def _known(effect: fx.Send) -> Profile | None:
    """What the send says of the customer."""
    if effect.recipient is None:
        return None
    identity = Identity(effect.channel, effect.account_id, effect.recipient.external_id, blocked=False)
    return Profile(effect.recipient.name, identities=(identity,))


def _send_of(effect: fx.Send) -> Send:
    assert effect.bot_module_id is not None, "no journey of the simulation sends templates"
    return Send(
        effect.key,
        effect.team_id,
        effect.customer_id,
        effect.enrolment_id,
        effect.journey_id,
        effect.node_id,
        Channel(effect.channel),
        effect.account_id,
        ModuleContent(effect.bot_module_id),
        effect.cap,
        effect.not_after,
        effect.stop_epoch,
        0,
    )
