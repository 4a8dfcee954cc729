"""Stubs of what our own services say to each other, for tests and measurements: no contract for platform teams."""

from functools import cached_property
from typing import TYPE_CHECKING

import grpc

from omnijourney.internal.v1.consents_service_pb2_grpc import ConsentsServiceStub
from omnijourney.internal.v1.customers_service_pb2_grpc import CustomersServiceStub
from omnijourney.internal.v1.history_service_pb2_grpc import HistoryServiceStub
from omnijourney.internal.v1.ledger_service_pb2_grpc import LedgerServiceStub
from omnijourney.internal.v1.mail_service_pb2_grpc import MailServiceStub
from omnijourney.internal.v1.merges_service_pb2_grpc import MergesServiceStub
from omnijourney.internal.v1.sends_service_pb2_grpc import SendsServiceStub

if TYPE_CHECKING:
    from omnijourney.internal.v1.consents_service_pb2_grpc import ConsentsServiceAsyncStub
    from omnijourney.internal.v1.customers_service_pb2_grpc import CustomersServiceAsyncStub
    from omnijourney.internal.v1.history_service_pb2_grpc import HistoryServiceAsyncStub
    from omnijourney.internal.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub
    from omnijourney.internal.v1.mail_service_pb2_grpc import MailServiceAsyncStub
    from omnijourney.internal.v1.merges_service_pb2_grpc import MergesServiceAsyncStub
    from omnijourney.internal.v1.sends_service_pb2_grpc import SendsServiceAsyncStub


class Internal:
    """Stubs over a channel to one service. Those that it does not serve answer UNIMPLEMENTED."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` sends the token."""
        self.channel = channel

    @cached_property
    def mail(self) -> "MailServiceAsyncStub":
        """Of segment, journey and the gateway."""
        return MailServiceStub(self.channel)

    @cached_property
    def history(self) -> "HistoryServiceAsyncStub":
        """Of segment, journey, the gateway and points."""
        return HistoryServiceStub(self.channel)

    @cached_property
    def customers(self) -> "CustomersServiceAsyncStub":
        """Of segment."""
        return CustomersServiceStub(self.channel)

    @cached_property
    def sends(self) -> "SendsServiceAsyncStub":
        """Of the gateway."""
        return SendsServiceStub(self.channel)

    @cached_property
    def consents(self) -> "ConsentsServiceAsyncStub":
        """Of the gateway."""
        return ConsentsServiceStub(self.channel)

    @cached_property
    def ledger(self) -> "LedgerServiceAsyncStub":
        """Of points."""
        return LedgerServiceStub(self.channel)

    @cached_property
    def merges(self) -> "MergesServiceAsyncStub":
        """Of journey, points and the gateway."""
        return MergesServiceStub(self.channel)
