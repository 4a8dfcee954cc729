"""SendMessages: what is stored already, whom it concerns, the reservation, the hand-over to the sender."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
import structlog

from libs.common import crash
from libs.common.clock import Clock
from libs.common.errors import Aborted, NotFound
from libs.common.feeds.publisher import CommitPublisher
from libs.common.ids import CustomerKey
from libs.common.logging import about
from libs.common.tasks import to_its_end
from services.channel_gateway import metrics
from services.channel_gateway.clients.channels.base import Adapter
from services.channel_gateway.clients.services import (
    CustomerProfiles,
    PointBalances,
    PointsChannels,
)
from services.channel_gateway.domain.content import TemplateContent, TextContent
from services.channel_gateway.domain.errors import (
    CatalogueChangedError,
    ChannelUnsupported,
    KeyTakenError,
    ReservationConflictError,
)
from services.channel_gateway.domain.model import (
    KIND_OF,
    Account,
    Balance,
    BegunSend,
    ConnectionKind,
    Profile,
    Reason,
    Send,
    SendAnswer,
    SendState,
)
from services.channel_gateway.domain.prepare import (
    Catalogue,
    Customer,
    Prepared,
    continued,
    fill_template,
    prepare,
    write,
)
from services.channel_gateway.domain.recipients import known_profiles
from services.channel_gateway.domain.reserve import Reserved, reserve_optimistically
from services.channel_gateway.domain.windows import has_window
from services.channel_gateway.store.send_groups import SendBatch
from services.channel_gateway.store.sends import (
    SendKey,
    SendStore,
    StoredSends,
    jobs_of,
)
from services.channel_gateway.usecases.links import LinkBatch, LinkMaker
from services.channel_gateway.worker.sender import Sender

_log = structlog.get_logger(__name__)

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
        publisher: CommitPublisher,
        clock: Clock,
        links: LinkMaker | None = None,
    ) -> None:
        """All of this process. Without `links`, links go out as they are."""
        self._links = links
        self._store = store
        self._profiles = profiles
        self._points = points
        self._channels = channels
        self._writers = {kind: adapter.writer for kind, adapter in adapters.items()}
        self._sender = sender
        self._publisher = publisher
        self._clock = clock

    async def send(self, sends: Sequence[Send]) -> list[SendAnswer]:
        """Answers in order; a key that comes twice is one send. Raises Unavailable while other services are away."""
        unique: dict[SendKey, Send] = {}
        for send in sends:
            unique.setdefault((send.team_id, send.effect_key), send)
        catalogue = await self._store.catalogue.kept(list(unique.values()))
        if catalogue.capped_teams:
            answers = await self._apart(unique, catalogue)
        else:
            answers = await self._together(unique, catalogue)
        _count(unique, answers)
        return [answers[send.team_id, send.effect_key] for send in sends]

    async def filled(self, send: Send, content: TemplateContent) -> TemplateContent:
        """What a template would say to the send's customer now. Raises ContentRefusedError, Unavailable."""
        catalogue = await self._store.catalogue.of_team(send.team_id, [content])
        customers = await self._customers([send], catalogue)
        return fill_template(send, content, catalogue, customers[send.team_id, send.customer_id])

    async def written(self, send: Send) -> list[bytes]:
        """The bodies that a send to a known customer would have now, without their short links.

        Raises NotFound for a customer that the team has not, ChannelUnsupported, ContentRefusedError, Unavailable.
        """
        key = (send.team_id, send.customer_id)
        if key not in await self._profiles.profiles([key]):
            raise NotFound.of("customer", send.customer_id)
        contents = [] if isinstance(send.content, TextContent) else [send.content]
        catalogue = await self._store.catalogue.of_team(send.team_id, contents)
        account = catalogue.account_of(send) if send.account_id is not None else None
        kind = KIND_OF[send.channel] if account is None else account.connection.kind
        if kind not in self._writers:
            raise ChannelUnsupported(send.channel)
        customer = (await self._customers([send], catalogue))[key]
        return write(send, "", catalogue, customer, self._writers[kind])

    async def _apart(self, unique: Mapping[SendKey, Send], catalogue: Catalogue) -> dict[SendKey, SendAnswer]:
        """What customers of a team with a frequency cap got is known under its lock only; others go on as usual."""
        capped = {key: send for key, send in unique.items() if send.team_id in catalogue.capped_teams}
        others = {key: send for key, send in unique.items() if key not in capped}
        answers = await self._look_up(capped)
        if others:
            kept = await self._store.catalogue.kept(list(others.values()))
            answers |= await self._together(others, kept)
        return answers

    async def _together(
        self, unique: Mapping[SendKey, Send], catalogue: Catalogue
    ) -> dict[SendKey, SendAnswer]:
        try:
            return await self._optimistic(unique, catalogue)
        except CatalogueChangedError:
            self._store.catalogue.forget(catalogue)
        except ReservationConflictError:
            pass
        return await self._look_up(unique)

    async def _optimistic(
        self, unique: Mapping[SendKey, Send], catalogue: Catalogue
    ) -> dict[SendKey, SendAnswer]:
        """The usual way: no key is stored yet, no limit in the way.

        Raises ReservationConflictError, with nothing stored.
        """
        sends = list(unique.values())
        now, prepared = await self._prepare(sends, catalogue)
        decisions = reserve_optimistically(zip(sends, prepared, strict=True), catalogue, now)
        # Shielded: a caller that goes away after the commit must not keep accepted sends from the sender.
        return await to_its_end(self._store_optimistic(unique, decisions, catalogue, now))

    async def _store_optimistic(
        self,
        unique: Mapping[SendKey, Send],
        decisions: Sequence[Reserved | SendAnswer],
        catalogue: Catalogue,
        now: datetime,
    ) -> dict[SendKey, SendAnswer]:
        sends = list(unique.values())
        jobs = jobs_of(sends, decisions)
        accounts = [d.prepared.account for d in decisions if isinstance(d, Reserved)]
        await self._sender.ready(_different(accounts))
        with self._sender.reserving(unique.keys()):
            claim = self._sender.claim(jobs, accounts)
            batch = SendBatch(sends, decisions, claim.states, now)
            try:
                written = await self._store.store(
                    batch, catalogue, self._sender.sender_id, self._sender.stints.take(len(jobs))
                )
            except BaseException:
                self._sender.give_up(claim)
                raise
            crash.reach("gateway.after_reserve")
            self._sender.launch(claim, _different(accounts))
        self._publisher.publish(*written)
        return dict(zip(unique, map(_answer, decisions), strict=True))

    async def _look_up(self, unique: Mapping[SendKey, Send]) -> dict[SendKey, SendAnswer]:
        """The long way: keys that are stored get their answers, the others are decided one by one under locks."""
        answers: dict[SendKey, SendAnswer] = {}
        for _ in range(_ROUNDS_MAX):
            stored = await self._store.find_stored(list(unique.values()))
            answers |= stored.answers
            fresh = {key: send for key, send in unique.items() if key not in stored.answers}
            if not fresh:
                return answers
            try:
                return answers | await self._decide(fresh, stored)
            except KeyTakenError:
                continue
        raise Aborted.write_conflict("other calls store the same sends: ask again")

    async def _decide(self, fresh: Mapping[SendKey, Send], stored: StoredSends) -> dict[SendKey, SendAnswer]:
        asked = {key: _going_on(send, stored.begun.get(send.effect_key)) for key, send in fresh.items()}
        _, written = await self._prepare(list(asked.values()), stored.catalogue)
        prepared = [
            continued(each, stored.begun[send.effect_key]) if send.effect_key in stored.begun else each
            for send, each in zip(asked.values(), written, strict=True)
        ]
        return await to_its_end(self._store_decided(asked, prepared, stored))

    async def _store_decided(
        self, fresh: Mapping[SendKey, Send], prepared: Sequence[Prepared | SendAnswer], known: StoredSends
    ) -> dict[SendKey, SendAnswer]:
        with self._sender.reserving(fresh.keys()):
            stored = await self._store.decide(
                list(fresh.values()),
                prepared,
                known,
                self._clock.now(),
                capped=known.catalogue.capped_teams,
                sender=self._sender.sender_id,
                stint=self._sender.stints.take(len(fresh)),
            )
            crash.reach("gateway.after_reserve")
            accounts = [d.prepared.account for d in stored.decisions if isinstance(d, Reserved)]
            self._sender.offer(stored.jobs, _different(accounts))
        self._publisher.publish(*stored.written)
        return dict(zip(fresh, map(_answer, stored.decisions), strict=True))

    async def _prepare(
        self, sends: Sequence[Send], catalogue: Catalogue
    ) -> tuple[datetime, list[Prepared | SendAnswer]]:
        """Addresses and writes sends, and the time as of which that was done."""
        customers = await self._customers(sends, catalogue)
        now = self._clock.now()
        return now, await self._all_prepared(sends, catalogue, customers, now)

    async def _all_prepared(
        self,
        sends: Sequence[Send],
        catalogue: Catalogue,
        customers: Mapping[CustomerKey, Customer],
        now: datetime,
    ) -> list[Prepared | SendAnswer]:
        """Sends with addresses that nobody has sent yet are written twice: their links get numbers in between."""

        def prepared_of(send: Send, links: LinkBatch | None) -> Prepared | SendAnswer:
            return self._prepared(
                send, catalogue, customers[send.team_id, send.customer_id], now, links=links
            )

        batch = self._links.batch() if self._links is not None else None
        prepared = [prepared_of(send, batch) for send in sends]
        if batch is not None and batch.unknown:
            again = await batch.learn()
            for place, send in enumerate(sends):
                if send.effect_key in again:
                    prepared[place] = prepared_of(send, batch)
        return prepared

    def _prepared(
        self, send: Send, catalogue: Catalogue, customer: Customer, now: datetime, *, links: LinkBatch | None
    ) -> Prepared | SendAnswer:
        try:
            return prepare(send, catalogue, customer, self._writers, now, links=links)
        except Exception:  # noqa: BLE001 - one send's fault is not the others' of its batch
            _log.exception("a send cannot be written", **about(send))
            return SendAnswer(SendState.FAILED, Reason.CONTENT_INVALID)

    async def _customers(self, sends: Sequence[Send], catalogue: Catalogue) -> dict[CustomerKey, Customer]:
        keys = {(send.team_id, send.customer_id) for send in sends}
        needing = catalogue.needing_points(sends)
        with_points = {(send.team_id, send.customer_id) for send in sends if send.content in needing}
        known = known_profiles(sends, catalogue)
        asked, balances, channels = await asyncio.gather(
            self._asked(keys - known.keys()),
            self._balances(with_points),
            self._points_channels({team_id for team_id, _ in with_points}),
        )
        windowed = {(send.team_id, send.customer_id) for send in sends if has_window(send)}
        profiles = {**known, **asked}
        last_inbound = await self._store.last_inbound(_windows(profiles, windowed)) if windowed else {}
        nobody = Profile()
        return {
            key: Customer(
                profiles.get(key, nobody), balances.get(key), last_inbound, channels.get(key[0], ())
            )
            for key in keys
        }

    async def _asked(self, keys: set[CustomerKey]) -> Mapping[CustomerKey, Profile]:
        return await self._profiles.profiles(keys) if keys else {}

    async def _points_channels(self, teams: set[UUID]) -> Mapping[UUID, Collection[int]]:
        return await self._channels.points_channels(teams) if teams else {}

    async def _balances(self, keys: set[CustomerKey]) -> Mapping[CustomerKey, Balance]:
        return await self._points.balances(keys) if keys else {}


