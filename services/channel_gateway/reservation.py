"""SendMessages from end to end: what is known, whom it concerns, the reservation, the hand-over to the sender."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from libs.common import crash
from libs.common.clock import Clock
from libs.common.errors import Aborted
from services.channel_gateway import metrics
from services.channel_gateway.adapters.base import Adapter
from services.channel_gateway.clients import CustomerKey, CustomerProfiles, PointBalances, PointsChannels
from services.channel_gateway.domain.model import Answer, Balance, ConnectionKind, Profile, Send, SendState
from services.channel_gateway.domain.prepare import Catalogue, Customer, Prepared, prepare
from services.channel_gateway.domain.reserve import Reserved
from services.channel_gateway.outbox import Outbox
from services.channel_gateway.sender import Sender
from services.channel_gateway.store.sends import KnownSendError, SendKey, SendStore

_ROUNDS_MAX: Final = 5
"""Rounds of a batch whose keys other calls store at the same time."""


class Reservation:
    """Takes batches of sends."""

    def __init__(
        self,
        *,
        store: SendStore,
        profiles: CustomerProfiles,
        points: PointBalances,
        channels: PointsChannels,
        adapters: Mapping[ConnectionKind, Adapter],
        sender: Sender,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        """All of this process."""
        self._store = store
        self._profiles = profiles
        self._points = points
        self._channels = channels
        self._writers = {kind: adapter.writer for kind, adapter in adapters.items()}
        self._sender = sender
        self._outbox = outbox
        self._clock = clock

    async def send(self, sends: Sequence[Send]) -> list[Answer]:
        """Answers in order; a key that comes twice is one send. Raises Unavailable while other services are away."""
        unique: dict[SendKey, Send] = {}
        for send in sends:
            unique.setdefault((send.team_id, send.effect_key), send)
        answers: dict[SendKey, Answer] = {}
        for _ in range(_ROUNDS_MAX):
            known, catalogue = await self._store.known(list(unique.values()))
            answers |= known
            fresh = [send for key, send in unique.items() if key not in known]
            if not fresh:
                break
            try:
                answers |= await self._take_up(fresh, catalogue)
                break
            except KnownSendError:
                continue
        else:
            raise Aborted("WRITE_CONFLICT", "other calls store the same sends: ask again")
        return [answers[send.team_id, send.effect_key] for send in sends]

    async def _take_up(self, sends: Sequence[Send], catalogue: Catalogue) -> dict[SendKey, Answer]:
        customers = await self._customers(sends, catalogue)
        now = self._clock.now()
        prepared = [
            prepare(send, catalogue, customers[send.team_id, send.customer_id], self._writers, now)
            for send in sends
        ]
        # Shielded: a caller that goes away after the commit must not keep accepted sends from the sender.
        return await asyncio.shield(self._reserve(sends, prepared))

    async def _reserve(
        self, sends: Sequence[Send], prepared: Sequence[Prepared | Answer]
    ) -> dict[SendKey, Answer]:
        stored = await self._store.reserve(sends, prepared, self._clock.now(), self._sender.sender_id)
        crash.reach("gateway.after_reserve")
        accounts = {
            (
                decision.prepared.account.team_id,
                decision.prepared.account.account_id,
            ): decision.prepared.account
            for decision in stored.decisions
            if isinstance(decision, Reserved)
        }
        self._sender.offer(stored.jobs, accounts.values())
        self._outbox.publish(stored.written)
        answers = {
            (send.team_id, send.effect_key): _answer(decision)
            for send, decision in zip(sends, stored.decisions, strict=True)
        }
        _count(sends, answers)
        return answers

    async def _customers(self, sends: Sequence[Send], catalogue: Catalogue) -> dict[CustomerKey, Customer]:
        keys = {(send.team_id, send.customer_id) for send in sends}
        with_points = {(send.team_id, send.customer_id) for send in sends if catalogue.needs_points(send)}
        profiles, balances, channels = await asyncio.gather(
            self._profiles.profiles(keys),
            self._balances(with_points),
            self._channels.points_channels({send.team_id for send in sends}),
        )
        last_inbound = await self._store.last_inbound(_windows(profiles))
        nobody = Profile()
        return {
            key: Customer(profiles.get(key, nobody), balances.get(key), last_inbound, channels[key[0]])
            for key in keys
        }

    async def _balances(self, keys: set[CustomerKey]) -> Mapping[CustomerKey, Balance]:
        return await self._points.balances(keys) if keys else {}


def _windows(profiles: Mapping[CustomerKey, Profile]) -> list[tuple[UUID, UUID, str]]:
    return [
        (team_id, identity.account_id, identity.external_id)
        for (team_id, _), profile in profiles.items()
        for identity in profile.identities
        if identity.account_id is not None
    ]


def _answer(decision: Reserved | Answer) -> Answer:
    if isinstance(decision, Answer):
        return decision
    return Answer(SendState.ACCEPTED, messages=len(decision.prepared.parts))


def _count(sends: Sequence[Send], answers: Mapping[SendKey, Answer]) -> None:
    counts: dict[tuple[str, str], int] = {}
    for send in sends:
        key = (send.channel.name, answers[send.team_id, send.effect_key].state.name)
        counts[key] = counts.get(key, 0) + 1
    for (channel, outcome), count in counts.items():
        metrics.SENDS.labels(channel, outcome).inc(count)
