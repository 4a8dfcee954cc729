# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Merges of customers, and long work of segment."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.errors import FailedPrecondition
from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.long_work import OperationPage, PageKey, Unpausable
from omnijourney.common.v1 import operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.checks import Check
from services.segment.convert.merges import merge_message, operation_message
from services.segment.domain.merging import Merge
from services.segment.servicer.base import Base
from services.segment.usecases.edits import Once
from services.segment.usecases.merges import Merges


class MergeRpcs(Base):
    """See the contract."""

    async def MergeCustomers(
        self, request: pb.MergeCustomersRequest, context: Any
    ) -> pb.MergeCustomersResponse:
        """The merge, accepted."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        survivor_id = check.uuid("survivor_id", request.survivor_id)
        loser_id = check.uuid("loser_id", request.loser_id)
        if survivor_id == loser_id:
            check.fault("loser_id", "must be another customer than survivor_id")
        check.done()
        once = Once(team_id, request, pb.MergeCustomersResponse, _merge_reply)
        return await self._deps.merges.start(once, team_id, survivor_id, loser_id)

    async def GetCustomerMerge(
        self, request: pb.GetCustomerMergeRequest, context: Any
    ) -> pb.GetCustomerMergeResponse:
        """How far one is."""
        check = Check()
        key = (
            check.uuid("team_id", request.team_id),
            check.uuid("customer_merge_id", request.customer_merge_id),
        )
        check.done()
        return pb.GetCustomerMergeResponse(customer_merge=merge_message(await self._deps.merges.read(key)))

    async def ListCustomerMerges(
        self, request: pb.ListCustomerMergesRequest, context: Any
    ) -> pb.ListCustomerMergesResponse:
        """Some, the newest first."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        customer_id = check.optional_uuid("customer_id", request.customer_id)
        check.done()
        size = page_size(request.page_size)
        arguments = ("customer merges", team_id, customer_id)
        before = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        found = await self._deps.merges.page(team_id, customer_id, before, size + 1)
        page = page_of(found, size, lambda last: (last.create_time, last.merge_id), *arguments)
        return pb.ListCustomerMergesResponse(
            customer_merges=map(merge_message, page.rows), next_page_token=page.next_token
        )


class MergeOperations(Unpausable):
    """A merge is an operation under its own id."""

    def __init__(self, merges: Merges) -> None:
        """Of the servicer."""
        self._merges = merges

    async def read(self, team_id: UUID, operation_id: UUID) -> operation_pb2.Operation:
        """See `Operations`."""
        return operation_message(await self._merges.read((team_id, operation_id)))

    async def page(self, team_id: UUID, after: PageKey | None, limit: int) -> OperationPage:
        """See `Operations`."""
        found = await self._merges.page(team_id, None, after, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        following = (last.create_time, last.merge_id) if last else None
        return OperationPage([operation_message(each) for each in found[:limit]], following)

    async def cancel(
        self, request: operations.CancelOperationRequest, team_id: UUID, operation_id: UUID
    ) -> operations.CancelOperationResponse:
        """See `Operations`: of two customers who are one nobody knows any more what was whose."""
        shown = await self.read(team_id, operation_id)
        if shown.state == operation_pb2.OPERATION_STATE_RUNNING:
            raise FailedPrecondition(
                "OPERATION_NOT_CANCELLABLE",
                "a merge that was accepted goes on until it is done",
                metadata={"state": "RUNNING"},
            )
        return operations.CancelOperationResponse(operation=shown)


def _merge_reply(merge: Merge) -> pb.MergeCustomersResponse:
    return pb.MergeCustomersResponse(customer_merge=merge_message(merge))
