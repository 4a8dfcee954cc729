"""What the gateway's servicers share: their parts, and the reading of common fields."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from google.protobuf.message import Message

from libs.common.clock import Clock
from libs.common.db.pool import Pool
from libs.common.errors import Aborted
from libs.common.feeds.notifier import CommitNotifier
from libs.common.paging import page_token
from libs.common.rpc.fields import FieldCheck
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2_grpc as pb_grpc
from services.channel_gateway.clients.channels.base import Adapter
from services.channel_gateway.domain.model import Channel, ConnectionKind
from services.channel_gateway.servicer.webhooks import ShopKeys
from services.channel_gateway.store.content import ContentStore
from services.channel_gateway.store.facts import Written
from services.channel_gateway.store.feed import FeedStore
from services.channel_gateway.store.figures import FigureStore
from services.channel_gateway.store.money import MoneyStore
from services.channel_gateway.store.shops import ShopStore
from services.channel_gateway.usecases.reservation import Reservation
from services.channel_gateway.worker.inbox import InboxWorker
from services.channel_gateway.worker.publisher import Outbox
from services.channel_gateway.worker.sender import Sender

KIND_OF: Final = {
    Channel.LINE: ConnectionKind.LINE,
    Channel.WHATSAPP: ConnectionKind.WHATSAPP,
    Channel.MESSENGER: ConnectionKind.MESSENGER,
    Channel.INSTAGRAM: ConnectionKind.INSTAGRAM,
}
"""The connection that each channel needs for real sends."""
RowKey = tuple[datetime, UUID] | tuple[datetime, str] | int
"""What the last row shown is known by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the servicers are made of."""

    pool: Pool
    clock: Clock
    reservation: Reservation
    sender: Sender
    outbox: Outbox
    worker: InboxWorker
    keys: ShopKeys
    adapters: Mapping[ConnectionKind, Adapter]
    notifier: CommitNotifier
    draining: asyncio.Event
    """Set when long polls are to end."""
    feed: FeedStore
    figures: FigureStore
    content: ContentStore
    money: MoneyStore
    shops: ShopStore


class Edge(pb_grpc.ChannelGatewayServiceServicer):
    """The base of the servicer's parts."""

    def __init__(self, parts: Parts) -> None:
        """All of this process."""
        self._parts = parts
        self._pool = parts.pool
        self._clock = parts.clock

    def publish(self, facts: Sequence[Written]) -> None:
        """Tells of what a write committed; a repeated request committed nothing."""
        for written in facts:
            self._parts.outbox.publish(written)


def team_of(text: str) -> UUID:
    """The required field `team_id`. Raises InvalidArgument."""
    check = FieldCheck()
    team_id = check.uuid("team_id", text)
    check.done()
    return team_id


def ids_of(team: str, field: str, text: str) -> tuple[UUID, UUID]:
    """The required field `team_id` and one more id. Raises InvalidArgument."""
    check = FieldCheck()
    found = check.uuid("team_id", team), check.uuid(field, text)
    check.done()
    return found


def fields_of(paths: Sequence[str], known: Sequence[str], message: Message) -> frozenset[str]:
    """The fields of an update; none named: the known ones that are given. Raises InvalidArgument for others."""
    check = FieldCheck()
    for path in paths:
        if path.partition(".")[0] not in known:
            check.fault("update_mask", f"{path} cannot be changed")
    check.done()
    named = frozenset(path.partition(".")[0] for path in paths)
    return named or frozenset(field for field in known if _is_given(message, field))


def _is_given(message: Message, field: str) -> bool:
    """Whether a field, or one of a oneof, has another value than its default."""
    if field in message.DESCRIPTOR.oneofs_by_name:
        return message.WhichOneof(field) is not None
    return bool(getattr(message, field))


def check_etag(given: str, version: int) -> None:
    """Raises Aborted when an etag was given and is not the present one."""
    if given and given != str(version):
        raise Aborted.etag_mismatch(str(version))


def next_token(last: RowKey | None, arguments: tuple[object, ...]) -> str:
    """The token of the page after the row `last`; empty at the end."""
    return page_token(last, *arguments) if last else ""
