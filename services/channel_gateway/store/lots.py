"""A batch of decided sends as the arguments of `reserve_sends`.

What sends have in common (journey, node, account, price, …) is told once, as a lot; a row of the batch is then little
more than its key, its person and its request bodies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.common.ids import epoch_ms, new_id, partition_of
from services.channel_gateway.domain.model import (
    Answer,
    ModuleContent,
    Price,
    Send,
    SendState,
    TemplateContent,
)
from services.channel_gateway.domain.prepare import Catalogue
from services.channel_gateway.domain.reserve import Place, Reserved, Taken, add_up
from services.channel_gateway.store.book import columns, slim_columns
from services.channel_gateway.store.rows import pack_parts

_NO_PRICE: Final = Price("", 0)
_KEYS: Final = (1, 2, 3)
"""Columns of a row that are its own: effect key, customer, enrolment."""
_NO_CAP: Final = 2**62
"""For sends that were decided under the locks already."""


class Lot(NamedTuple):
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


class Lots:
    """The rows of a batch and their lots. `states` are those of the accepted sends, in order."""

    def __init__(
        self,
        sends: Sequence[Send],
        decisions: Sequence[Reserved | Answer],
        states: Sequence[SendState],
        now: datetime,
    ) -> None:
        """Sends with what was decided of each."""
        self.lots: dict[Lot, int] = {}
        self.partitions: list[int] = []
        """Of the refused sends, in order."""
        self._messages: list[int] = []
        self._event_ids: list[UUID] = []
        self._now = now
        following = iter(states)
        self._rows = [
            self._refused(send, decision)
            if isinstance(decision, Answer)
            else self._accepted(send, decision, next(following))
            for send, decision in zip(sends, decisions, strict=True)
        ]

    def arguments(self, catalogue: Catalogue, sender: UUID) -> tuple[Any, ...]:
        """All of `reserve_sends`, for sends that are presumed to fit: it checks that they do."""
        taken = self._taken()
        checked = [*self._stops(self.lots), *seen(catalogue, self.lots)]
        return self._all(sender, checked, taken, taken.caps, ())

    def decided_arguments(self, sender: UUID, anew: Iterable[UUID]) -> tuple[Any, ...]:
        """The same for sends that were decided under the locks; `anew` may be stored already, as deferred."""
        taken = self._taken()
        checked = [*self._stops(lot for lot in self.lots if lot.accepted), *([[]] * _SEEN_WIDTH)]
        caps = dict.fromkeys(taken.usage, _NO_CAP)
        return self._all(sender, checked, taken, caps, anew)

    def _refused(self, send: Send, answer: Answer) -> tuple[Any, ...]:
        number = self._number(_lot(send, send.account_id, _NO_PRICE, None, None, accepted=False), 0)
        self.partitions.append(partition_of(send.team_id, send.customer_id))
        self._event_ids.append(new_id(epoch_ms(self._now)))
        return (*_head(send, number), answer.state, answer.reason, 0, send.not_after, send.depth, "", None)

    def _accepted(self, send: Send, reserved: Reserved, state: SendState) -> tuple[Any, ...]:
        prepared, price, cap, month = reserved.prepared, reserved.price, reserved.cap, reserved.quota_month
        messages = len(prepared.parts)
        lot = _lot(send, prepared.account.account_id, price, cap, month, accepted=True)
        number = self._number(lot, messages)
        body = pack_parts(prepared.parts)
        tail = (messages, send.not_after, send.depth, prepared.recipient, body)
        return (*_head(send, number), state, "", *tail)

    def _number(self, lot: Lot, messages: int) -> int:
        number = self.lots.get(lot)
        if number is None:
            number = self.lots[lot] = len(self.lots) + 1
            self._messages.append(0)
        self._messages[number - 1] += messages
        return number

    def _taken(self) -> Taken:
        return add_up(
            Place(
                lot.team_id,
                lot.journey_id,
                lot.channel,
                lot.account_id,
                lot.price,
                lot.cap,
                lot.quota_month,
                messages,
            )
            for lot, messages in zip(self.lots, self._messages, strict=True)
            if lot.accepted and lot.account_id is not None
        )

    def _stops(self, lots: Iterable[Lot]) -> list[list[Any]]:
        epochs: dict[tuple[UUID, UUID], int] = {}
        for lot in lots:
            key = (lot.team_id, lot.journey_id)
            epochs[key] = min(lot.stop_epoch, epochs.get(key, lot.stop_epoch))
        return columns(((*key, epoch) for key, epoch in sorted(epochs.items())), 3)

    def _all(
        self,
        sender: UUID,
        checked: list[list[Any]],
        taken: Taken,
        caps: dict[tuple[UUID, UUID, int], int],
        anew: Iterable[UUID],
    ) -> tuple[Any, ...]:
        usage = ((*key, count, caps[key]) for key, count in sorted(taken.usage.items()))
        quotas = ((*key, count) for key, count in sorted(taken.quotas.items()))
        wallets = ((*payer, micros) for payer, micros in sorted(taken.wallets.items()))
        return (
            list({lot.team_id for lot in self.lots}),
            sender,
            self._now,
            *checked,
            *columns(usage, 5),
            *columns(quotas, 4),
            *columns(wallets, 3),
            *columns(map(_lot_row, self.lots), 11),
            *slim_columns(self._rows, 11, _KEYS),
            self.partitions,
            self._event_ids,
            list(anew),
        )


_SEEN_WIDTH: Final = 12


def seen(catalogue: Catalogue, lots: Iterable[Lot]) -> list[list[Any]]:
    """What a batch was made of, for `check_catalogue`: versions of accounts and content, and prices."""
    priced = sorted({(lot.team_id, lot.channel) for lot in lots if lot.accepted})
    prices = ((*key, *(catalogue.prices.get(key) or (None, None))) for key in priced)
    return [
        *columns(catalogue.account_versions.items(), 2),
        *columns(((*key, module.version) for key, module in catalogue.modules.items()), 3),
        *columns(((*key, template.version) for key, template in catalogue.templates.items()), 3),
        *columns(prices, 4),
    ]


def _head(send: Send, number: int) -> tuple[Any, ...]:
    return number, send.effect_key, send.customer_id, send.enrolment_id


def _lot(
    send: Send, account_id: UUID | None, price: Price, cap: int | None, month: date | None, *, accepted: bool
) -> Lot:
    return Lot(
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


def _lot_row(lot: Lot) -> tuple[Any, ...]:
    return (
        lot.team_id,
        lot.journey_id,
        lot.node_id,
        lot.channel,
        lot.account_id,
        lot.template_id,
        lot.stop_epoch,
        lot.price.currency,
        lot.price.micros,
        lot.cap is not None,
        lot.quota_month,
    )


def template_of(send: Send) -> UUID | None:
    """The template that a send names, if it does."""
    content: ModuleContent | TemplateContent = send.content
    return content.template_id if isinstance(content, TemplateContent) else None
