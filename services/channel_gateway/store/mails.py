"""The mail in the gateway's history: in records, and in rows of the release before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.feeds.gateway_records import SEND_BYTES, Record, SettledFact, read_record
from libs.common.ids import derived_id, partition_of
from libs.common.mailbox.mail import Mail, MailSource, SendOutcome, Unreadable, with_sound_time
from libs.common.times import EARLIEST

_ID_BYTES: Final = 16
Row = Mapping[str, Any]


def mails_of_records(rows: Iterable[Row]) -> Iterator[Mail]:
    """The mail of records, in order; mail of a record that cannot be read is `Unreadable`."""
    for row in rows:
        if row["mails"] is not None:
            yield from _mails_of(row)


def _mails_of(row: Row) -> list[Mail]:
    try:
        record = read_record(row["body"])
        at = record.at
        outcomes = list(_outcomes(record))
        if len(outcomes) != len(row["customers"]):
            raise ValueError("another number of sends than of customers")
    except (msgspec.MsgspecError, ValueError, OverflowError) as error:
        return [_unreadable(row, place, str(error)) for place in range(len(row["customers"]))]
    return [
        Mail(
            MailSource.GATEWAY,
            row["mails"][2 * place],
            row["position"],
            partition_of(row["team_id"], customer_id),
            row["team_id"],
            customer_id,
            outcome.effect_key,
            at,
            depth,
            outcome,
        )
        for place, (customer_id, (outcome, depth)) in enumerate(zip(row["customers"], outcomes, strict=True))
    ]


def _outcomes(record: Record) -> Iterator[tuple[SendOutcome, int]]:
    """The outcomes in a record, each with its depth. Raises ValueError for a broken id."""
    at = record.at
    for fact in record.facts:
        if isinstance(fact, SettledFact):
            for start in range(0, len(fact.sends), SEND_BYTES):
                ids = fact.sends[start : start + SEND_BYTES]
                yield (
                    SendOutcome(
                        UUID(bytes=ids[:_ID_BYTES]),
                        UUID(bytes=ids[_ID_BYTES:]),
                        fact.outcome,
                        fact.reason,
                        at,
                        fact.messages,
                    ),
                    fact.depth,
                )


def _unreadable(row: Row, place: int, reason: str) -> Mail:
    customer_id = row["customers"][place]
    number = row["mails"][2 * place]
    return Mail(
        MailSource.GATEWAY,
        number,
        row["position"],
        partition_of(row["team_id"], customer_id),
        row["team_id"],
        customer_id,
        derived_id(customer_id, MailSource.GATEWAY, number),
        EARLIEST,
        0,
        Unreadable(reason),
    )


def mails_of_old_facts(rows: Iterable[Row]) -> list[Mail]:
    """The mail among rows of the release before."""
    return [_old_mail(row) for row in rows if row["mail_number"] is not None]


def _old_mail(row: Row) -> Mail:
    mail = Mail(
        MailSource.GATEWAY,
        row["mail_number"],
        row["position"],
        row["partition"],
        row["team_id"],
        row["customer_id"],
        row["event_id"],
        row["occurred_at"],
        row["depth"],
        SendOutcome(
            row["effect_key"],
            row["enrolment_id"],
            row["outcome"],
            row["reason"],
            row["occurred_at"],
            row["messages"],
        ),
    )
    return with_sound_time(mail)
