"""A walk under way: what every step of it needs, whatever kinds of nodes there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from services.journey.domain import effects as fx
from services.journey.domain.enrolment import Enrolment, EnrolmentState, Step, StepResult, WaitReason
from services.journey.domain.model import Journey, Node
from services.journey.domain.status import goes_on

GOAL_REACHED: Final = "GOAL_REACHED"
ENROLMENT_ENDED: Final = "ENROLMENT_ENDED"
"""Details of steps: why it is over, and why a message is not put off any more."""


class Walk(ABC):
    """One signal's walk; lives as long as `advance` runs.

    What a walk changes of an enrolment stands here, and becomes one new enrolment in the end.
    """

    def __init__(self, journey: Journey, enrolment: Enrolment, now: datetime) -> None:
        self.journey = journey
        self.enrolment = enrolment
        """As it was."""
        self.state = enrolment.state
        self.node_id = enrolment.node_id
        self.wait = enrolment.wait
        self.wake_at = enrolment.wake_at
        self.fresh = enrolment.fresh
        self.memory = enrolment.memory
        self.now = now
        self.base = now
        self.steps: list[Step] = []
        self.ask: fx.Effect | None = None
        self.stop_reason = ""
        self._following: list[str | None] = []
        """The node that is being entered, and the one that follows."""

    def result(self) -> Enrolment:
        """The enrolment as the walk left it."""
        return msgspec.structs.replace(
            self.enrolment,
            state=self.state,
            node_id=self.node_id,
            wait=self.wait,
            wake_at=self.wake_at,
            fresh=self.fresh,
            memory=self.memory,
        )

    @abstractmethod
    def enter(self, node_id: str | None) -> None:
        """Goes to a node and does what it says; None is the end."""

    # -- small parts --------------------------------------------------------------------------------------------

    def _head(self) -> tuple[UUID, UUID, UUID, int, datetime]:
        enrolment = self.enrolment
        return self._key(), enrolment.team_id, enrolment.customer_id, enrolment.depth, self.now

    def _key(self) -> UUID:
        """Of the effect of the node where the walk is."""
        return fx.effect_key(self.enrolment.enrolment_id, self.node_id, self.enrolment.visit)

    def _go_on(self) -> None:
        node = self._node()
        if node is None:
            self._halt_here("NODE_MISSING")
        else:
            self._follow(node.next)

    def _follow(self, node_id: str | None) -> None:
        """Goes on, but in a journey that is stopping nobody enters another node, nor does who has reached the goal or
        was ended."""
        if self._over:
            self._end_halted()
        elif node_id is None or goes_on(self.journey, self.now):
            self._go_to(node_id)
        else:
            self._halt_here("JOURNEY_STOPPED")

    def _go_to(self, node_id: str | None) -> None:
        """Enters a node, and those that it leads to at once: in turn, since there may be 200 on end."""
        self._following.append(node_id)
        if len(self._following) > 1:
            return
        while self._following:
            self.enter(self._following[0])
            del self._following[0]

    def _stop(self, reason: str) -> None:
        """The journey has to stop, and the customer halts here."""
        self.stop_reason = reason
        self._end_halted()

    def _halt_here(self, detail: str) -> None:
        self._step(StepResult.HALTED, detail)
        self._end_halted()

    def _end_halted(self) -> None:
        """Ends it here; who has reached the goal has done so whatever else happens."""
        self.state = EnrolmentState.CONVERTED if self._is_converted else EnrolmentState.HALTED
        self._wait(WaitReason.NONE)

    @property
    def _is_converted(self) -> bool:
        return self.memory is not None and self.memory.converted

    @property
    def _over(self) -> str:
        """Why it ends with the message that is under way, whatever comes of that; empty if it does not."""
        if self._is_converted:
            return GOAL_REACHED
        return ENROLMENT_ENDED if self.memory is not None and self.memory.ended else ""

    def _node(self) -> Node | None:
        return self.journey.definition.by_id.get(self.node_id)

    def _wait(self, reason: WaitReason, until: datetime | None = None) -> None:
        self.wait, self.wake_at = reason, until

    def _step(self, result: StepResult, detail: str = "", seen: str = "") -> None:
        self.steps.append(
            Step(self.node_id, self.enrolment.visit, result, self.now, self.fresh, detail, seen)
        )
        self.fresh = False
