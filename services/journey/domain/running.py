"""Walks the enrolments of one customer in a turn, and keeps what comes of it."""

from __future__ import annotations

from collections.abc import Generator
from uuid import UUID

import msgspec

from services.journey.domain import effects as fx
from services.journey.domain.engine import Halt, Signal, advance
from services.journey.domain.enrolment import Enrolment, EnrolmentState, Step, WaitReason
from services.journey.domain.lifecycle import stopped_by_itself
from services.journey.domain.model import Journey, StatusReason
from services.journey.domain.own_zone import in_own_zone, may_change_zone
from services.journey.domain.status import gone
from services.journey.domain.turn import Actor, EarlierRunError, Refusal, RunSegment, TurnInput, TurnResult
from services.journey.domain.waits import End


class Running:
    """The part of a turn that walks: what it knows, and what it has changed so far."""

    def __init__(self, given: TurnInput) -> None:
        self._given = given
        self._earlier = list(given.earlier)
        """Those of which something is left."""
        self._left = {key for run in given.earlier[:1] for key in run.answers}
        """Keys of what the first of them did and this run has not come to."""
        self._now, self._journeys = given.now, given.journeys
        self._go_by_run()
        self._taken = dict(given.actor.taken)
        self._entries = dict(given.actor.entries)
        self._live = {enrolment.enrolment_id: enrolment for enrolment in given.enrolments}
        self._changed: dict[UUID, Enrolment] = {}
        self._run_segments: list[RunSegment] = []
        self._refusals: list[Refusal] = []
        self._stops: dict[UUID, str] = {}
        self._used: set[UUID] = set()
        self._view = given.view
        self._has_phone = None if given.view is None else given.view.phone is not None

    def result(self) -> TurnResult:
        if self._earlier:
            raise EarlierRunError(f"{len(self._earlier)} runs are left")
        given, present = self._given.actor, self._given.journeys
        timers, sending = [], False
        for enrolment in self._live.values():
            if enrolment.wake_at is not None:
                timers.append(enrolment.wake_at)
            sending = sending or enrolment.wait is WaitReason.SEND
        return TurnResult(
            Actor(
                given.team_id,
                given.customer_id,
                self._taken,
                present.still_counted(self._entries),
            ),
            min(timers, default=None),
            sending,
            tuple(self._changed.values()),
            tuple(self._run_segments),
            tuple(self._refusals),
            {journey_id: reason for journey_id, reason in self._stops.items() if journey_id in present},
            frozenset(self._used & present.keys()),
        )

    def _journey_of(self, enrolment: Enrolment) -> Journey:
        """The journey that somebody is in, as this turn leaves it; one that is gone halts them."""
        journey = self._journeys.get(enrolment.journey_id)
        if journey is None:
            return gone(enrolment)
        reason = self._stops.get(journey.journey_id)
        after = stopped_by_itself(journey, StatusReason[reason]) if reason else None
        return journey if after is None else msgspec.structs.replace(journey, status=after)

    def _run(
        self, journey: Journey, enrolment: Enrolment, signal: Signal, *, enrolled: bool = False
    ) -> Generator[fx.Effect, fx.Answer, None]:
        """Walks one enrolment until it waits or ends."""
        steps: list[Step] = []
        of_team = journey
        if not isinstance(signal, Halt | End):
            journey = yield from in_own_zone(of_team, enrolment, self._now)
        known, began_by = journey.journey_id in self._journeys, journey.revision
        if known:
            self._used.add(journey.journey_id)
        while True:
            move = advance(journey, enrolment, signal, self._now)
            enrolment = move.enrolment
            steps.extend(move.steps)
            if move.stop_reason and known:
                self._stops.setdefault(journey.journey_id, move.stop_reason)
            if move.ask is None:
                break
            ask = self._informed(move.ask)
            if self._earlier and (answer := self._answered_before(ask)) is not None:
                # What was under way then may have ended since, as mail says that was read before this one.
                under_way = isinstance(answer, fx.SendAnswer) and answer.state is fx.SendState.ACCEPTED
                signal = (yield ask) if under_way else answer  # type: ignore[assignment]  # as below
                of_team = self._journey_of(enrolment)
                journey = yield from in_own_zone(of_team, enrolment, self._now)
            else:
                signal = yield ask  # type: ignore[assignment]  # places are asked for elsewhere
            if isinstance(signal, fx.Verdict):
                self._has_phone = signal.has_phone
            elif may_change_zone(of_team, move.ask):
                journey = yield from in_own_zone(of_team, enrolment, self._now)
        self._keep(enrolment)
        if steps or enrolled:
            self._run_segments.append(
                RunSegment(
                    journey.journey_id,
                    enrolment.enrolment_id,
                    enrolled,
                    tuple(steps),
                    enrolment.state,
                    self._now,
                    self._revision(began_by, journey.revision),
                )
            )

    def _revision(self, began_by: int, ended_by: int) -> int | None:
        """See `RunSegment`."""
        if not self._given.earlier:
            return None
        return began_by if began_by == ended_by else 0

    def _answered_before(self, ask: fx.Effect) -> fx.Answer | None:
        """The answer of an earlier run; after its last one journeys and time are those of the next."""
        if not isinstance(ask, fx.OF_NODES) or ask.key not in self._left:
            return None
        answer = self._earlier[0].answers[ask.key]
        self._left.discard(ask.key)
        if not self._left:
            del self._earlier[0]
            self._left.update(*(run.answers for run in self._earlier[:1]))
            self._go_by_run()
        return answer

    def _go_by_run(self) -> None:
        run = self._earlier[0] if self._earlier else self._given
        self._now, self._journeys = run.now, run.journeys

    def _informed(self, ask: fx.Effect) -> fx.Effect:
        """The effect with what is known of the customer: from their mail, from other answers of this turn."""
        match ask:
            case fx.ChangePoints() if self._has_phone is not None:
                return msgspec.structs.replace(ask, has_phone=self._has_phone)
            case fx.Send() if (recipient := self._recipient(ask)) is not None:
                return msgspec.structs.replace(ask, recipient=recipient)
            case fx.EvaluateAudience() if self._view is not None:
                return msgspec.structs.replace(ask, view=self._view)
            case fx.ChangeTags() | fx.SetAttribute() if self._view is not None:
                self._view = msgspec.structs.replace(self._view, whole=False)
        return ask

    def _recipient(self, send: fx.Send) -> fx.Recipient | None:
        """Nobody where there are several to choose from: by which of them they may be written to now, the gateway
        knows."""
        if self._view is None:
            return None
        account = (send.channel, send.account_id)
        able = [
            each
            for each in self._view.identities
            if (each.channel, each.account_id) == account and not each.blocked
        ]
        return fx.Recipient(able[0].external_id, self._view.name) if len(able) == 1 else None

    def _keep(self, enrolment: Enrolment) -> None:
        self._changed[enrolment.enrolment_id] = enrolment
        if enrolment.state is EnrolmentState.LIVE:
            self._live[enrolment.enrolment_id] = enrolment
        else:
            self._live.pop(enrolment.enrolment_id, None)
