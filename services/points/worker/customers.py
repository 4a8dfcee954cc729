"""The projection of customers: a copy of their basic data, kept up to date from segment's history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name

from libs.common.feeds.follower import Follower, History, Page
from libs.common.feeds.rows import FactRow
from services.points import metrics
from services.points.clients.segment import CustomerProfiles
from services.points.domain.customers import CustomerBasics
from services.points.domain.model import AccountKey

PAGE_ROWS: Final = 2_000
"""Facts of one page of segment's history."""
FEW_ROWS: Final = PAGE_ROWS // 4
LINGER_S: Final = 0.8
"""How long it waits after a page of few facts, real seconds: each page is a question to segment and a commit, and a
name that changes is in the report within a second or two."""


class Copy(Protocol):
    """Where customers and cursors are kept, together."""

    async def cursors(self) -> dict[int, int]:
        """Partition → position up to which the history is taken."""
        ...

    async def write(
        self, before: Mapping[int, int], after: Mapping[int, int], customers: Sequence[CustomerBasics]
    ) -> None:
        """Writes customers and moves the cursors at once. Raises CursorMovedError."""
        ...

    async def set_aside(
        self, before: Mapping[int, int], after: Mapping[int, int], at: tuple[int, int], reason: str
    ) -> None:
        """Moves the cursors past the row at (partition, position), and keeps the reason. Raises CursorMovedError."""
        ...


class CustomerProjection:
    """A `Projection` of segment's history.

    Customers are read after the history that names them, so that what is written is at least as new as the cursor.
    """

    def __init__(self, profiles: CustomerProfiles, copy: Copy) -> None:
        """`profiles`: customers as they are now."""
        self._profiles = profiles
        self._copy = copy

    async def cursors(self) -> dict[int, int]:
        """See `Projection`."""
        return await self._copy.cursors()

    async def apply(self, before: Mapping[int, int], page: Page[FactRow]) -> None:
        """See `Projection`. Raises Unavailable too."""
        changed = sorted({customer_of(row) for row in page.rows})
        keys = [AccountKey((DriverUUID(team), DriverUUID(customer))) for team, customer in changed]
        customers = await self._profiles.profiles(keys)
        await self._copy.write(before, page.cursors, customers)
        metrics.FOLLOWED.inc(len(customers))

    async def set_aside(self, before: Mapping[int, int], page: Page[FactRow], reason: str) -> None:
        """See `Projection`."""
        (row,) = page.rows
        await self._copy.set_aside(before, page.cursors, row.place, reason)
        metrics.SET_ASIDE.inc()


def customer_of(row: FactRow) -> tuple[bytes, bytes]:
    """Team and customer of a row. Raises ValueError for one that segment cannot read."""
    if row.team is None or row.customer is None:
        raise ValueError("the service whose row it is cannot read it")
    return row.team, row.customer


def customer_follower(history: History[FactRow], projection: CustomerProjection) -> Follower[FactRow]:
    """The loop that keeps the projection up to date."""
    return Follower(
        history,
        projection,
        rows_max=PAGE_ROWS,
        few_rows=FEW_ROWS,
        linger_s=LINGER_S,
        failed=metrics.FOLLOW_FAULTS.inc,
    )
