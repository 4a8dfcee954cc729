"""A customer of a simulation as they were at an instant: what recorded mail tells; for the rest what is true now."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from libs.common.audience.expressions import AttributeType, Balance, BasicField, Subject, TimeField
from libs.common.mailbox import mail as m
from libs.common.own_zones import zone_named, zone_of_phone
from libs.common.text import fold
from services.journey.domain import effects as fx


class PointChange(NamedTuple):
    """What something recorded did to a customer's points; `journey_id` is that of the journey that did it."""

    at: datetime
    balance: int
    cumulative: int
    journey_id: UUID | None = None


class Standing(msgspec.Struct):
    """What conditions and effects look at; texts are folded, but for values that are no TEXT."""

    basics: dict[BasicField, str] = {}
    times: dict[TimeField, datetime] = {}
    tags: set[str] = set()
    values: dict[str, str] = {}
    bound: set[tuple[int, str]] = set()
    """Channel and account."""
    blocked: set[tuple[int, str]] = set()
    balance: int = 0
    cumulative: int = 0
    changes: deque[PointChange] = msgspec.field(default_factory=deque)
    """What changed the points since the start of the simulated time, in order; taken back by `undo_points`."""

    def subject(self) -> Subject:
        """As audiences see them."""
        return Subject(
            basics=self.basics,
            times=self.times,
            tags=frozenset(self.tags),
            values=self.values,
            bound=frozenset(self.bound | {(channel, "") for channel, _ in self.bound}),
            points=Balance(self.balance, self.cumulative),
        )

    def zone(self, asked: fx.FindZone) -> fx.Zone:
        """By whose clock they live."""
        named = zone_named(self.values.get(asked.attribute, ""))
        return fx.Zone(named or zone_of_phone(self.basics.get(BasicField.PHONE, ""), asked.at))

    def undo(self, mails: Iterable[m.Mail]) -> None:
        """Takes back what mail told, the last first: the customer is then as before the first."""
        for mail in mails:
            match mail.body:
                case m.TagApplied(tag):
                    self.tags.discard(fold(tag))
                case m.TagRemoved(tag):
                    self.tags.add(fold(tag))
                case m.AttributeChanged(key, kind, old, _):
                    self._set(key, kind, old)
                case m.ContactAdded(channel, account_id):
                    self.bound.discard((channel, str(account_id)))
                case m.Checkout():
                    self.times.pop(TimeField.CHECKOUT, None)
                case _:
                    pass

    def undo_points(self, own: UUID) -> None:
        """Takes back all changes; those of the journey `own`, which is run again, are forgotten."""
        self.balance -= sum(each.balance for each in self.changes)
        self.cumulative -= sum(each.cumulative for each in self.changes)
        kept = (each for each in self.changes if each.journey_id != own)
        self.changes = deque(sorted(kept, key=lambda each: each.at))

    def apply_points(self, until: datetime) -> None:
        """Makes true what changed the points up to an instant, it included. Neither figure falls below 0."""
        while self.changes and self.changes[0].at <= until:
            change = self.changes.popleft()
            self.balance = max(0, self.balance + change.balance)
            self.cumulative = max(0, self.cumulative + change.cumulative)

    def apply(self, mail: m.Mail) -> None:
        """Makes true what mail tells."""
        match mail.body:
            case m.TagApplied(tag):
                self.tags.add(fold(tag))
            case m.TagRemoved(tag):
                self.tags.discard(fold(tag))
            case m.AttributeChanged(key, kind, _, new):
                self._set(key, kind, new)
            case m.ContactAdded(channel, account_id):
                self.bound.add((channel, str(account_id)))
            case m.Checkout():
                last = self.times.get(TimeField.CHECKOUT, mail.occurred_at)
                self.times[TimeField.CHECKOUT] = max(last, mail.occurred_at)
            case _:
                pass

    def _set(self, key: str, kind: int, value: str | None) -> None:
        if value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = fold(value) if kind == AttributeType.TEXT else value


class PastCustomer(msgspec.Struct, frozen=True):
    """A customer, their mail since the start of the simulated time in its order, and how they stand now."""

    customer_id: UUID
    mails: Sequence[m.Mail]
    standing: Standing
