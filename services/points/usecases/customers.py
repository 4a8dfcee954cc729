"""Who may have points: customers that there are."""

from __future__ import annotations

from uuid import UUID

from libs.common.callers import caller
from libs.common.errors import FailedPrecondition, NotFound
from libs.common.rpc.followers import Taken
from services.points.clients.segment import CustomerDirectory
from services.points.domain.model import AccountKey
from services.points.store.customers import CustomerStore
from services.points.store.merges import MergeStore


class Customers:
    """Looks into the copy of customers; segment is asked for those that it has not yet."""

    def __init__(self, copy: CustomerStore, segment: CustomerDirectory, merges: MergeStore) -> None:
        """`copy` is some seconds behind `segment`."""
        self._copy = copy
        self._segment = segment
        self._merges = merges

    async def taken(self, team_id: UUID) -> Taken:
        """See `libs.common.rpc.followers.Reader`."""
        return await self._copy.taken(team_id)

    async def require(self, team_id: UUID, customer_id: UUID) -> None:
        """Raises NotFound for a customer that the team has not, FailedPrecondition `CUSTOMER_MERGED` for one who
        was merged, Unavailable when nobody can tell. What our own services ask for was looked at where it came in."""
        if caller().is_internal:
            return
        if survivor := await self._merges.merged_into(team_id, customer_id):
            raise FailedPrecondition(
                "CUSTOMER_MERGED",
                f"the customer was merged into {survivor}: name that one",
                metadata={"merged_into": str(survivor)},
            )
        if await self._copy.names(team_id, [customer_id]):
            return
        key = AccountKey((team_id, customer_id))
        if key not in await self._segment.known([key]):
            raise NotFound.of("customer", customer_id)
