"""Which journeys does an event start?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Final
from uuid import UUID

import msgspec

from libs.common.kept_by_size import characters, kept_by_size
from libs.common.mailbox import mail as m
from libs.common.text import as_seen, fold
from services.journey.domain.model import (
    OPEN,
    AttributeTrigger,
    CheckoutTrigger,
    ContactTrigger,
    Journey,
    JourneyStatus,
    StatusReason,
    SystemTriggerKind,
    TagTrigger,
    Trigger,
)
from services.journey.domain.plan import TeamPlan
from services.journey.domain.status import accepts
from services.journey.domain.values import meets

DEPTH_MAX = 16
"""Longest chain of journeys that cause one another; a trigger beyond it is refused (J-25)."""


class TeamJourneys(dict[UUID, Journey]):
    """The journeys of a team that customers can be in, by id."""

    plan: TeamPlan | None = None
    """What the team has bought, where that has a limit."""

    @cached_property
    def _started_by(self) -> Mapping[type, Sequence[Journey]]:
        """Those that customers may enter at some time, by the mail that their trigger waits for. Those that were
        stopped, or wait for other mail, are not looked at for every mail."""
        waiting: dict[type, list[Journey]] = {}
        for journey in self.values():
            if journey.status in OPEN:
                waiting.setdefault(_EVENTS[type(journey.definition.trigger)], []).append(journey)
        return waiting

    @property
    def lets_in(self) -> bool:
        """Whether customers may enter any of them at some time."""
        return bool(self._started_by)

    @cached_property
    def used_up(self) -> Sequence[Journey]:
        """Those that the plan has closed, as they were before."""
        return [
            msgspec.structs.replace(journey, status=JourneyStatus.ACTIVE)
            for journey in self.values()
            if journey.status is JourneyStatus.TRIGGER_CLOSED
            and journey.reason is StatusReason.PLAN_TRIGGER_LIMIT
        ]

    def still_counted(self, entries: Mapping[UUID, int]) -> Mapping[UUID, int]:
        """Entries by journey, without those that nobody enters any more."""
        return {id_: count for id_, count in entries.items() if id_ in self and self[id_].status in OPEN}

    def started_by(self, event: type) -> Sequence[Journey]:
        """Those that mail with a body of this type may start, in their order."""
        return self._started_by.get(event, ())


def journeys_by_id(journeys: Iterable[Journey]) -> TeamJourneys:
    """Journeys in the order in which one event starts them: by priority, then by id; a rerun starts them alike."""
    ordered = sorted(journeys, key=lambda journey: (-journey.definition.priority, journey.journey_id))
    return TeamJourneys((journey.journey_id, journey) for journey in ordered)


_EVENTS: Final[Mapping[type, type]] = {
    CheckoutTrigger: m.Checkout,
    ContactTrigger: m.ContactAdded,
    TagTrigger: m.TagApplied,
    AttributeTrigger: m.AttributeChanged,
    SystemTriggerKind: m.SystemTrigger,
}


def matching(journeys: Iterable[Journey], body: m.Body, at: datetime, now: datetime) -> Iterator[Journey]:
    """Journeys that an event of `at` lets customers enter at `now` and whose trigger it meets, in the order given."""
    for journey in journeys:
        if accepts(journey, at, now) and matches(journey, body):
            yield journey


def matches(journey: Journey, body: m.Body) -> bool:
    """True if the event meets the journey's trigger, whatever the journey's status."""
    return meets_event(journey.definition.trigger, journey, body)


def meets_event(trigger: Trigger | None, journey: Journey, body: m.Body) -> bool:
    """True if the event is what a trigger, a wait or a goal of the journey says."""
    match body, trigger:
        case m.Checkout(), CheckoutTrigger():
            return body.earns and not body.test and _checkout(trigger, body)
        case m.ContactAdded(), ContactTrigger():
            return any(
                target.channel == body.channel and target.account_id in (None, body.account_id)
                for target in journey.definition.targets
            )
        case m.TagApplied(), TagTrigger():
            chosen = _folded(trigger.tags)
            return fold(body.tag) in chosen and not any(fold(tag) in chosen for tag in body.before)
        case m.AttributeChanged(), AttributeTrigger():
            return body.key in trigger.keys and body.new is not None and meets(trigger, body.kind, body.new)
        case m.SystemTrigger(), SystemTriggerKind():
            return body.journey_id == journey.journey_id
        case _:
            return False


def _checkout(trigger: CheckoutTrigger, body: m.Checkout) -> bool:
    if trigger.currency and body.currency != trigger.currency:
        return False
    if trigger.at_least is not None and body.amount_micros < trigger.at_least:
        return False
    if trigger.at_most is not None and body.amount_micros > trigger.at_most:
        return False
    return has_item(trigger, body.items)


def has_item(trigger: CheckoutTrigger, names_of_items: Sequence[str]) -> bool:
    """True if an order with items of these names meets the trigger's condition on items, if it has one."""
    if not trigger.item_names:
        return True
    names = _folded(trigger.item_names)
    items = [fold(as_seen(item)) for item in names_of_items]
    if trigger.item_match == "is":
        return any(item in names for item in items)
    return any(name in item for item in items for name in names)


@kept_by_size(characters, small_kept=4_096)
def _folded(texts: tuple[str, ...]) -> frozenset[str]:
    """Folded forms of a definition's texts, which every event is compared with."""
    return frozenset(fold(text) for text in texts)
