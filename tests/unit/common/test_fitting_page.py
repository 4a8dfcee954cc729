"""A page too large for a message is asked for again with fewer rows."""

import grpc
import grpc.aio
import pytest
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2, status_pb2

from libs.common.rpc.client import fitting_page
from libs.common.rpc.errors import ERROR_DOMAIN, STATUS_KEY


def refusal(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())


def overload() -> grpc.aio.AioRpcError:
    info = Any()
    info.Pack(error_details_pb2.ErrorInfo(domain=ERROR_DOMAIN, reason="OVERLOADED"))
    status = status_pb2.Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], details=[info])
    trailing = grpc.aio.Metadata((STATUS_KEY, status.SerializeToString()))
    return grpc.aio.AioRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.aio.Metadata(), trailing)


class Rows:
    """Answers up to `fit` rows."""

    def __init__(self, fit: int, code: grpc.StatusCode = grpc.StatusCode.RESOURCE_EXHAUSTED) -> None:
        self.fit = fit
        self.code = code
        self.asked: list[int] = []

    async def read(self, rows_max: int) -> int:
        self.asked.append(rows_max)
        if rows_max > self.fit:
            raise refusal(self.code)
        return rows_max


async def test_half_as_many_rows_are_asked_for_until_they_fit() -> None:
    rows = Rows(600)
    assert await fitting_page(rows.read, 2_000) == 500
    assert rows.asked == [2_000, 1_000, 500]


async def test_a_single_row_that_does_not_fit_is_told() -> None:
    rows = Rows(0)
    with pytest.raises(grpc.aio.AioRpcError):
        await fitting_page(rows.read, 5)
    assert rows.asked == [5, 2, 1]


async def test_another_fault_is_told_at_once() -> None:
    rows = Rows(0, grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(grpc.aio.AioRpcError):
        await fitting_page(rows.read, 2_000)
    assert rows.asked == [2_000]


async def test_an_overloaded_service_is_not_asked_again_at_once() -> None:
    asked: list[int] = []

    async def read(rows_max: int) -> int:
        asked.append(rows_max)
        raise overload()

    with pytest.raises(grpc.aio.AioRpcError):
        await fitting_page(read, 2_000)
    assert asked == [2_000]
