"""Writing the gateway's history: facts, some of which are mail to the customer's actor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from libs.common.db import history
from libs.common.db.pool import Connection
from libs.common.ids import epoch_ms, new_id, partition_of
from libs.common.mailbox.mail import Mail, MailSource, SendOutcome
from services.channel_gateway.domain.model import Price
from services.channel_gateway.store.book import QUERIES, columns

_WIDTH: Final = 20


class FactKind(IntEnum):
    """What a row of the history tells."""

    SEND_SETTLED = 1
    RECEIPT = 2
    CLICK = 3
    CONTENT_GONE = 4


class GoneKind(IntEnum):
    """What kind of content is gone."""

    BOT_MODULE = 1
    TEMPLATE = 2
    ACCOUNT = 3


class Fact(msgspec.Struct, frozen=True):
    """A row of the history to be written."""

    kind: FactKind
    team_id: UUID
    occurred_at: datetime
    customer_id: UUID | None = None
    effect_key: UUID | None = None
    enrolment_id: UUID | None = None
    journey_id: UUID | None = None
    node_id: str | None = None
    channel: int | None = None
    account_id: UUID | None = None
    outcome: int | None = None
    reason: str = ""
    messages: int = 0
    price: Price = Price("", 0)
    """Price of all messages together."""
    depth: int = 0
    mailed: bool = False

    @property
    def partition(self) -> int:
        """Partition of the customer; content has one of its own id."""
        owner = self.customer_id or self.effect_key
        assert owner is not None, "a fact concerns a customer or content"
        return partition_of(self.team_id, owner)


class Written(NamedTuple):
    """What became of facts: the mail among them, and the positions they took."""

    mails: list[Mail]
    ranges: dict[int, tuple[int, int]]


async def write_facts(connection: Connection, facts: Sequence[Fact]) -> Written:
    """Numbers the mail and writes the rows, last thing in a transaction that is bound to the facts' teams."""
    if not facts:
        return Written([], {})
    numbers = await _number_mail(connection, facts)
    partitions = [fact.partition for fact in facts]
    counts = history.count_by_partition(partitions)
    first = await history.allocate(connection, counts)
    following = dict(first)
    rows: list[Sequence[Any]] = []
    mails: list[Mail] = []
    for fact, partition, number in zip(facts, partitions, numbers, strict=True):
        position = following[partition]
        following[partition] = position + 1
        event_id = new_id(epoch_ms(fact.occurred_at))
        rows.append(_row(fact, partition, position, event_id, number))
        if number is not None:
            mails.append(_mail(fact, partition, position, event_id, number))
    await connection.execute(QUERIES["write_history"], *columns(rows, _WIDTH))
    return Written(mails, {p: (first[p], following[p] - 1) for p in first})


async def _number_mail(connection: Connection, facts: Sequence[Fact]) -> list[int | None]:
    """The mail number of each fact, None where it is no mail."""
    counts: dict[tuple[UUID, UUID], int] = {}
    for fact in facts:
        if fact.mailed and fact.customer_id:
            key = (fact.team_id, fact.customer_id)
            counts[key] = counts.get(key, 0) + 1
    if not counts:
        return [None] * len(facts)
    keys = sorted(counts)
    records = await connection.fetch(
        QUERIES["number_mail"], [k[0] for k in keys], [k[1] for k in keys], [counts[k] for k in keys]
    )
    following = {
        (row["team_id"], row["customer_id"]): row["last_number"] - counts[row["team_id"], row["customer_id"]]
        for row in records
    }
    return [_take_number(following, fact) for fact in facts]


def _take_number(following: dict[tuple[UUID, UUID], int], fact: Fact) -> int | None:
    if not fact.mailed or fact.customer_id is None:
        return None
    key = (fact.team_id, fact.customer_id)
    following[key] += 1
    return following[key]


def _row(fact: Fact, partition: int, position: int, event_id: UUID, number: int | None) -> tuple[Any, ...]:
    return (
        partition,
        position,
        fact.team_id,
        fact.customer_id,
        fact.kind,
        fact.occurred_at,
        event_id,
        number,
        fact.depth,
        fact.effect_key,
        fact.enrolment_id,
        fact.journey_id,
        fact.node_id,
        fact.channel,
        fact.account_id,
        fact.outcome,
        fact.reason,
        fact.messages,
        fact.price.micros,
        fact.price.currency,
    )


def _mail(fact: Fact, partition: int, position: int, event_id: UUID, number: int) -> Mail:
    assert fact.customer_id is not None
    assert fact.effect_key is not None
    assert fact.enrolment_id is not None
    assert fact.outcome is not None
    return Mail(
        source=MailSource.GATEWAY,
        number=number,
        position=position,
        partition=partition,
        team_id=fact.team_id,
        customer_id=fact.customer_id,
        event_id=event_id,
        occurred_at=fact.occurred_at,
        depth=fact.depth,
        body=SendOutcome(
            effect_key=fact.effect_key,
            enrolment_id=fact.enrolment_id,
            outcome=fact.outcome,
            reason=fact.reason,
            settled_at=fact.occurred_at,
            messages=fact.messages,
        ),
    )


def mails_of(rows: Iterable[Mapping[str, Any]]) -> list[Mail]:
    """The mail among rows of the history."""
    return [_mail_of(row) for row in rows if row["mail_number"] is not None]


def _mail_of(row: Mapping[str, Any]) -> Mail:
    fact = Fact(
        FactKind.SEND_SETTLED,
        row["team_id"],
        row["occurred_at"],
        customer_id=row["customer_id"],
        effect_key=row["effect_key"],
        enrolment_id=row["enrolment_id"],
        outcome=row["outcome"],
        reason=row["reason"],
        messages=row["messages"],
        depth=row["depth"],
        mailed=True,
    )
    return _mail(fact, row["partition"], row["position"], row["event_id"], row["mail_number"])
