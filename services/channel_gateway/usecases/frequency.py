"""Frequency caps: a write is one transaction and answered once."""

from __future__ import annotations

from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool
from libs.common.frequency import FrequencyRule
from libs.common.rpc.servicing import check_etag
from services.channel_gateway.domain.views import FrequencyCap
from services.channel_gateway.store import frequency as store
from services.channel_gateway.usecases.call import Call, Reply, once


class FrequencyCaps:
    """Writes how often one customer may be written to."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        """`clock`: domain time of the changes."""
        self._pool = pool
        self._clock = clock

    async def update(
        self, call: Call[FrequencyCap, Reply], etag: str, rules: tuple[FrequencyRule, ...] | None
    ) -> Reply:
        """Sets the rules; None: they stay. Raises Aborted `ETAG_MISMATCH`."""

        async def update(connection: Connection) -> FrequencyCap:
            now = self._clock.now()
            present = await store.hold_cap(connection, call.team_id, now)
            check_etag(etag, present.version)
            call.note_before(present)
            return present if rules is None else await store.set_cap(connection, call.team_id, rules, now)

        return await once(self._pool, call, update)
