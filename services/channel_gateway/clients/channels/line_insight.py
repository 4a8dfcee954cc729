"""LINE's statistics of a unit: how many people saw its messages.

https://developers.line.biz/en/reference/messaging-api/#get-statistics-per-unit
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from yarl import URL

from services.channel_gateway.clients.channels.transport import NoAnswerError, NotSentError, Reply, Transport
from services.channel_gateway.domain.opens import Opens, OpensState


def statistics_url(base: URL, unit: str, first: date, last: date) -> URL:
    """Of the messages that were sent from the first day to the last, days of UTC+9; 30 of them at most."""
    assert timedelta() <= last - first < timedelta(days=30), (first, last)
    return base.with_query(
        {"customAggregationUnit": unit, "from": first.strftime("%Y%m%d"), "to": last.strftime("%Y%m%d")}
    )


async def opens(transport: Transport, url: URL, headers: Mapping[str, str]) -> Opens:
    """What LINE tells."""
    try:
        return _read(await transport.request("GET", url, headers))
    except (NotSentError, NoAnswerError):
        return Opens(OpensState.AWAY)


def _read(reply: Reply) -> Opens:
    if reply.status == 429 or reply.status >= 500:
        return Opens(OpensState.AWAY)
    overview = reply.body.get("overview")
    if reply.status != 200 or not isinstance(overview, dict):
        return Opens(OpensState.REFUSED)
    people = overview.get("uniqueImpression")
    if not isinstance(people, int) or isinstance(people, bool) or people < 0:
        return Opens(OpensState.TOO_FEW_PEOPLE)
    return Opens(OpensState.KNOWN, people)
