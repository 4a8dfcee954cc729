"""Balance alerts: a write is one transaction and answered once."""

from __future__ import annotations

from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool
from libs.common.rpc.servicing import check_etag
from services.channel_gateway.domain.model import Price
from services.channel_gateway.domain.views import BalanceAlert
from services.channel_gateway.store import charges as store
from services.channel_gateway.store import money as money_store
from services.channel_gateway.usecases.call import Call, Reply, once


class BalanceAlerts:
    """Writes at which balance teams are warned."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        """`clock`: domain time of the changes."""
        self._pool = pool
        self._clock = clock

    async def update(
        self, call: Call[BalanceAlert, Reply], etag: str, threshold: Price | None, *, changes: bool
    ) -> Reply:
        """Sets the threshold if it `changes`; None: never. Raises Aborted `ETAG_MISMATCH`, WalletCurrencyMismatch."""

        async def update(connection: Connection) -> BalanceAlert:
            now = self._clock.now()
            currency = (threshold or await money_store.prepaid_price(connection, call.team_id)).currency
            if threshold:
                await money_store.hold_currency(connection, call.team_id, currency, now)
            present = await store.hold_alert(connection, call.team_id, currency, now)
            check_etag(etag, present.version)
            call.note_before(present)
            if changes:
                await store.set_alert(connection, call.team_id, threshold, currency, now)
            return await store.read_alert(connection, call.team_id)

        return await once(self._pool, call, update)
