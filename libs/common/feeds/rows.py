"""Rows of histories as they are handed on: one value of msgpack a page, an array a row.

A service packs values in the order of its struct here, as it reads them from its tables; readers decode and count. Ids
are 16 bytes, times are domain time. Fields may only be appended, with a default: a service of the release before does
not send the last ones, one of the release after sends more than are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands where a row has none, since it could not be read."""


class HistoryRow(msgspec.Struct, array_like=True, gc=False):
    """Where a row is found, and whose it is: None where its service cannot read it, and tells its place only."""

    partition: int
    position: int
    team: bytes | None

    @property
    def place(self) -> tuple[int, int]:
        """Partition and position."""
        return self.partition, self.position


class RecordRow(HistoryRow, array_like=True, gc=False):
    """Of journey: what a commit did, in the form of `libs/common/feeds/journey_records.py`."""

    body: bytes = b""


class GatewayRow(HistoryRow, array_like=True, gc=False):
    """Of the gateway: a record, or a fact of the release before, of which `kind` says what `outcome` is."""

    kind: int = 0
    """1: a send was settled, 2: a receipt arrived, 3: a link was opened, 4: content is gone, 5: a record: see
    `body`."""
    at: datetime = NO_TIME
    key: bytes | None = None
    """Of the effect; of content its id."""
    journey: bytes | None = None
    node: str | None = ""
    channel: int | None = 0
    """A `common.v1.Channel`."""
    outcome: int | None = 0
    """Of a send a `channel_gateway.v1.SendState`, of a receipt a `ReceiptKind`, of content 1: bot module, 2: template,
    3: account."""
    reason: str = ""
    messages: int = 0
    micros: int = 0
    """What a send cost, or a receipt gave back, in millionths of `currency`."""
    currency: str = ""
    body: bytes = b""
    """In the form of `libs/common/feeds/gateway_records.py`."""
    customers: bytes = b""
    """Of a record those of its sends, in their order, as `gateway_records.customers_of` reads them; of a fact of the
    release before its one."""


class EntryRow(HistoryRow, array_like=True, gc=False):
    """Of points: an entry of the ledger."""

    customer: bytes = b""
    at: datetime = NO_TIME
    """When it was posted."""
    source: int = 0
    """A `points.v1.EntrySource`."""
    delta_balance: int = 0
    delta_cumulative: int = 0
    requested_balance: int = 0


class FactRow(HistoryRow, array_like=True, gc=False):
    """Of segment: that something happened."""

    customer: bytes | None = None
    at: datetime = NO_TIME
    kind: int = 0
    """A `segment.v1.FactKind`."""
    uncounted: int = 0
    """Of an order or refund: a `segment.v1.UncountedReason`."""
    attribute: str = ""
    """Of an attribute that was defined or changed: its key."""
    archived: bool = False
    """Of the same: it is archived now."""
    retyped: bool = False
    """Of the same: it has another type than before."""
    order: bytes | None = None
    """Of an order or refund: the key of the order; None where a refund names none."""
    micros: int = 0
    """Of the same: what was paid, or given back, in millionths of `currency`."""
    currency: str = ""
    event: bytes | None = None
    """Of what concerns a contact: the event's id,"""
    detail: tuple[str | None, ...] = ()
    """and what it says: of a tag the tag; of an attribute its key, type, value before and after; of an identity its
    channel, account and external id; of a new customer the member id; of a merged one the survivor."""


Row = TypeVar("Row", bound=HistoryRow)

_encode: Final = msgspec.msgpack.Encoder(uuid_format="bytes").encode
_loose: Final = msgspec.msgpack.Decoder(list[list[Any]])


def pack_rows(rows: Sequence[Sequence[Any] | HistoryRow]) -> bytes:
    """A page of rows, each a tuple or struct in the order of its struct's fields. Raises TypeError for a value that
    msgpack has not, an `UnreadableTime` for instance."""
    return _encode(rows)


def reader_of(kind: type[Row]) -> Callable[[bytes], list[Row]]:
    """What reads pages of one service. Raises `msgspec.DecodeError` for what is no page.

    A row that has not the form of the struct is read as one that its service cannot read: it is set aside alone.
    """
    decoder = msgspec.msgpack.Decoder(list[kind])  # type: ignore[valid-type]

    def read(page: bytes) -> list[Row]:
        if not page:
            return []
        try:
            return decoder.decode(page)
        except msgspec.ValidationError:
            return [_read_alone(kind, values) for values in _loose.decode(page)]

    return read


def _read_alone(kind: type[Row], values: list[Any]) -> Row:
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError:
        partition, position = values[:2]
        return kind(partition, position, None)
