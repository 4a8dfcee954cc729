"""A batch of decided sends as the arguments of `reserve_sends`.

What sends have in common (journey, node, account, price, …) goes once, as a send group; a row of the batch is then
little more than its key, its person and its request bodies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.common.ids import epoch_ms, new_id, partition_of
from services.channel_gateway.domain.model import (
    ModuleContent,
    Price,
    Send,
    SendAnswer,
    SendState,
    TemplateContent,
)
from services.channel_gateway.domain.prepare import Catalogue
from services.channel_gateway.domain.reserve import HeldPlaces, ReservationTotals, Reserved, add_up
from services.channel_gateway.store.book import columns, slim_columns
from services.channel_gateway.store.rows import pack_parts

_NO_PRICE: Final = Price("", 0)
_KEYS: Final = (1, 2, 3)
"""Columns of a row that are its own: effect key, customer, enrolment."""
_NO_CAP: Final = 2**62
"""For sends that were decided under the locks already."""


class SendGroup(NamedTuple):
    """What sends have in common."""

    team_id: UUID
    journey_id: UUID
    node_id: str
    channel: int
    account_id: UUID | None
    template_id: UUID | None
    stop_epoch: int
    price: Price
    cap: int | None
    quota_month: date | None
    accepted: bool


class SendBatch:
    """The rows of a batch and their send groups. `states` are those of the accepted sends, in order."""

    def __init__(
        self,
        sends: Sequence[Send],
        decisions: Sequence[Reserved | SendAnswer],
        states: Sequence[SendState],
        now: datetime,
    ) -> None:
        """Sends with what was decided of each."""
        self.groups: dict[SendGroup, int] = {}
        self.partitions: list[int] = []
        """Of the refused sends, in order."""
        self._messages: list[int] = []
        self._event_ids: list[UUID] = []
        self._now = now
        following = iter(states)
        self._rows = [
            self._refused(send, decision)
            if isinstance(decision, SendAnswer)
            else self._accepted(send, decision, next(following))
            for send, decision in zip(sends, decisions, strict=True)
        ]

    def arguments(self, catalogue: Catalogue, sender: UUID) -> tuple[Any, ...]:
        """All of `reserve_sends`, for sends that are taken to fit: it checks that they do."""
        taken = self._taken()
        checked = [*self._stops(self.groups), *seen(catalogue, self.groups)]
        return self._all(sender, checked, taken, taken.caps, ())

    def decided_arguments(self, sender: UUID, re_reserve: Iterable[UUID]) -> tuple[Any, ...]:
        """The same for sends that were decided under the locks; `anew` may be stored already, as deferred."""
        taken = self._taken()
        checked = [*self._stops(group for group in self.groups if group.accepted), *([[]] * _SEEN_WIDTH)]
        caps = dict.fromkeys(taken.usage, _NO_CAP)
        return self._all(sender, checked, taken, caps, re_reserve)

    def _refused(self, send: Send, answer: SendAnswer) -> tuple[Any, ...]:
        number = self._number(_group(send, send.account_id, _NO_PRICE, None, None, accepted=False), 0)
        self.partitions.append(partition_of(send.team_id, send.customer_id))
        self._event_ids.append(new_id(epoch_ms(self._now)))
        return (*_head(send, number), answer.state, answer.reason, 0, send.not_after, send.depth, "", None)

    def _accepted(self, send: Send, reserved: Reserved, state: SendState) -> tuple[Any, ...]:
        prepared, price, cap, month = reserved.prepared, reserved.price, reserved.cap, reserved.quota_month
        messages = len(prepared.parts)
        group = _group(send, prepared.account.account_id, price, cap, month, accepted=True)
        number = self._number(group, messages)
        body = pack_parts(prepared.parts)
        tail = (messages, send.not_after, send.depth, prepared.recipient, body)
        return (*_head(send, number), state, "", *tail)

    def _number(self, group: SendGroup, messages: int) -> int:
        number = self.groups.get(group)
        if number is None:
            number = self.groups[group] = len(self.groups) + 1
            self._messages.append(0)
        self._messages[number - 1] += messages
        return number

    def _taken(self) -> ReservationTotals:
        return add_up(
            HeldPlaces(
                group.team_id,
                group.journey_id,
                group.channel,
                group.account_id,
                group.price,
                group.cap,
                group.quota_month,
                messages,
            )
            for group, messages in zip(self.groups, self._messages, strict=True)
            if group.accepted and group.account_id is not None
        )

    def _stops(self, groups: Iterable[SendGroup]) -> list[list[Any]]:
        epochs: dict[tuple[UUID, UUID], int] = {}
        for group in groups:
            key = (group.team_id, group.journey_id)
            epochs[key] = min(group.stop_epoch, epochs.get(key, group.stop_epoch))
        return columns(((*key, epoch) for key, epoch in sorted(epochs.items())), 3)

    def _all(
        self,
        sender: UUID,
        checked: list[list[Any]],
        taken: ReservationTotals,
        caps: dict[tuple[UUID, UUID, int], int],
        re_reserve: Iterable[UUID],
    ) -> tuple[Any, ...]:
        usage = ((*key, count, caps[key]) for key, count in sorted(taken.usage.items()))
        quotas = ((*key, count) for key, count in sorted(taken.quotas.items()))
        wallets = ((*payer, micros) for payer, micros in sorted(taken.wallets.items()))
        return (
            list({group.team_id for group in self.groups}),
            sender,
            self._now,
            *checked,
            *columns(usage, 5),
            *columns(quotas, 4),
            *columns(wallets, 3),
            *columns(map(_group_row, self.groups), 11),
            *slim_columns(self._rows, 11, _KEYS),
            self.partitions,
            self._event_ids,
            list(re_reserve),
        )


_SEEN_WIDTH: Final = 12


def seen(catalogue: Catalogue, groups: Iterable[SendGroup]) -> list[list[Any]]:
    """What a batch was made of, for `check_catalogue`: versions of accounts and content, and prices."""
    priced = sorted({(group.team_id, group.channel) for group in groups if group.accepted})
    prices = ((*key, *(catalogue.prices.get(key) or (None, None))) for key in priced)
    return [
        *columns(catalogue.account_versions.items(), 2),
        *columns(((*key, module.version) for key, module in catalogue.modules.items()), 3),
        *columns(((*key, template.version) for key, template in catalogue.templates.items()), 3),
        *columns(prices, 4),
    ]


def _head(send: Send, number: int) -> tuple[Any, ...]:
    return number, send.effect_key, send.customer_id, send.enrolment_id


def _group(
    send: Send, account_id: UUID | None, price: Price, cap: int | None, month: date | None, *, accepted: bool
) -> SendGroup:
    return SendGroup(
        send.team_id,
        send.journey_id,
        send.node_id,
        send.channel,
        account_id,
        template_of(send) if accepted else None,
        send.stop_epoch,
        price,
        cap,
        month,
        accepted,
    )


def _group_row(group: SendGroup) -> tuple[Any, ...]:
    return (
        group.team_id,
        group.journey_id,
        group.node_id,
        group.channel,
        group.account_id,
        group.template_id,
        group.stop_epoch,
        group.price.currency,
        group.price.micros,
        group.cap is not None,
        group.quota_month,
    )


def template_of(send: Send) -> UUID | None:
    """The template that a send names, if it does."""
    content: ModuleContent | TemplateContent = send.content
    return content.template_id if isinstance(content, TemplateContent) else None
