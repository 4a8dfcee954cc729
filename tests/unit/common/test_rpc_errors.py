"""From what is raised to what a caller reads."""

import asyncio
import errno
import socket
from typing import Any

import asyncpg
import grpc
import pytest
import redis.exceptions
from structlog.testing import capture_logs

from libs.common import errors
from libs.common.errors import DomainError, FieldViolation
from libs.common.rpc.errors import RemoteError, remote_error, status_of
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.common.v1 import installation_service_pb2 as pb
from omnijourney.common.v1 import installation_service_pb2_grpc as pb_grpc
from tests.unit.common.conftest import Serve


class Raising(pb_grpc.InstallationServiceServicer):
    """Raises what it is told to; has no SetClock."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def GetLag(self, request: pb.GetLagRequest, context: Any) -> pb.GetLagResponse:  # noqa: N802
        raise self.error

    async def GetClock(self, request: pb.GetClockRequest, context: Any) -> pb.GetClockResponse:  # noqa: N802
        raise self.error


async def _told(serve: Serve, error: Exception) -> RemoteError:
    async with serve(Raising(error)) as stub:  # type: ignore[abstract]  # a part of the service is enough
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetLag(pb.GetLagRequest(), timeout=5)
    return remote_error(caught.value)


@pytest.mark.rule("X-01b")
@pytest.mark.parametrize(
    ("error", "code", "reason", "metadata"),
    [
        (errors.NotFound.of("journey", "7"), "NOT_FOUND", "RESOURCE_NOT_FOUND", {"resource": "journey", "id": "7"}),
        (errors.AlreadyExists.value_taken("phone"), "ALREADY_EXISTS", "DUPLICATE_VALUE", {"field": "phone"}),
        (errors.AlreadyExists.request_id_reused("r"), "ALREADY_EXISTS", "REQUEST_ID_REUSED", {"request_id": "r"}),
        (errors.FailedPrecondition.module_missing("A"), "FAILED_PRECONDITION", "MODULE_MISSING", {"module": "A"}),
        (errors.Aborted.etag_mismatch("7"), "ABORTED", "ETAG_MISMATCH", {"etag": "7"}),
        (errors.Unauthenticated.token_invalid(), "UNAUTHENTICATED", "TOKEN_INVALID", {}),
        (asyncpg.SerializationError("x"), "ABORTED", "WRITE_CONFLICT", {}),
        (asyncpg.DeadlockDetectedError("x"), "ABORTED", "WRITE_CONFLICT", {}),
        (asyncpg.CannotConnectNowError("x"), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", {"dependency": "postgresql"}),
        (redis.exceptions.ConnectionError("x"), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", {"dependency": "redis"}),
        (OSError(errno.EHOSTUNREACH, "x"), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", {"dependency": "server"}),
        (OSError(errno.ENETUNREACH, "x"), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", {"dependency": "server"}),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", {"dependency": "server"}),
        (TimeoutError("x"), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", {"dependency": "server"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)  # fmt: skip
async def test_each_refusal_has_its_status_and_reason(
    serve: Serve, error: Exception, code: str, reason: str, metadata: dict[str, str]
) -> None:
    told = await _told(serve, error)
    assert (told.code.name, told.reason, told.metadata) == (code, reason, metadata)
    assert f"ERROR_REASON_{reason}" in error_reason_pb2.ErrorReason.keys()  # noqa: SIM118 - no dict


@pytest.mark.rule("X-01b")
async def test_all_faults_of_fields_arrive(serve: Serve) -> None:
    violations = [FieldViolation(f"nodes[{n}].delay", "must be positive") for n in range(40)]
    told = await _told(serve, errors.InvalidArgument.of(*violations))
    assert (told.code.name, told.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert list(told.violations) == violations


async def test_more_faults_than_metadata_can_hold_are_counted(serve: Serve) -> None:
    violations = [FieldViolation(f"nodes[{n}].delay", "說明" * 10) for n in range(1_000)]
    told = await _told(serve, errors.InvalidArgument.of(*violations))
    assert 50 < len(told.violations) < 1_000
    assert told.violations[-1].description == f"and {1_001 - len(told.violations)} more"


@pytest.mark.parametrize("text", ["x" * 10_000, "說" * 3_000, "🙂" * 3_000])
async def test_errors_that_repeat_what_was_sent_are_cut_to_what_clients_read(serve: Serve, text: str) -> None:
    told = await _told(serve, errors.NotFound.of("attribute", text))
    assert (told.code.name, told.reason, told.metadata["resource"]) == (
        "NOT_FOUND",
        "RESOURCE_NOT_FOUND",
        "attribute",
    )
    assert told.message.startswith(f"there is no attribute {text[:50]}")
    faults = [FieldViolation(text, "is none"), *[FieldViolation("name", "is required")] * 500]
    told = await _told(serve, errors.InvalidArgument.of(*faults))
    assert (told.code.name, told.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS")


async def test_waits_before_a_repetition_are_told(serve: Serve) -> None:
    told = await _told(serve, errors.ResourceExhausted.overloaded("mails_waiting_max", 1.5))
    assert (told.code.name, told.reason, told.retry_after_s) == ("RESOURCE_EXHAUSTED", "OVERLOADED", 1.5)


@pytest.mark.parametrize(
    "error", [KeyError("customer 0912345678"), RuntimeError("x"), DomainError("OWN", "x")]
)
async def test_the_unforeseen_tells_an_incident_and_nothing_else(serve: Serve, error: Exception) -> None:
    if isinstance(error, DomainError):
        assert status_of(error, "x").code == grpc.StatusCode.UNKNOWN.value[0]
        return
    with capture_logs() as logs:
        told = await _told(serve, error)
    assert (told.code.name, told.reason) == ("INTERNAL", "INTERNAL")
    assert told.message == f"internal error {told.metadata['incident_id']}"
    (log,) = [log for log in logs if log["event"] == "call failed"]
    assert log["incident_id"] == told.metadata["incident_id"]
    assert log["exc_info"] is error


async def test_reasons_outside_the_contract_are_noticed() -> None:
    with capture_logs() as logs:
        status_of(errors.NotFound("NO_SUCH_REASON", "x"), "x")
    assert [log["event"] for log in logs] == ["reason is not in the contract"]


async def test_what_is_not_implemented_says_so(serve: Serve) -> None:
    async with serve(Raising(RuntimeError())) as stub:  # type: ignore[abstract]  # a part of the service is enough
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.SetClock(pb.SetClockRequest(), timeout=5)
    told = remote_error(caught.value)
    assert (told.code.name, told.reason) == ("UNIMPLEMENTED", "NOT_IMPLEMENTED")
    assert told.metadata == {"rpc": "omnijourney.common.v1.InstallationService/SetClock"}


async def test_a_fault_of_a_peer_is_passed_on_as_unavailable(serve: Serve) -> None:
    async def ask_peer() -> Exception:
        async with grpc.aio.insecure_channel("127.0.0.1:9") as channel:
            try:
                await pb_grpc.InstallationServiceStub(channel).GetClock(pb.GetClockRequest(), timeout=2)
            except grpc.aio.AioRpcError as error:
                return error
        raise AssertionError

    told = await _told(serve, await asyncio.wait_for(ask_peer(), 30))
    assert (told.code.name, told.metadata) == ("UNAVAILABLE", {"dependency": "peer service"})