def _going_on(send: Send, begun: BegunSend | None) -> Send:
    """A send of which something has left goes on through the account that it began with."""
    if begun is None or begun.account_id == send.account_id:
        return send
    return msgspec.structs.replace(send, account_id=begun.account_id, recipient=None)


def _windows(
    profiles: Mapping[CustomerKey, Profile], windowed: set[CustomerKey]
) -> list[tuple[UUID, UUID, str]]:
    return [
        (team_id, identity.account_id, identity.external_id)
        for (team_id, customer_id), profile in profiles.items()
        if (team_id, customer_id) in windowed
        for identity in profile.identities
        if identity.account_id is not None
    ]


def _different(accounts: Iterable[Account]) -> Collection[Account]:
    return {(account.team_id, account.account_id): account for account in accounts}.values()


def _answer(decision: Reserved | SendAnswer) -> SendAnswer:
    if isinstance(decision, SendAnswer):
        return decision
    return SendAnswer(SendState.ACCEPTED, messages=len(decision.prepared.parts))


def _count(unique: Mapping[SendKey, Send], answers: Mapping[SendKey, SendAnswer]) -> None:
    counts = Counter((send.channel, answers[key].state) for key, send in unique.items())
    for (channel, state), count in counts.items():
        metrics.SENDS.labels(channel.name, state.name).inc(count)
