"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from libs.client import ClientSettings, ServiceName
from libs.client.stubs import Stubs
from libs.common.rpc.client import WrappedChannel, channel
from libs.common.rpc.errors import remote_error
from libs.common.rpc.values import duration
from libs.common.tls import Tls
from omnijourney.client import errors
from omnijourney.client.calls import STREAM_TIMEOUT_S, Attempts, Rpc
from omnijourney.client.paging import Following
from omnijourney.client.waiting import LOOK, has_ended
from omnijourney.common.v1 import operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations

PageT = TypeVar("PageT")
ItemT = TypeVar("ItemT")


class AsyncClient(Stubs):
    """The five services of an installation, each a stub with the RPCs of its contract.

        async with AsyncClient.from_environment() as client:
            await client.segment.CreateCustomer(request)

    A call takes `timeout` seconds at most with all its repetitions, 30 without a word; answers in parts and uploads ten
    minutes. It is made again where it failed for a passing reason and the contract allows it. A write without a
    `request_id` gets one, so that it happens once. Raises `omnijourney.client.errors`. Belongs to the event loop in
    which it is first used.
    """

    def __init__(self, targets: Mapping[ServiceName, str], token: str, *, tls: Tls | None = None) -> None:
        """`targets`: `host:port` by service, those that are called. Connects when first used."""
        self._targets = dict(targets)
        self._token = token
        self._tls = tls
        self._channels: dict[ServiceName, grpc.aio.Channel] = {}

    @classmethod
    def from_environment(cls, settings: ClientSettings | None = None) -> Self:
        """As the variables `OMNIJOURNEY_…` say, else of the installation that runs in `.omnijourney`."""
        settings = settings or ClientSettings()
        return cls(settings.targets(), settings.api_token(), tls=settings.tls_of_calls())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections; calls that are under way fail."""
        opened = list(self._channels.values())
        self._channels.clear()
        await asyncio.gather(*(one.close() for one in opened))

    def channel(self, service: ServiceName) -> grpc.aio.Channel:
        """The channel to one service, for stubs that are not here. Raises KeyError without an address for it."""
        if service not in self._channels:
            self._channels[service] = _Channel(channel(self._targets[service], self._token, self._tls))
        return self._channels[service]

    async def items(
        self,
        rpc: Callable[..., Awaitable[PageT]],
        request: Any,
        of: Callable[[PageT], Iterable[ItemT]],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - for each page, as gRPC names it
    ) -> AsyncIterator[ItemT]:
        """What a listing lists, over all pages from the one that `request` asks for: `of` takes the items out of one.

        `timeout` is for each page.
        """
        following = Following(request)
        while following.request is not None:
            page = await rpc(following.request, timeout=timeout)
            for item in of(page):
                yield item
            following.read(page)

    async def ended(
        self, service: ServiceName, operation: operation_pb2.Operation, *, within: timedelta | None = None
    ) -> operation_pb2.Operation:
        """The operation that `service` began, when it has succeeded.

        Raises OperationEndedError where it failed or was cancelled, and TimeoutError where it goes on for longer than
        `within`; None: it is waited for as long as it takes.
        """
        request = operations.WaitOperationRequest(
            team_id=operation.team_id, operation_id=operation.operation_id, wait=duration(LOOK)
        )
        async with asyncio.timeout(None if within is None else within.total_seconds()):
            while not has_ended(operation):
                operation = (await self.operations(service).WaitOperation(request)).operation
        return operation


class _Unary:
    """A method with one request and one answer."""

    def __init__(self, path: str, inner: Any) -> None:
        self._rpc = Rpc.of(path)
        self._inner = inner

    async def __call__(self, request: Any, timeout: float | None = None, **options: Any) -> Any:  # noqa: ASYNC109 - as gRPC names it
        request, attempts = self._rpc.prepared(request), Attempts(self._rpc, timeout)
        while True:
            try:
                return await self._inner(request, timeout=attempts.left_s(), **options)
            except grpc.aio.AioRpcError as error:
                wait_s = attempts.wait_s(error)
            await asyncio.sleep(wait_s)


class _Upload:
    """A method whose request comes in parts, which are there once: nothing is made again."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __call__(self, parts: Any, timeout: float | None = None, **options: Any) -> Any:  # noqa: ASYNC109 - as gRPC names it
        try:
            return await self._inner(parts, timeout=timeout or STREAM_TIMEOUT_S, **options)
        except grpc.aio.AioRpcError as error:
            raise errors.of(remote_error(error)) from error


class _Parts:
    """A method whose answer comes in parts."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __call__(
        self,
        request: Any,
        timeout: float | None = None,  # noqa: ASYNC109 - as gRPC names it
        **options: Any,
    ) -> AsyncIterator[Any]:
        try:
            async for part in self._inner(request, timeout=timeout or STREAM_TIMEOUT_S, **options):
                yield part
        except grpc.aio.AioRpcError as error:
            raise errors.of(remote_error(error)) from error


class _Channel(WrappedChannel):
    """A channel whose stubs' methods are those above."""

    def unary_unary(self, method: str, *codec: Any, **options: Any) -> Any:
        return _Unary(method, self._inner.unary_unary(method, *codec, **options))

    def unary_stream(self, method: str, *codec: Any, **options: Any) -> Any:
        return _Parts(self._inner.unary_stream(method, *codec, **options))

    def stream_unary(self, method: str, *codec: Any, **options: Any) -> Any:
        return _Upload(self._inner.stream_unary(method, *codec, **options))

    def stream_stream(self, method: str, *codec: Any, **options: Any) -> Any:
        return _Parts(self._inner.stream_stream(method, *codec, **options))
