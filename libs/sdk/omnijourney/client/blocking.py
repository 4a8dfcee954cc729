"""The client for threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from libs.client import ClientSettings, ServiceName
from libs.common.rpc.client import CHANNEL_OPTIONS
from libs.common.rpc.errors import remote_error
from libs.common.rpc.values import duration
from libs.common.tls import Tls
from omnijourney.channel_gateway.v1.channel_gateway_service_pb2_grpc import ChannelGatewayServiceStub
from omnijourney.client import errors
from omnijourney.client.calls import STREAM_TIMEOUT_S, Attempts, Rpc
from omnijourney.client.paging import Following
from omnijourney.client.waiting import LOOK, has_ended
from omnijourney.common.v1 import operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.common.v1.operations_service_pb2_grpc import OperationsServiceStub
from omnijourney.journey.v1.journey_service_pb2_grpc import JourneyServiceStub
from omnijourney.points.v1.points_service_pb2_grpc import PointsServiceStub
from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceStub
from omnijourney.stats.v1.stats_service_pb2_grpc import StatsServiceStub

PageT = TypeVar("PageT")
ItemT = TypeVar("ItemT")


class Client:
    """As `AsyncClient`, for programs without an event loop; threads may share one.

    with Client.from_environment() as client:
        client.segment.CreateCustomer(request)
    """

    def __init__(self, targets: Mapping[ServiceName, str], token: str, *, tls: Tls | None = None) -> None:
        """`targets`: `host:port` by service, those that are called. Connects when first used."""
        self._channels = {
            service: _Channel(_opened(target, tls), token) for service, target in targets.items()
        }

    @classmethod
    def from_environment(cls, settings: ClientSettings | None = None) -> Self:
        """As the variables `OMNIJOURNEY_…` say, else of the installation that runs in `.omnijourney`."""
        settings = settings or ClientSettings()
        return cls(settings.targets(), settings.api_token(), tls=settings.tls_of_calls())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes all connections; calls that are under way fail."""
        for channel in self._channels.values():
            channel.close()

    def channel(self, service: ServiceName) -> grpc.Channel:
        """The channel to one service, for stubs that are not here. Raises KeyError without an address for it."""
        return self._channels[service]

    def operations(self, service: ServiceName) -> OperationsServiceStub:
        """Long work, which every service shows alike."""
        return OperationsServiceStub(self.channel(service))

    @cached_property
    def journey(self) -> JourneyServiceStub:
        """Definitions, lifecycle, enrolments, mailboxes."""
        return JourneyServiceStub(self.channel("journey"))

    @cached_property
    def points(self) -> PointsServiceStub:
        """Formula, ledger, balances, coupons."""
        return PointsServiceStub(self.channel("points"))

    @cached_property
    def channel_gateway(self) -> ChannelGatewayServiceStub:
        """Accounts, content, sends, webhooks."""
        return ChannelGatewayServiceStub(self.channel("channel_gateway"))

    @cached_property
    def segment(self) -> SegmentServiceStub:
        """Teams, customers, tags, attributes, audiences."""
        return SegmentServiceStub(self.channel("segment"))

    @cached_property
    def stats(self) -> StatsServiceStub:
        """Overviews, node figures, series."""
        return StatsServiceStub(self.channel("stats"))

    def items(
        self,
        rpc: Callable[..., PageT],
        request: Any,
        of: Callable[[PageT], Iterable[ItemT]],
        *,
        timeout: float | None = None,
    ) -> Iterator[ItemT]:
        """See `AsyncClient.items`."""
        following = Following(request)
        while following.request is not None:
            page = rpc(following.request, timeout=timeout)
            yield from of(page)
            following.read(page)

    def ended(
        self, service: ServiceName, operation: operation_pb2.Operation, *, within: timedelta | None = None
    ) -> operation_pb2.Operation:
        """See `AsyncClient.ended`."""
        end = None if within is None else time.monotonic() + within.total_seconds()
        while not has_ended(operation):
            left = LOOK if end is None else min(LOOK, timedelta(seconds=end - time.monotonic()))
            if left <= timedelta():
                raise TimeoutError(f"operation {operation.operation_id} goes on")
            request = operations.WaitOperationRequest(
                team_id=operation.team_id, operation_id=operation.operation_id, wait=duration(left)
            )
            operation = self.operations(service).WaitOperation(request).operation
        return operation


def _opened(target: str, tls: Tls | None) -> grpc.Channel:
    if tls is None:
        return grpc.insecure_channel(target, options=CHANNEL_OPTIONS)
    return grpc.secure_channel(target, tls.channel_credentials(), options=CHANNEL_OPTIONS)


class _Method:
    """A method of any kind, with the token."""

    def __init__(self, inner: Any, metadata: tuple[tuple[str, str], ...]) -> None:
        self._inner = inner
        self._metadata = metadata

    def _begin(self, request: Any, timeout: float | None, metadata: Any, options: Any) -> Any:
        sent = (*(metadata or ()), *self._metadata)
        return self._inner(request, timeout=timeout, metadata=sent, **options)


class _Unary(_Method):
    """One request and one answer."""

    def __init__(self, path: str, inner: Any, metadata: tuple[tuple[str, str], ...]) -> None:
        super().__init__(inner, metadata)
        self._rpc = Rpc.of(path)

    def __call__(
        self, request: Any, timeout: float | None = None, metadata: Any = None, **options: Any
    ) -> Any:
        request, attempts = self._rpc.prepared(request), Attempts(self._rpc, timeout)
        while True:
            try:
                return self._begin(request, attempts.left_s(), metadata, options)
            except grpc.RpcError as error:
                wait_s = attempts.wait_s(error)
            time.sleep(wait_s)  # noqa: TID251 - what failed is made again later, and nothing tells when


class _Upload(_Method):
    """A request in parts, which are there once: nothing is made again."""

    def __call__(self, parts: Any, timeout: float | None = None, metadata: Any = None, **options: Any) -> Any:
        try:
            return self._begin(parts, timeout or STREAM_TIMEOUT_S, metadata, options)
        except grpc.RpcError as error:
            raise errors.of(remote_error(error)) from error


class _Parts(_Method):
    """An answer in parts."""

    def __call__(
        self, request: Any, timeout: float | None = None, metadata: Any = None, **options: Any
    ) -> Iterator[Any]:
        try:
            yield from self._begin(request, timeout or STREAM_TIMEOUT_S, metadata, options)
        except grpc.RpcError as error:
            raise errors.of(remote_error(error)) from error


class _Channel(grpc.Channel):
    """A channel whose stubs' methods are those above."""

    def __init__(self, inner: grpc.Channel, token: str) -> None:
        self._inner = inner
        self._metadata = (("authorization", f"Bearer {token}"),)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._inner.close()

    def subscribe(self, callback: Any, try_to_connect: bool = False) -> None:
        self._inner.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Any) -> None:
        self._inner.unsubscribe(callback)

    def unary_unary(self, method: str, *codec: Any, **options: Any) -> Any:
        return _Unary(method, self._inner.unary_unary(method, *codec, **options), self._metadata)

    def unary_stream(self, method: str, *codec: Any, **options: Any) -> Any:
        return _Parts(self._inner.unary_stream(method, *codec, **options), self._metadata)

    def stream_unary(self, method: str, *codec: Any, **options: Any) -> Any:
        return _Upload(self._inner.stream_unary(method, *codec, **options), self._metadata)

    def stream_stream(self, method: str, *codec: Any, **options: Any) -> Any:
        return _Parts(self._inner.stream_stream(method, *codec, **options), self._metadata)
