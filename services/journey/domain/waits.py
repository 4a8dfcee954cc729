"""Waits for an event, and the goal: what the customer does while they are inside a journey."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final

import msgspec

from libs.common.mailbox import mail as m
from libs.common.text import fold
from services.journey.domain.enrolment import Enrolment, StepResult, WaitReason
from services.journey.domain.matching import meets_event
from services.journey.domain.memory import Memory
from services.journey.domain.model import Delay, Journey, Message, ReplyEvent, Trigger, Wait
from services.journey.domain.replies import meets_reply
from services.journey.domain.status import occurred_before
from services.journey.domain.walk import ENROLMENT_ENDED, Walk

_EVENTS: Final = (m.Checkout, m.ContactAdded, m.TagApplied, m.AttributeChanged)
_DIGEST_BYTES: Final = 16


class Happened(msgspec.Struct, frozen=True):
    """An event met the goal, or what the nodes with these ids wait for."""

    goal: bool = False
    nodes: tuple[str, ...] = ()


def can_be_waited_for(body: m.Body) -> bool:
    """Whether mail tells of what those who are inside may wait for."""
    return isinstance(body, _EVENTS) or (isinstance(body, m.ProfileChanged) and body.said is not None)


def memory_of(journey: Journey, mail: m.Mail, now: datetime) -> Memory | None:
    """What an enrolment begins to remember with the event that starts it; None in a journey that does not listen, of a
    trigger without data."""
    definition, body = journey.definition, mail.body
    data = body.data if isinstance(body, m.SystemTrigger) else None
    if not definition.listens and data is None:
        return None
    compares = any(wait.same_subject for wait in definition.waits.values())
    return Memory(min(mail.occurred_at, now), subjects_of(body) if compares else (), data=data)


def subjects_of(body: m.Body) -> tuple[bytes, ...]:
    """Digests of what an event is about: of an order its cart, its id and its number, of an attribute its value."""
    texts: tuple[str, ...] = ()
    match body:
        case m.Checkout():
            texts = (body.cart_id, body.order_id, body.order_number)
        case m.AttributeChanged(new=str(value)):
            texts = (value,)
        case m.TagApplied(tag=tag):
            texts = (tag,)
    folded = dict.fromkeys(fold(text).strip() for text in texts)
    return tuple(blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest() for text in folded if text)


def heard(journey: Journey, enrolment: Enrolment, mail: m.Mail) -> Happened | None:
    """What an event is to somebody inside; None if it is nothing to them, as what occurred before the event that
    started the enrolment."""
    memory = enrolment.memory or Memory(enrolment.created_at)
    if memory.converted or memory.ended or occurred_before(mail.occurred_at, memory.since):
        return None
    goal = journey.definition.goal
    if goal is not None and _meets(goal, journey, enrolment, mail.body):
        return Happened(goal=True)
    nodes = tuple(_met(journey, enrolment, memory, mail.body))
    return Happened(nodes=nodes) if nodes else None


def _met(journey: Journey, enrolment: Enrolment, memory: Memory, body: m.Body) -> Iterator[str]:
    for node_id, wait in journey.definition.waits.items():
        waits_here = enrolment.wait is WaitReason.EVENT and enrolment.node_id == node_id
        counts = waits_here or (wait.counts_earlier and node_id not in memory.met)
        if counts and _meets(wait.event, journey, enrolment, body) and _fits(wait, memory, body):
            yield node_id


def _meets(event: Trigger | None, journey: Journey, enrolment: Enrolment, body: m.Body) -> bool:
    if isinstance(event, ReplyEvent):
        said = body.said if isinstance(body, m.ProfileChanged) else None
        return said is not None and meets_reply(event, journey, enrolment, said)
    return meets_event(event, journey, body)


def _fits(wait: Wait, memory: Memory, body: m.Body) -> bool:
    return not wait.same_subject or not set(memory.subjects).isdisjoint(subjects_of(body))


class Go(msgspec.Struct, frozen=True):
    """It is committed what took the customer on: the node that is ready is done."""


class End(msgspec.Struct, frozen=True):
    """A person ends the enrolment; `note` says why."""

    note: str = ""


def is_ready(enrolment: Enrolment) -> bool:
    """Whether the next turn has a node to do, before all else."""
    return enrolment.memory is not None and enrolment.memory.ready is not None


def waits_for_room(enrolment: Enrolment) -> bool:
    """Whether the message waits for room under a frequency cap; who rests for quiet time alone does not."""
    return enrolment.memory is not None and enrolment.memory.capped


class Waits(Walk, ABC):
    """The part of a walk that waits for events.

    Which of event, time and goal comes first depends on what a turn has heard, and a turn that is tried again may have
    heard more. So in a journey that listens nothing leaves before what took the customer there is committed: the
    enrolment is `ready`, and the next turn begins with it (ADR 40).
    """

    def __init__(self, journey: Journey, enrolment: Enrolment, now: datetime) -> None:
        """`enrolment` as it was when the signal came."""
        super().__init__(journey, enrolment, now)
        self.may_act = enrolment.wait is WaitReason.NONE or not journey.definition.listens
        """Whether effects may follow at once: of what is committed, and of entering, which is always the same."""

    def listen(self, signal: Happened | Go) -> None:
        """An event came, or what it led to is committed."""
        if isinstance(signal, Go):
            self._go()
        else:
            self._hear(signal)

    def _go(self) -> None:
        """Does the node that is ready; the one where the customer stands is a message after quiet time."""
        known = self._known()
        self.memory, self.may_act = msgspec.structs.replace(known, ready=None), True
        node = self._node()
        if known.ready != self.node_id:
            self.enter(known.ready)
        elif node is not None and isinstance(node.action, Message):
            self._wait(WaitReason.NONE)
            self.do_message(node.action)
        else:
            self._halt_here("NODE_MISSING")

    @abstractmethod
    def do_message(self, message: Message) -> None:
        """Hands a message over."""

    def _go_to(self, node_id: str | None) -> None:
        node = self.journey.definition.by_id.get(node_id) if node_id else None
        if self.may_act or node is None or isinstance(node.action, Delay | Wait):
            super()._go_to(node_id)
        else:
            self._be_ready(node.node_id)

    def _be_ready(self, node_id: str) -> None:
        self.memory = msgspec.structs.replace(self._known(), ready=node_id)
        self._wait(WaitReason.DELAY, self.now)

    def do_wait(self, wait: Wait) -> None:
        """Waits, unless the event came before and counts."""
        if wait.counts_earlier and self.memory is not None and self.node_id in self.memory.met:
            self._step(StepResult.HAPPENED)
            self._follow(wait.happened)
            return
        self._step(StepResult.WAIT_STARTED)
        self._wait(WaitReason.EVENT, self.base + timedelta(seconds=wait.seconds))

    def time_out(self) -> None:
        """The event did not come in time."""
        wait = self._waits_for()
        if wait is None:
            self._halt_here("NODE_MISSING")
            return
        self._step(StepResult.TIMED_OUT)
        self._follow(wait.timed_out)

    def _hear(self, happened: Happened) -> None:
        """The goal ends it; the event that is waited for takes the customer on; others are remembered."""
        if happened.goal:
            self._convert()
            return
        here = self.wait is WaitReason.EVENT and self.node_id in happened.nodes
        self._remember([node_id for node_id in happened.nodes if not here or node_id != self.node_id])
        if here and (wait := self._waits_for()) is not None:
            self._step(StepResult.HAPPENED)
            self._follow(wait.happened)

    def _convert(self) -> None:
        """Ends it at once, but for a message that is with the gateway: what became of it is awaited."""
        self.memory = msgspec.structs.replace(self._known(), converted=True)
        self._step(StepResult.GOAL_REACHED)
        if self.wait is not WaitReason.SEND:
            self._end_halted()

    def end(self, note: str) -> None:
        """Ends it where the customer stands, once; what became of a message that is with the gateway is awaited."""
        known = self._known()
        if known.ended:
            return
        self.memory = msgspec.structs.replace(known, ended=True)
        self._step(StepResult.HALTED, ENROLMENT_ENDED, note)
        if self.wait is not WaitReason.SEND:
            self._end_halted()

    def _remember(self, node_ids: list[str]) -> None:
        if node_ids:
            known = self._known()
            self.memory = msgspec.structs.replace(known, met=(*known.met, *node_ids))

    def _known(self) -> Memory:
        return self.memory or Memory(self.enrolment.created_at)

    def _waits_for(self) -> Wait | None:
        return self.journey.definition.waits.get(self.node_id)
