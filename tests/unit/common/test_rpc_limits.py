"""What a server does before it believes a byte: who is refused unread, sizes, counts, rates, and what is open to all.

Real servers and channels, in the test's own process.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import REGISTRY

from libs.common.rpc import limits, open_services
from libs.common.rpc.errors import RemoteError, remote_error
from omnijourney.points.v1 import points_service_pb2
from omnijourney.segment.v1 import segment_service_pb2
from tests.unit.common.limited_server import TEAM, Served

LAG: Final = "/omnijourney.common.v1.InstallationService/GetLag"
CLOCK: Final = "/omnijourney.common.v1.InstallationService/GetClock"
CUSTOMER: Final = "/omnijourney.segment.v1.SegmentService/GetCustomer"
RECORD: Final = "/omnijourney.segment.v1.SegmentService/RecordEvents"
UPLOAD: Final = "/omnijourney.points.v1.PointsService/UploadImportFile"


Serving = Callable[..., contextlib.AbstractAsyncContextManager[tuple[Served, grpc.aio.Channel]]]


@pytest.fixture
def serving() -> Serving:
    """Starts a server, and gives a channel without a token."""

    @contextlib.asynccontextmanager
    async def started(client_rate: float = 10_000) -> AsyncIterator[tuple[Served, grpc.aio.Channel]]:
        served = Served(client_rate)
        async with served.server, served.channel() as opened:
            yield served, opened
            served.installation.release.set()

    return started


def _as(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),) if token else ()


async def _told(call: Any) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return remote_error(caught.value)


async def _refusal(opened: grpc.aio.Channel, method: str, sent: bytes, token: str) -> RemoteError:
    return await _told(_answer(opened, method, sent, token))


async def _answer(opened: grpc.aio.Channel, method: str, sent: bytes, token: str) -> bytes:
    call: Any = opened.unary_unary(method)
    answer: bytes = await call(sent, timeout=10, metadata=_as(token))
    return answer


async def _is_healthy(served: Served) -> bool:
    async with served.channel() as anybody:
        stub: Any = health_pb2_grpc.HealthStub(anybody)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _padded(size: int) -> bytes:
    """A message of an unknown field."""
    length = size - 6
    parts = [length & 127 | 128, length >> 7 & 127 | 128, length >> 14 & 127 | 128, length >> 21]
    return b"\xfa\x3f" + bytes(parts) + b"a" * length


CUSTOMER_OF_TEAM: Final = segment_service_pb2.GetCustomerRequest(
    team_id=str(TEAM), customer_id=str(TEAM)
).SerializeToString()


@pytest.mark.rule("X-02a")
async def test_who_is_not_let_in_is_refused_unread(serving: Serving) -> None:
    async with serving() as (served, opened):
        # Bytes that are no message, more than any RPC takes: nobody looks.
        sent = b"\xff" * (20 << 20)
        for token in ("", "wrong"):
            told = await _refusal(opened, CUSTOMER, sent, token)
            assert (told.code.name, told.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID")
        told = await _refusal(opened, RECORD, sent, "reader")
        assert (told.code.name, told.reason, told.metadata) == (
            "PERMISSION_DENIED",
            "SCOPE_MISSING",
            {"scope": "WRITE"},
        )
        told = await _refusal(opened, LAG, sent, "team")
        assert (told.code.name, told.metadata) == ("PERMISSION_DENIED", {"scope": "OPERATE"})
        assert served.segment.callers == []
        assert served.installation.entered == 0


async def test_a_stream_is_refused_without_a_message(serving: Serving) -> None:
    async with serving() as (_, opened):
        call: Any = opened.stream_unary(UPLOAD)(timeout=10, metadata=_as("reader"))
        assert (await _told(call)).reason == "SCOPE_MISSING"


@pytest.mark.rule("X-02a")
async def test_a_handler_knows_its_caller(serving: Serving) -> None:
    async with serving() as (served, opened):
        for token in ("team", "service", "reader"):
            await _answer(opened, CUSTOMER, CUSTOMER_OF_TEAM, token)
        assert served.segment.callers == ["team", "service", "reader"]


@pytest.mark.parametrize(
    ("method", "limit"),
    [
        (CLOCK, limits.CLIENT_PLAIN_BYTES_MAX),
        (RECORD, limits.CLIENT_MESSAGE_BYTES_MAX),
    ],
)
async def test_a_client_sends_no_more_than_a_method_takes(serving: Serving, method: str, limit: int) -> None:
    async with serving() as (served, opened):
        await _answer(opened, method, _padded(limit), "operator")
        told = await _refusal(opened, method, _padded(limit + 1), "operator")
        assert (told.code.name, told.reason) == ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE")
        assert told.metadata == {"limit_bytes": str(limit), "bytes": str(limit + 1)}
        assert await _is_healthy(served)


async def test_our_own_services_may_send_more(serving: Serving) -> None:
    async with serving() as (_, opened):
        await _answer(opened, CLOCK, _padded(limits.CLIENT_MESSAGE_BYTES_MAX), "service")


async def test_items_are_counted_before_they_are_looked_at(serving: Serving) -> None:
    async with serving() as (served, opened):
        await _answer(opened, RECORD, b"\x0a\x00" * 500, "operator")
        told = await _refusal(opened, RECORD, b"\x0a\x00" * 501, "operator")
        assert [fault.field for fault in told.violations] == ["events"]
        # Two bytes each, but some 80 in memory: what would take too much is not parsed.
        told = await _refusal(opened, RECORD, b"\x0a\x00" * 2_000_000, "operator")
        assert told.reason == "MESSAGE_TOO_LARGE"
        assert served.segment.callers == ["operator 500"]


async def test_lists_within_an_item_are_counted_too(serving: Serving) -> None:
    async with serving() as (served, opened):
        # An event with an order (field 10) of very many empty lines is refused as a whole.
        lines = b"".join(_field(number, b"") for number in range(1, 30)) * 2_000
        sent = b"".join(_field(number, lines) for number in range(3, 20))
        told = await _refusal(opened, RECORD, _field(1, sent), "operator")
        assert told.code.name in {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}
        assert served.segment.callers == []


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


async def test_a_client_that_calls_too_often_is_told_its_limit(serving: Serving) -> None:
    async with serving(client_rate=1) as (_, opened):
        for _ in range(2):
            await _answer(opened, CUSTOMER, CUSTOMER_OF_TEAM, "team")
        told = await _refusal(opened, CUSTOMER, CUSTOMER_OF_TEAM, "team")
        assert (told.code.name, told.reason) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
        assert told.metadata == {"limit_per_second": "1"}
        assert told.retry_after_s
        await _answer(opened, CUSTOMER, CUSTOMER_OF_TEAM, "reader")
        for _ in range(5):
            await _answer(opened, CUSTOMER, CUSTOMER_OF_TEAM, "service")


async def test_calls_under_way_are_bounded_for_each_client(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CLIENT_CALLS_MAX", 3)
    async with serving() as (served, opened):
        held = [asyncio.ensure_future(_answer(opened, LAG, b"", "operator")) for _ in range(3)]
        while served.installation.entered < 3:
            await asyncio.sleep(0.01)
        told = await _refusal(opened, LAG, b"", "operator")
        assert (told.reason, told.metadata) == ("OVERLOADED", {"limit": "calls under way"})
        assert told.retry_after_s
        await _answer(opened, CUSTOMER, CUSTOMER_OF_TEAM, "team")
        await _answer(opened, CLOCK, b"", "service")
        assert await _is_healthy(served)
        served.installation.release.set()
        await asyncio.gather(*held)
        await _answer(opened, CLOCK, b"", "operator")


async def test_health_answers_when_the_server_takes_no_more_calls(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CALLS_MAX", 2)
    async with serving() as (served, opened):
        held = [
            asyncio.ensure_future(_answer(opened, LAG, b"", token))
            for token in ("operator", "service")
            for _ in range(2)
        ]
        while served.installation.entered < 4:
            await asyncio.sleep(0.01)
        for token in ("operator", "service"):
            assert (await _refusal(opened, LAG, b"", token)).reason == "OVERLOADED"
        assert await _is_healthy(served)
        served.installation.release.set()
        await asyncio.gather(*held)


async def test_a_client_that_sends_nothing_is_not_waited_for(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "READ_MAX_S", 0.1)
    async with serving() as (_, opened):
        silent: list[Any] = [
            opened.stream_unary(CUSTOMER)(timeout=10, metadata=_as("team"))
            for _ in range(3 * limits.CLIENT_READS_MAX)
        ]
        # Others' calls are not behind those, and their own get their turn.
        await _answer(opened, CUSTOMER, CUSTOMER_OF_TEAM, "reader")
        await _answer(opened, CUSTOMER, CUSTOMER_OF_TEAM, "team")
        for call in silent:
            assert (await _told(call)).reason == "DEADLINE_EXCEEDED"


async def test_large_messages_wait_for_room_and_give_it_back(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Three at once would take more than a client has.
    sent = _padded(400_000)
    monkeypatch.setattr(limits, "CLIENT_PARSED_BYTES_MAX", 42 * len(sent))
    monkeypatch.setattr(limits, "PARSED_BYTES_MAX", 84 * len(sent))
    async with serving() as (served, opened):
        await asyncio.gather(*(_answer(opened, RECORD, sent, "operator") for _ in range(20)))
        assert len(served.segment.callers) == 20


@pytest.mark.parametrize("token", ["team", "service"])
async def test_undecodable_parts_of_an_upload_are_the_clients_fault(serving: Serving, token: str) -> None:
    async with serving() as (_, opened):
        before = _answered("UploadImportFile", "INVALID_ARGUMENT")
        good = points_service_pb2.UploadImportFileRequest(team_id=str(TEAM), csv=b"a").SerializeToString()
        with structlog.testing.capture_logs() as logged:
            for parts in ([b"\xff"], [good, b"\x0a\x05ab"], [b"\x0a\x02\xff\xfe"]):
                upload: Any = opened.stream_unary(UPLOAD)
                told = await _told(upload(iter(parts), timeout=10, metadata=_as(token)))
                assert (told.code.name, told.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS")
        assert logged == []
        assert _answered("UploadImportFile", "INVALID_ARGUMENT") == before + 3


def _answered(method: str, code: str) -> float:
    labels = {"service": "omnijourney.points.v1.PointsService", "method": method, "code": code}
    return REGISTRY.get_sample_value("omnijourney_rpc_requests_total", labels) or 0.0


async def test_streams_of_reflection_that_say_nothing_hold_up_nobody(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OPEN_IDLE_MAX_S", 0.2)
    monkeypatch.setattr(open_services, "_PLACES_DEFAULT", (16, 0.1))
    make_stub: Any = reflection_pb2_grpc.ServerReflectionStub  # its types know blocking channels only
    async with serving() as (served, opened), contextlib.AsyncExitStack() as stack:
        silent = []
        for _ in range(4):
            channel = await stack.enter_async_context(served.channel())
            stub = make_stub(channel)
            for _ in range(30):  # all together more than there are places and places to wait
                call = stub.ServerReflectionInfo(timeout=100)
                await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
                silent.append(call)
        assert await _is_healthy(served)
        await _answer(opened, CUSTOMER, CUSTOMER_OF_TEAM, "team")
        stub = make_stub(opened)
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        assert [reply async for reply in stub.ServerReflectionInfo(asked, timeout=20)]
        ended = await asyncio.gather(*(_told(_all_of(call)) for call in silent))
        ends = {(told.code.name, told.reason) for told in ended}
        idle, crowded = ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"), ("RESOURCE_EXHAUSTED", "OVERLOADED")
        assert ends in ({idle}, {idle, crowded})  # a slow machine opens them too slowly to be crowded


async def _all_of(call: Any) -> list[Any]:
    return [reply async for reply in call]


async def test_open_services_take_small_messages(serving: Serving) -> None:
    async with serving() as (served, opened):
        for method in (
            "/grpc.health.v1.Health/Check",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ):
            call: Any = opened.stream_unary(method)
            told = await _told(call(iter([_padded(100_000)]), timeout=10))
            assert told.reason == "MESSAGE_TOO_LARGE"
            told = await _told(call(iter([b"\xff"]), timeout=10))
            assert told.code.name == "INVALID_ARGUMENT"
        assert await _is_healthy(served)


@pytest.mark.rule("X-01a")
async def test_health_can_be_watched(serving: Serving) -> None:
    states = health_pb2.HealthCheckResponse
    async with serving() as (served, opened):
        stub: Any = health_pb2_grpc.HealthStub(opened)
        request = health_pb2.HealthCheckRequest(service="omnijourney.points.v1.PointsService")
        watches = [stub.Watch(request, timeout=20) for _ in range(2)]
        unknown = stub.Watch(health_pb2.HealthCheckRequest(service="nothing"), timeout=20)
        assert [(await watch.read()).status for watch in watches] == [states.SERVING] * 2
        assert (await unknown.read()).status == states.SERVICE_UNKNOWN
        draining = asyncio.create_task(served.server.drain(grace_s=0.5))
        assert [(await watch.read()).status for watch in watches] == [states.NOT_SERVING] * 2
        await draining
