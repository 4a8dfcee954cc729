"""The sampled traces that rows of histories are on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from libs.common.feeds.rows import HistoryRow
from libs.common.tracing import CONTEXT_BYTES
from services.stats.domain.model import Source


class _JourneyRecord(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A `journey_records.Record` of which nothing but the traces is read."""

    at_us: int
    journeys: msgspec.Raw
    facts: msgspec.Raw
    revisions: msgspec.Raw = msgspec.Raw()
    traces: list[bytes] = []


class _GatewayRecord(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A `gateway_records.Record`, likewise."""

    at_us: int
    facts: msgspec.Raw
    traces: list[bytes] = []


_READERS: Final[Mapping[Source, Callable[[bytes], _JourneyRecord | _GatewayRecord]]] = {
    Source.RECORDS: msgspec.msgpack.Decoder(_JourneyRecord).decode,
    Source.GATEWAY: msgspec.msgpack.Decoder(_GatewayRecord).decode,
}


def traces_of(source: Source, rows: Iterable[HistoryRow]) -> list[bytes]:
    """The contexts that rows which were counted are on, each once."""
    read = _READERS.get(source)
    if read is None:
        return []
    bodies = (body for row in rows if (body := getattr(row, "body", b"")))
    found = dict.fromkeys(context for body in bodies for context in read(body).traces)
    return [context for context in found if len(context) == CONTEXT_BYTES]
