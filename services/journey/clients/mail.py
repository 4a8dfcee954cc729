"""Mail of the sources, read again: where a customer's numbers have a gap, and where a mailbox was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from libs.common.feeds.serving import MailPage
from libs.common.mailbox.mail import MailSource, decode_all
from libs.common.rpc.client import CALL_DEADLINE_S, fitting_page
from omnijourney.common.v1 import history_pb2
from omnijourney.internal.v1 import mail_service_pb2
from services.journey.clients.calls import call_once

if TYPE_CHECKING:
    from omnijourney.internal.v1.mail_service_pb2_grpc import MailServiceAsyncStub


PAGE_MAX: Final = 500
"""Mails of a page; fewer are asked for where they are too large for one message."""


class MailReader(Protocol):
    """The repair read of a source. A page that says so is the last, however short or long a page is."""

    async def of_customer(self, team_id: UUID, customer_id: UUID, after_number: int) -> MailPage:
        """The next page of a customer's mail, by number. Raises `ServiceUnavailable`."""
        ...

    async def of_partition(self, partition: int, after_position: int) -> MailPage:
        """The next page of a partition's mail, by position. Raises `ServiceUnavailable`."""
        ...


class SourceMail:
    """Mail that one service numbered."""

    def __init__(self, source: MailSource, stub: MailServiceAsyncStub) -> None:
        """`stub` to the service that is `source`; it sends the token."""
        self.source = source
        self._stub = stub

    async def of_customer(self, team_id: UUID, customer_id: UUID, after_number: int) -> MailPage:
        """See `MailReader`."""
        cursor = mail_service_pb2.CustomerMailCursor(
            team_id=str(team_id), customer_id=str(customer_id), after_number=after_number
        )
        return await self._list(mail_service_pb2.ListMailRequest(customer=cursor))

    async def of_partition(self, partition: int, after_position: int) -> MailPage:
        """See `MailReader`."""
        cursor = history_pb2.HistoryCursor(partition=partition, after_position=after_position)
        return await self._list(mail_service_pb2.ListMailRequest(partition=cursor))

    async def _list(self, request: mail_service_pb2.ListMailRequest) -> MailPage:
        async def read(rows_max: int) -> mail_service_pb2.ListMailResponse:
            request.page_size = rows_max
            return await self._stub.ListMail(request, timeout=CALL_DEADLINE_S)

        response = await call_once(lambda: fitting_page(read, PAGE_MAX))
        return MailPage(decode_all(response.mails), response.more)
