"""The histories of the other services, all read alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import grpc

from libs.common.feeds.reading import PackedHistory
from libs.common.feeds.rows import EntryRow, FactRow, GatewayRow, HistoryRow, RecordRow
from omnijourney.segment.v1 import history_pb2 as segment_facts
from services.stats.domain.model import Source

PAGE_ROWS: Final = 2_000
"""Rows of one page."""
PAGE_RECORDS: Final = 256
"""Records of one page, each of some sixty facts or sends where they come in full batches: some 1 MB then."""
_SEGMENT_KINDS: Final = (
    segment_facts.FACT_KIND_CHECKOUT_COMPLETED,
    segment_facts.FACT_KIND_ORDER_STORED,
    segment_facts.FACT_KIND_ORDER_REFUNDED,
    segment_facts.FACT_KIND_REFUND_STORED,
)
"""Only what is counted."""


class Peers(NamedTuple):
    """A channel to each service."""

    journey: grpc.aio.Channel
    points: grpc.aio.Channel
    channel_gateway: grpc.aio.Channel
    segment: grpc.aio.Channel


class CountedHistory(PackedHistory[Any]):
    """The history of any of the four services: they differ in their rows only."""

    def __init__(
        self,
        source: Source,
        name: str,
        channel: grpc.aio.Channel,
        row: type[HistoryRow],
        *,
        kinds: Sequence[Any] = (),
        rows_max: int = PAGE_ROWS,
    ) -> None:
        """See `PackedHistory`; `rows_max` is the size of a page."""
        super().__init__(name, channel, row, kinds=kinds)
        self.source = source
        self.rows_max = rows_max


def histories(peers: Peers) -> list[CountedHistory]:
    """All four; journey has two, the second with what it wrote before it had records."""
    return [
        CountedHistory(Source.RECORDS, "journey", peers.journey, RecordRow, rows_max=PAGE_RECORDS),
        CountedHistory(Source.JOURNEY, "journey", peers.journey, RecordRow),
        CountedHistory(
            Source.GATEWAY, "channel_gateway", peers.channel_gateway, GatewayRow, rows_max=PAGE_RECORDS
        ),
        CountedHistory(Source.POINTS, "points", peers.points, EntryRow),
        CountedHistory(Source.SEGMENT, "segment", peers.segment, FactRow, kinds=_SEGMENT_KINDS),
    ]
