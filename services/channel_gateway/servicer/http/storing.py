"""Webhooks into the table: bounded by team, batched, durable when it returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from libs.common import tracing
from libs.common.batching import Batcher, Lanes
from libs.common.errors import Unavailable
from services.channel_gateway.domain.inbox import Incoming, Receipt
from services.channel_gateway.servicer.admission import InboxBound
from services.channel_gateway.store.inbox import InboxStore
from services.channel_gateway.worker.webhook_traces import write_receipt

STORE_BATCH_MAX: Final = 100
"""Webhooks stored in one transaction."""
STORE_BYTES_MAX: Final = 2 * 1024 * 1024
"""Bodies stored in one transaction, unless one alone is larger."""
STORE_LANES: Final = 4
"""Transactions at once, each of other teams: large bodies of one keep few others waiting."""
STORE_WAITING_MAX: Final = 4_000
"""Webhooks that wait to be stored, of one team as many as there is room for more: half of them where it is alone.
More are answered 429."""


class Storing:
    """Stores webhooks, whoever sent them."""

    def __init__(self, store: InboxStore, bound: InboxBound, stored: Callable[[], None]) -> None:
        """`stored` is called after a commit with new webhooks."""
        self._bound = bound
        self._stored = stored
        self._batcher: Batcher[Incoming, Receipt] = Batcher(
            "webhooks",
            store.store,
            size_max=STORE_BATCH_MAX,
            waiting_max=STORE_WAITING_MAX,
            retry_after_s=1.0,
            bytes_of=lambda webhook: len(webhook.body),
            bytes_max=STORE_BYTES_MAX,
            away=(Unavailable,),
            shared_by=lambda webhook: webhook.team_id,
            lanes=Lanes(STORE_LANES, lambda webhook: webhook.team_id.int % STORE_LANES),
        )

    async def put(self, webhook: Incoming) -> Receipt:
        """What became of a webhook; it is stored when this returns, unless its id is known. Raises ResourceExhausted
        where too many wait, Unavailable."""
        began_ns = tracing.now_ns()
        await self._bound.admit(webhook.team_id, webhook.event_count)
        receipt = await self._batcher.submit_one(webhook)
        if receipt is Receipt.STORED:
            self._stored()
            if tracing.is_on():
                write_receipt(webhook, began_ns)
        return receipt
