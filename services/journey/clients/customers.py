"""Which customers there are, asked of segment."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

import grpc

from libs.common.errors import Unavailable
from libs.common.rpc.client import CALL_DEADLINE_S, retrying
from omnijourney.internal.v1 import customers_service_pb2, profile_pb2

if TYPE_CHECKING:
    from omnijourney.internal.v1.customers_service_pb2_grpc import CustomersServiceAsyncStub

CUSTOMERS_MAX: Final = 500
"""Customers of one question, as the contract says."""


class CustomerDirectory(Protocol):
    """Which customers there are."""

    async def strangers(self, team_id: UUID, customers: Collection[UUID]) -> frozenset[UUID]:
        """Those of CUSTOMERS_MAX customers at most that the team has not. Raises Unavailable."""
        ...


class SegmentCustomers:
    """See `CustomerDirectory`."""

    def __init__(self, segment: CustomersServiceAsyncStub) -> None:
        """Its channel sends the token."""
        self._segment = segment

    async def strangers(self, team_id: UUID, customers: Collection[UUID]) -> frozenset[UUID]:
        """See `CustomerDirectory`. Nobody named, nothing asked."""
        if not customers:
            return frozenset()
        asked = list(customers)
        team = str(team_id)
        request = customers_service_pb2.BatchGetProfilesRequest(
            items=[customers_service_pb2.CustomerRef(team_id=team, customer_id=str(each)) for each in asked],
            parts=[profile_pb2.PROFILE_PART_BASICS],
        )
        try:
            answer = await retrying(lambda: self._segment.BatchGetProfiles(request, timeout=CALL_DEADLINE_S))
        except grpc.aio.AioRpcError as error:
            raise Unavailable.dependency("segment") from error
        profiles = zip(asked, answer.profiles, strict=True)
        return frozenset(customer for customer, profile in profiles if not profile.found)
