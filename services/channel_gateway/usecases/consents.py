"""What customers want, recorded by teams and read together with what people said themselves."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from libs.common.clock import Clock
from libs.common.db.pool import Pool, transaction
from services.channel_gateway.domain.consents import (
    ConsentChange,
    Consenting,
    NewStatement,
    Statement,
    concerns,
    holding,
    holding_each,
    time_to_say,
)
from services.channel_gateway.store import consents as store


class Consents:
    """Raises the driver's errors."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        """`clock`: domain time of what is recorded."""
        self._pool = pool
        self._clock = clock
        self._store = store.ConsentStore(pool)

    async def record(self, customer: Consenting, said: NewStatement) -> tuple[Statement, Statement | None]:
        """What holds on the channel from now on, and what held on it before. The same again changes nothing."""
        async with transaction(self._pool, [customer.team_id]) as connection:
            await store.hold_customer(connection, customer.customer_id)
            statements = await store.find_statements(connection, customer)
            before = holding(statements, said.channel)
            if _says_it(statements, before, said):
                assert before is not None
                return before, before
            at = time_to_say(statements, said.channel, self._clock.now())
            kept = await store.keep_statement(connection, customer, said, at)
            state = 0 if before is None else before.state
            await store.tell_change(connection, customer, said, state, at)
            return kept, before

    async def holding(self, customer: Consenting) -> list[Statement]:
        """What holds on each channel of which something was said, in order."""
        return holding_each(await self._store.statements(customer))

    async def changes(
        self, customer: Consenting, after: tuple[datetime, UUID] | None, most: int
    ) -> list[ConsentChange]:
        """Changes, newest first, after one."""
        return await self._store.changes(customer, after, most)


def _says_it(statements: list[Statement], before: Statement | None, said: NewStatement) -> bool:
    """Whether it was said of the very channel, or of all, and nothing else was said since, nor of any of all."""
    if before is None or before.state != said.state:
        return False
    own = any(each.by_customer and each.channel == said.channel for each in statements)
    return own and all(each.state == said.state for each in statements if concerns(each, said.channel))
