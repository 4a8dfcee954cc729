"""Writing facts of content into the gateway's history, and what a commit of facts leaves to be handed on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from libs.common.db.pool import Connection
from libs.common.feeds.publisher import Ranges
from libs.common.mailbox.mail import Mail
from services.channel_gateway.domain.facts import Fact
from services.channel_gateway.store.book import QUERIES
from services.channel_gateway.store.records import content_rows, ranges_of_records


class Written(NamedTuple):
    """What became of facts: the mail among them, and the positions they took."""

    mails: list[Mail]
    ranges: Ranges


async def write_facts(connection: Connection, facts: Sequence[Fact]) -> Written:
    """Writes the records, last thing in a transaction that is bound to the facts' teams."""
    if not facts:
        return Written([], {})
    rows = content_rows(facts)
    positions = await connection.fetchval(*QUERIES.bind("append_records", records=rows))
    return Written([], ranges_of_records(zip((row[0] for row in rows), positions, strict=True)))
