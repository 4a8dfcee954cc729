"""Answers presses of coupons' buttons: claims, and tells the code or the text for too few points in the chat.

A press is kept before its webhook counts as worked, and is gone when its answer is stored as a send. In between
everything may be done again: points answers the same claim for the same offer, and the send has the press for its key.
By that key a press that was answered is known, when its webhook is worked once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Protocol
from uuid import UUID

import structlog

from libs.common import crash
from libs.common.backoff import Backoff
from libs.common.db.faults import PASSING
from libs.common.errors import Aborted, ResourceExhausted, Unavailable
from libs.common.logging import about
from libs.common.tasks import any_set
from services.channel_gateway import metrics
from services.channel_gateway.clients.coupons import ClaimRefusedError, CouponClaims
from services.channel_gateway.clients.services import Recorded
from services.channel_gateway.convert.coupon_presses import presses_of
from services.channel_gateway.convert.events import ConvertedWebhook
from services.channel_gateway.domain.content import TextContent
from services.channel_gateway.domain.coupon_presses import CouponPress, Waiting
from services.channel_gateway.domain.model import NO_JOURNEY, Channel, Recipient, Send, SendAnswer, SendState
from services.channel_gateway.worker.presence import Presence

TEAMS_MAX: Final = 100
PRESSES_MAX: Final = 20
"""Of a team, before the others have had their turn."""
LANES_MAX: Final = 8
"""Teams whose presses are tried at once: what is slow for one does not hold up the others."""
IDLE_S: Final = 5.0
TRIES_MAX: Final = 100
"""At the waits below about eight hours; then it is set aside with its reason."""
_WAITS: Final = Backoff(1.0, 300.0, spread=0.2)
_PASSING: Final = (Unavailable, ResourceExhausted, Aborted, *PASSING)

_log = structlog.get_logger(__name__)


class Presses(Protocol):
    """Where presses are kept."""

    async def keep(self, team_id: UUID, presses: Sequence[CouponPress]) -> None:
        """Keeps presses, but for those that were answered; those that wait already stay as they are."""
        ...

    async def due_teams(self, most: int) -> list[UUID]:
        """Teams with presses that may be tried."""
        ...

    async def due(self, team_id: UUID, most: int) -> list[Waiting]:
        """A team's presses that may be tried."""
        ...

    async def done(self, team_id: UUID, press_id: UUID) -> None:
        """The press is answered."""
        ...

    async def put_off(self, team_id: UUID, press_id: UUID, wait: timedelta | None, reason: str) -> None:
        """It is tried again after `wait`; None: no more."""
        ...


class Sends(Protocol):
    """Takes sends, each once under its key."""

    async def send(self, sends: Sequence[Send]) -> list[SendAnswer]:
        """Answers in order. Raises Unavailable."""
        ...


class CouponPresses:
    """A loop, see `libs.common.tasks`; the process that forwards webhooks answers them."""

    def __init__(self, presses: Presses, claims: CouponClaims, sends: Sends, presence: Presence) -> None:
        """`sends` stores and sends the answers."""
        self._presses = presses
        self._claims = claims
        self._sends = sends
        self._presence = presence
        self._woken = asyncio.Event()

    async def followed(self, webhooks: Sequence[ConvertedWebhook], results: Sequence[Recorded]) -> None:
        """Keeps the presses among webhooks of a team that segment has taken, each event with its result. Raises the
        driver's errors: the webhooks are not worked then."""
        team_id = webhooks[0].webhook.team_id
        events = (event for webhook in webhooks for event in webhook.events)
        customers = (result.customer_id for result in results)
        found = list(presses_of(team_id, zip(events, customers, strict=True)))
        if found:
            await self._presses.keep(team_id, found)
            self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Answers until told to stop; what is left is found by the next start."""
        while not stopping.is_set():
            self._woken.clear()
            again = False
            try:
                again = self._presence.is_forwarder and await self.step()
            except PASSING as error:
                _log.warning("presses of coupons wait", error=repr(error))
            if not again:
                await any_set(self._woken, stopping, timeout_s=IDLE_S)

    async def step(self) -> bool:
        """Tries what is due; whether there was any. Raises the driver's errors."""
        teams = await self._presses.due_teams(TEAMS_MAX)
        waiting = iter(teams)

        async def lane() -> None:
            for team_id in waiting:
                for press in await self._presses.due(team_id, PRESSES_MAX):
                    await self._try(team_id, press)

        async with asyncio.TaskGroup() as lanes:
            for _ in range(min(LANES_MAX, len(teams))):
                lanes.create_task(lane())
        return bool(teams)

    async def _try(self, team_id: UUID, waiting: Waiting) -> None:
        press, tries = waiting
        try:
            await self._answer(team_id, press)
        except _PASSING as error:
            wait = timedelta(seconds=_WAITS.delay_s(tries + 1)) if tries + 1 < TRIES_MAX else None
            await self._presses.put_off(team_id, press.press_id, wait, repr(error))
        except Exception as error:  # noqa: BLE001 - kept as the reason: it must not hold up the others
            _log.exception(
                "a press of a coupon is set aside", id=str(press.press_id), **about(press, team_id=team_id)
            )
            metrics.COUPON_PRESSES.labels("set_aside").inc()
            await self._presses.put_off(team_id, press.press_id, None, repr(error))
        else:
            await self._presses.done(team_id, press.press_id)

    async def _answer(self, team_id: UUID, press: CouponPress) -> None:
        try:
            text = await self._claims.claim(team_id, press)
        except ClaimRefusedError as refused:
            _log.info(
                "a coupon cannot be claimed",
                reason=str(refused),
                id=str(press.press_id),
                **about(press, team_id=team_id),
            )
            metrics.COUPON_PRESSES.labels("refused").inc()
            return
        crash.reach("gateway.after_claim")
        if not text.strip():
            return
        (answer,) = await self._sends.send([_answering(team_id, press, text)])
        taken = answer.state is SendState.ACCEPTED or answer.replayed
        metrics.COUPON_PRESSES.labels("answered" if taken else "unsent").inc()
        if not taken:
            _log.warning(
                "the answer to a press of a coupon cannot be sent",
                reason=str(answer.reason),
                id=str(press.press_id),
                **about(press, team_id=team_id),
            )


def _answering(team_id: UUID, press: CouponPress, text: str) -> Send:
    """A message with a text, to who pressed."""
    return Send(
        effect_key=press.press_id,
        team_id=team_id,
        customer_id=press.customer_id,
        enrolment_id=NO_JOURNEY,
        journey_id=NO_JOURNEY,
        node_id="",
        channel=Channel(press.channel),
        account_id=press.account_id,
        content=TextContent(text),
        cap=None,
        not_after=None,
        stop_epoch=0,
        depth=0,
        recipient=Recipient(press.external_id, ""),
    )
