# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of the actors as operators see them: partitions, workers, mailboxes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from libs.common.ids import PARTITIONS
from libs.common.paging import page_size
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import ids_of
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.convert import actors as convert
from services.journey.servicer.base import BaseRpcs
from services.journey.usecases.write import OPERATORS, Call


class ActorRpcs(BaseRpcs):
    """Partitions, workers and mailboxes."""

    async def ListPartitions(
        self, request: pb.ListPartitionsRequest, context: Any
    ) -> pb.ListPartitionsResponse:
        """Lists partitions with owners and depths."""
        depths = await self._deps.mailbox.depths(range(PARTITIONS))
        leases = await self._deps.leases.leases()
        held = Counter(lease.owner for lease in leases.values())
        return pb.ListPartitionsResponse(
            partitions=[
                convert.partition_message(partition, depths[partition], leases.get(partition))
                for partition in range(PARTITIONS)
            ],
            orphan_count=await self._deps.orphans.count(),
            workers=[
                convert.worker_message(worker, held[worker.worker_id])
                for worker in await self._deps.leases.workers()
            ],
        )

    async def DrainWorker(self, request: pb.DrainWorkerRequest, context: Any) -> pb.DrainWorkerResponse:
        """Has a worker hand back its partitions."""
        form = pb.DrainWorkerResponse
        call: Call[int, pb.DrainWorkerResponse] = Call(
            OPERATORS, request, form, lambda held: form(released_partition_count=held)
        )
        return await self._deps.draining_of_workers.drain(call, _worker(request))

    async def ResumeWorker(self, request: pb.ResumeWorkerRequest, context: Any) -> pb.ResumeWorkerResponse:
        """Lets a drained worker take partitions again."""
        form = pb.ResumeWorkerResponse
        call: Call[None, pb.ResumeWorkerResponse] = Call(OPERATORS, request, form, lambda _: form())
        return await self._deps.draining_of_workers.resume(call, _worker(request))

    async def PeekMailbox(self, request: pb.PeekMailboxRequest, context: Any) -> pb.PeekMailboxResponse:
        """Shows a customer's mail."""
        team_id, customer_id = ids_of(request.team_id, "customer_id", request.customer_id)
        entries = await self._deps.mailbox.peek(team_id, customer_id, page_size(request.page_size))
        mails = [convert.mail_item(entry.mail) for entry in entries if entry.mail is not None]
        return pb.PeekMailboxResponse(mails=mails, total_count=len(entries))


def _worker(request: Any) -> str:
    check = FieldCheck()
    if not request.worker_id:
        check.fault("worker_id", "is required")
    check.done()
    worker_id: str = request.worker_id
    return worker_id
