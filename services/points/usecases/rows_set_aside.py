"""Rows of segment's history that could not be applied to the copy of customers: shown, and tried again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

import structlog
from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name

from libs.common.db.pool import Pool
from libs.common.db.requests import Reply, Write, answer_after
from libs.common.db.retry import until_alone
from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.feeds.follower import POISON, CursorMovedError, History, RefusedByPeerError
from libs.common.feeds.rows import FactRow
from services.points.clients.segment import CustomerProfiles
from services.points.domain.model import AccountKey
from services.points.domain.views import RowSetAside
from services.points.store.customers import CustomerStore
from services.points.worker.customers import customer_of

RETRIED_MAX: Final = 500
"""Rows that one call tries again."""
_ATTEMPTS: Final = 10
_OPERATORS: Final = UUID(int=0)

_log = structlog.get_logger(__name__)


class RowsSetAside:
    """What the follower of segment's history passed over."""

    def __init__(
        self, pool: Pool, history: History[FactRow], profiles: CustomerProfiles, copy: CustomerStore
    ) -> None:
        """`history` has the rows, `profiles` customers as they are now."""
        self._pool = pool
        self._history = history
        self._profiles = profiles
        self._copy = copy

    @property
    def source(self) -> str:
        """The name of the service whose history it is."""
        return self._history.name

    def check_source(self, name: str) -> None:
        """Raises InvalidArgument for a service whose history is not followed; none is all."""
        if name and name != self.source:
            raise InvalidArgument.of(FieldViolation("source", f"must be {self.source}"))

    async def page(self, after: tuple[int, int], row_max: int) -> Sequence[RowSetAside]:
        """Rows in order of partition and position."""
        return await self._copy.list_set_aside(after, row_max)

    async def retry(self, request: Write, reply: type[Reply], answer: Callable[[int, int], Reply]) -> Reply:
        """Applies rows, up to RETRIED_MAX; `answer` is told how many, and how many are left. Answered once.

        Raises Unavailable; what was applied before stays so.
        """

        async def work() -> Reply:
            rows = await self._copy.list_set_aside((-1, 0), RETRIED_MAX)
            applied = sum([await self._applied(row) for row in rows])
            return answer(applied, await self._copy.count_set_aside())

        return await answer_after(self._pool, _OPERATORS, request, reply, work)

    async def _applied(self, row: RowSetAside) -> bool:
        try:
            return await until_alone(
                lambda _attempt: self._apply(row),
                what="row set aside",
                collisions=(CursorMovedError,),
                attempts=_ATTEMPTS,
            )
        except (*POISON, RefusedByPeerError) as error:
            _log.warning("a row still cannot be applied", place=row.place, error=repr(error))
            return False

    async def _apply(self, row: RowSetAside) -> bool:
        taken = (await self._copy.cursors())[row.partition]
        page = await self._history.read({row.partition: row.position - 1}, 0, 1)
        found = [each for each in page.rows if each.place == row.place]
        if not found:
            raise LookupError("the history does not have it")
        team, customer = customer_of(found[0])
        (profile,) = await self._profiles.profiles([AccountKey((DriverUUID(team), DriverUUID(customer)))])
        return await self._copy.write_again(row, taken, profile)
