"""What teams say about how long their records are kept, as segment has it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

import grpc

from libs.common.errors import Unavailable
from libs.common.retention import Own
from libs.common.rpc.client import CALL_DEADLINE_S, retrying
from omnijourney.internal.v1 import customers_service_pb2, customers_service_pb2_grpc

_PAGE: Final = 500


class RetentionClient:
    """Asks segment, each time anew: who prunes asks once a round."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` to segment."""
        self._stub = customers_service_pb2_grpc.CustomersServiceStub(channel)

    def own(self, field: str) -> Own:
        """Asks for one `field` of the contract's Retention."""
        return partial(self._read, field)

    async def _read(self, field: str) -> Mapping[UUID, timedelta]:
        found: dict[UUID, timedelta] = {}
        request = customers_service_pb2.ListRetentionsRequest(page_size=_PAGE)
        while True:
            try:
                page = await retrying(
                    lambda: self._stub.ListRetentions(request, timeout=CALL_DEADLINE_S)  # noqa: B023 - awaited here
                )
            except grpc.aio.AioRpcError as error:
                raise Unavailable.dependency("segment") from error
            for each in page.retentions:
                if each.retention.HasField(field):  # type: ignore[arg-type]  # callers name fields of the contract
                    found[UUID(each.team_id)] = getattr(each.retention, field).ToTimedelta()
            if not page.next_page_token:
                return found
            request = customers_service_pb2.ListRetentionsRequest(
                page_size=_PAGE, page_token=page.next_page_token
            )
