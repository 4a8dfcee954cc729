"""A batch of decided sends as the arguments of `reserve_sends`.

What sends have in common (journey, node, account, price, state, …) goes once, as a send group; a row of the batch is
then little more than its key, its person and its request bodies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.common.feeds.records import shard_of
from libs.common.ids import partition_of
from services.channel_gateway.domain.content import TemplateContent
from services.channel_gateway.domain.facts import GoneKind
from services.channel_gateway.domain.model import Price, Send, SendAnswer, SendState, is_test
from services.channel_gateway.domain.prepare import Catalogue
from services.channel_gateway.domain.reserve import HeldPlaces, ReservationTotals, Reserved, add_up
from services.channel_gateway.store.records import RecordBatch, SettledSends
from services.channel_gateway.store.rows import pack_parts

_NO_PRICE: Final = Price("", 0)
_NO_CAP: Final = 2**62
"""For sends that were decided under the locks already."""

_SendRow = tuple[UUID, UUID, UUID, str, bytes | None]
"""Columns of `send_row`: effect key, customer, enrolment, recipient, parts."""


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
    state: SendState
    reason: str
    messages: int
    """Of each send."""
    messages_left: int
    """Those of them that left before, and hold their places already."""
    not_after: datetime | None
    depth: int

    @property
    def accepted(self) -> bool:
        """Whether the sends hold places."""
        return self.state >= SendState.ACCEPTED


class SendBatch:
    """The rows of a batch by their send groups. `states` are those of the accepted sends, in order."""

    def __init__(
        self,
        sends: Sequence[Send],
        decisions: Sequence[Reserved | SendAnswer],
        states: Sequence[SendState],
        now: datetime,
    ) -> None:
        """Sends with what was decided of each."""
        self.groups: dict[SendGroup, list[_SendRow]] = {}
        self.refused = RecordBatch(now, mailed=False)
        """Facts of the refused sends: the answer to the call is their outcome."""
        self._now = now
        following = iter(states)
        for send, decision in zip(sends, decisions, strict=True):
            if isinstance(decision, SendAnswer):
                self._refuse(send, decision)
            else:
                self._accept(send, decision, next(following))

    def arguments(self, catalogue: Catalogue, sender: UUID, stint: UUID) -> dict[str, Any]:
        """All of `reserve_sends`, for sends that are taken to fit: it checks that they do."""
        totals = self._totals()
        premises = (_stops(self.groups), _versions(catalogue), _prices(catalogue, self.groups))
        return self._all(totals, totals.caps, sender=sender, stint=stint, premises=premises, re_reserve=[])

    def decided_arguments(self, sender: UUID, stint: UUID, re_reserve: Iterable[UUID]) -> dict[str, Any]:
        """The same for sends that were decided under the locks; `re_reserve` may be stored already, as deferred."""
        totals = self._totals()
        return self._all(
            totals,
            dict.fromkeys(totals.usage, _NO_CAP),
            sender=sender,
            stint=stint,
            premises=(_stops(group for group in self.groups if group.accepted), [], []),
            re_reserve=list(re_reserve),
        )

    def _refuse(self, send: Send, answer: SendAnswer) -> None:
        group = SendGroup(
            send.team_id,
            send.journey_id,
            send.node_id,
            send.channel,
            send.account_id,
            None,
            send.stop_epoch,
            _NO_PRICE,
            None,
            None,
            answer.state,
            answer.reason,
            0,
            0,
            send.not_after,
            send.depth,
        )
        row = (send.effect_key, send.customer_id, send.enrolment_id, "", None)
        self.groups.setdefault(group, []).append(row)
        if is_test(send.journey_id, send.node_id):
            return
        what = SettledSends(
            *(
                send.journey_id,
                send.node_id,
                send.channel,
                send.account_id or b"",
                answer.state,
                answer.reason,
            ),
            *(0, 0, "", send.depth),
        )
        shard = shard_of(partition_of(send.team_id, send.customer_id))
        self.refused.add(shard, send.team_id, what, [(send.customer_id, send.effect_key, send.enrolment_id)])

    def _accept(self, send: Send, reserved: Reserved, state: SendState) -> None:
        prepared = reserved.prepared
        group = SendGroup(
            send.team_id,
            send.journey_id,
            send.node_id,
            send.channel,
            prepared.account.account_id,
            template_of(send),
            send.stop_epoch,
            reserved.price,
            reserved.cap,
            reserved.quota_month,
            state,
            "",
            len(prepared.parts),
            len(prepared.parts) - prepared.messages,
            send.not_after,
            send.depth,
        )
        body = pack_parts(prepared.parts)
        row = (send.effect_key, send.customer_id, send.enrolment_id, prepared.recipient, body)
        self.groups.setdefault(group, []).append(row)

    def _totals(self) -> ReservationTotals:
        return add_up(
            HeldPlaces(
                group.team_id,
                group.journey_id,
                group.channel,
                group.account_id,
                group.price,
                group.cap,
                group.quota_month,
                (group.messages - group.messages_left) * len(rows),
            )
            for group, rows in self.groups.items()
            if group.accepted and group.account_id is not None
        )

    def _all(
        self,
        totals: ReservationTotals,
        caps: Mapping[tuple[UUID, UUID, int], int],
        **others: Any,
    ) -> dict[str, Any]:
        return {
            "teams": list({group.team_id for group in self.groups}),
            "now": self._now,
            "places": (
                [(*key, count, caps[key]) for key, count in sorted(totals.usage.items())],
                [(*key, count) for key, count in sorted(totals.quotas.items())],
                [(*payer, micros) for payer, micros in sorted(totals.wallets.items())],
            ),
            "groups": [_group_row(group, rows) for group, rows in self.groups.items()],
            "refusals": self.refused.rows(),
            **others,
        }


def _stops(groups: Iterable[SendGroup]) -> list[tuple[UUID, UUID, int]]:
    """The lowest epoch in which sends of each journey were decided, in the order of keys."""
    epochs: dict[tuple[UUID, UUID], int] = {}
    for group in groups:
        key = (group.team_id, group.journey_id)
        epochs[key] = min(group.stop_epoch, epochs.get(key, group.stop_epoch))
    return [(*key, epoch) for key, epoch in sorted(epochs.items())]


def _versions(catalogue: Catalogue) -> list[tuple[int, UUID, UUID | None, int]]:
    """The versions of what a batch was made of."""
    accounts = [
        (GoneKind.ACCOUNT, team_id, None, version) for team_id, version in catalogue.account_versions.items()
    ]
    modules = [(GoneKind.BOT_MODULE, *key, module.version) for key, module in catalogue.modules.items()]
    templates = [(GoneKind.TEMPLATE, *key, template.version) for key, template in catalogue.templates.items()]
    return [*accounts, *modules, *templates]


def _prices(
    catalogue: Catalogue, groups: Iterable[SendGroup]
) -> list[tuple[UUID, int, str | None, int | None]]:
    """The teams' own prices of what is paid for; None where they have none."""
    priced = sorted({(group.team_id, group.channel) for group in groups if group.accepted})
    return [(*key, *(catalogue.prices.get(key) or (None, None))) for key in priced]


def _group_row(group: SendGroup, rows: list[_SendRow]) -> tuple[Any, ...]:
    """Columns of `send_group_row`."""
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
        group.state,
        group.reason,
        group.messages,
        group.not_after,
        group.depth,
        rows,
    )


def template_of(send: Send) -> UUID | None:
    """The template that a send names, if it does."""
    return send.content.template_id if isinstance(send.content, TemplateContent) else None
