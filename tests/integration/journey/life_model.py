"""A journey's life in sixty lines, and a gateway and a store for worlds that are held to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.mailbox.mail import Mail, Outcome, SendOutcome
from services.journey.clients.calls import ServiceUnavailable
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.store.turns import TurnStore
from tests.integration.journey.conftest import Site

S = d.JourneyStatus


class Model:
    """What a journey is, in the words of its description."""

    def __init__(self, schedule: d.Schedule | None) -> None:
        self.schedule = schedule
        self.published_at: datetime | None = None
        self.closed = self.stopped = self.deleted = False

    def status(self, at: datetime) -> S:
        """What it is at `at`; one that is stopping may be over."""
        if self.published_at is None:
            return S.DRAFT
        if self.stopped:
            return S.STOPPING
        if self.schedule and at >= self.schedule.end:
            return S.STOPPING if self.schedule.expiry is d.ExpiryAction.STOP else S.TRIGGER_CLOSED
        if self.closed:
            return S.TRIGGER_CLOSED
        return S.SCHEDULED if self.schedule and at < self.schedule.start else S.ACTIVE

    def enters(self, occurred: datetime, now: datetime) -> bool:
        """Whether an order of then, worked on now, lets its customer enter."""
        if self.deleted or self.published_at is None or occurred < self.published_at:
            return False
        return self.status(min(occurred, now)) is S.ACTIVE and self.status(now) is S.ACTIVE

    def allows(self, action: str, now: datetime, *, over: bool, empty: bool) -> bool:
        """Whether a person may do it now."""
        allowed = {
            S.DRAFT: {"publish", "delete"},
            S.SCHEDULED: {"stop"} | ({"delete"} if empty else set()),
            S.ACTIVE: {"close", "stop"},
            S.TRIGGER_CLOSED: {"stop"},
            S.STOPPING: {"delete"} if over else {"stop"},
        }
        in_past = action == "publish" and self.schedule is not None and self.schedule.end <= now
        return not self.deleted and not in_past and action in allowed[self.status(now)]

    def does(self, action: str, now: datetime) -> None:
        """A person did it."""
        match action:
            case "publish":
                self.published_at = now
            case "close":
                self.closed = True
            case "stop":
                self.stopped = True
            case "delete":
                self.deleted = True

    def sends_nothing(self, now: datetime) -> bool:
        """Whether its end has come."""
        stops = self.schedule is not None and self.schedule.expiry is d.ExpiryAction.STOP
        return stops and self.schedule is not None and now >= self.schedule.end


class Gateway:
    """Takes sends, and lets those leave that may; remembers in which order that was."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.away = False
        self.waiting: dict[UUID, fx.Send] = {}
        self.left: list[tuple[UUID, datetime]] = []
        self.requested: list[tuple[UUID, datetime]] = []
        self.outcomes: list[Mail] = []
        self.taken: list[fx.Send] = []
        self._stops: dict[UUID, int] = {}
        self._answers: dict[UUID, tuple[datetime | None, fx.Answer]] = {}

    async def stop_sends(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        """See `SendStopper`."""
        if self.away:
            raise ServiceUnavailable("away")
        self._stops[journey_id] = epoch
        for send in [each for each in self.waiting.values() if each.journey_id == journey_id]:
            self._settle(send, Outcome.CANCELLED)

    async def recall_sends(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        """See `SendStopper`."""
        raise AssertionError("no windows are drawn otherwise here")

    async def answer(self, effects: Sequence[fx.Effect]) -> list[fx.Answer | Exception]:
        """See `Effects`."""
        return [self._answer(effect) for effect in effects]

    def _answer(self, effect: fx.Effect) -> fx.Answer | Exception:
        if not isinstance(effect, fx.Send):
            return fx.ChangeAnswer(fx.ChangeState.APPLIED)
        if self.away:
            return ServiceUnavailable("away")
        not_after, answer = self._answers.get(effect.key, (None, None))
        deferred = isinstance(answer, fx.SendAnswer) and answer.state is fx.SendState.DEFERRED
        if answer is None or (deferred and not_after != effect.not_after):
            answer = self._take(effect)
            self._answers[effect.key] = effect.not_after, answer
        return answer

    def _take(self, send: fx.Send) -> fx.SendAnswer:
        now = self.site.clock.now()
        self.requested.append((send.journey_id, now))
        self.taken.append(send)
        if refused := self._refused(send, now):
            return fx.SendAnswer(fx.SendState(refused), "", now)
        self.waiting[send.key] = send
        return fx.SendAnswer(fx.SendState.ACCEPTED)

    def _refused(self, send: fx.Send, now: datetime) -> Outcome | None:
        if send.stop_epoch < self._stops.get(send.journey_id, 0):
            return Outcome.CANCELLED
        return Outcome.DEFERRED if send.not_after is not None and now >= send.not_after else None

    def work(self, most: int) -> None:
        """Has some messages leave, oldest first."""
        now = self.site.clock.now()
        for send in list(self.waiting.values())[: 0 if self.away else most]:
            refused = self._refused(send, now)
            if refused is None:
                self.left.append((send.journey_id, now))
            self._settle(send, refused or Outcome.SENT)

    def _settle(self, send: fx.Send, outcome: Outcome) -> None:
        del self.waiting[send.key]
        now = self.site.clock.now()
        self._answers[send.key] = send.not_after, fx.SendAnswer(fx.SendState(outcome), "", now)
        body = SendOutcome(send.key, send.enrolment_id, outcome, "", now, 1)
        self.outcomes.append(self.site.gateway.mail(send.customer_id, body))


class LosingStore:
    """The store of turns, which may lose one commit: its effects are done, and nobody knows."""

    def __init__(self, store: TurnStore) -> None:
        self._store = store
        self.loses = False

    def __getattr__(self, name: str) -> Any:
        if name == "commit" and self.loses:
            self.loses = False
            return self._lose
        return getattr(self._store, name)

    async def _lose(self, *_: object) -> None:
        raise ConnectionError("lost before the commit")
