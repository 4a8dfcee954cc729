"""Writing the gateway's history: facts, some of which are mail to the customer's actor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from libs.common.db.pool import Connection
from libs.common.feeds.publisher import Ranges, ranges_of
from libs.common.ids import epoch_ms, new_id, partition_of
from libs.common.mailbox.mail import Mail, MailSource, SendOutcome, with_sound_time
from services.channel_gateway.domain.facts import Fact
from services.channel_gateway.store.book import QUERIES, columns

_COLUMNS: Final = (
    "partitions",
    "teams",
    "kinds",
    "times",
    "event_ids",
    "content_ids",
    "outcomes",
    "reasons",
)
"""Of a row of content, as `write_history` names them."""


class Written(NamedTuple):
    """What became of facts: the mail among them, and the positions they took."""

    mails: list[Mail]
    ranges: Ranges


async def write_facts(connection: Connection, facts: Sequence[Fact]) -> Written:
    """Writes the rows, last thing in a transaction that is bound to the facts' teams."""
    if not facts:
        return Written([], {})
    partitions = [partition_of(fact.team_id, fact.content_id) for fact in facts]
    rows = [
        (
            partition,
            fact.team_id,
            fact.kind,
            fact.occurred_at,
            new_id(epoch_ms(fact.occurred_at)),
            fact.content_id,
            fact.outcome,
            fact.reason,
        )
        for fact, partition in zip(facts, partitions, strict=True)
    ]
    records = await connection.fetch(
        *QUERIES.bind("write_history", **dict(zip(_COLUMNS, columns(rows, len(_COLUMNS)), strict=True)))
    )
    return Written([], ranges_of(map(tuple, records)))


def mails_of(rows: Iterable[Mapping[str, Any]]) -> list[Mail]:
    """The mail among rows of the history."""
    return [_mail_of(row) for row in rows if row["mail_number"] is not None]


def _mail_of(row: Mapping[str, Any]) -> Mail:
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
