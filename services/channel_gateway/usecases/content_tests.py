"""A person sends content to one customer, to see what others will get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from google.protobuf.message import Message

from libs.common.db.pool import Pool
from libs.common.db.requests import Write, answer_after
from services.channel_gateway.domain.model import Send
from services.channel_gateway.store.figures import FigureStore
from services.channel_gateway.usecases.reservation import Reservation

Reply = TypeVar("Reply", bound=Message)


class ContentTests:
    """Sends tests. The key of a send comes from its request's id: a call that is repeated sends once, however the first
    one ended."""

    def __init__(self, pool: Pool, reservation: Reservation, deliveries: FigureStore) -> None:
        """All of this process."""
        self._pool = pool
        self._reservation = reservation
        self._deliveries = deliveries

    async def send(
        self, request: Write, send: Send, form: type[Reply], reply: Callable[[Mapping[str, Any]], Reply]
    ) -> Reply:
        """Asks for the send and tells how it stands, as `reply` shows a delivery.

        Raises AlreadyExists `REQUEST_ID_REUSED`, and what `Reservation.written` raises; nothing is sent then.
        """

        async def work() -> Reply:
            await self._reservation.written(send)
            await self._reservation.send([send])
            return reply(await self._deliveries.delivery(send.team_id, send.effect_key))

        return await answer_after(self._pool, send.team_id, request, form, work)
