"""A page too large for a message is asked for again with fewer rows."""

import grpc
import grpc.aio
import pytest

from libs.common.rpc.client import fitting_page


def refusal(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())


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
