"""A call about many things that are too large together is made about fewer of them."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
import pytest

from libs.common.rpc.client import fitting_calls

_ANSWER_MAX = 10


class Sizes:
    """Answers with the items, which are sizes, where all together fit."""

    def __init__(self, code: grpc.StatusCode = grpc.StatusCode.RESOURCE_EXHAUSTED) -> None:
        self.code = code
        self.asked: list[int] = []

    async def ask(self, sizes: Sequence[int]) -> list[int]:
        self.asked.append(len(sizes))
        if sum(sizes) > _ANSWER_MAX:
            raise grpc.aio.AioRpcError(self.code, grpc.aio.Metadata(), grpc.aio.Metadata())
        return list(sizes)


async def test_what_fits_is_asked_in_calls_of_the_most_items() -> None:
    peer = Sizes()
    assert await fitting_calls(peer.ask, [1] * 7, 3) == [1] * 7
    assert peer.asked == [3, 3, 1]


async def test_what_does_not_fit_is_asked_in_smaller_calls_and_every_answer_is_in_its_place() -> None:
    peer = Sizes()
    sizes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert await fitting_calls(peer.ask, sizes, 500) == sizes
    assert peer.asked == [10, 5, 2, 2, 2, *[1] * 6]


@pytest.mark.parametrize("sizes", [[11], [1, 11, 1]])
async def test_one_that_is_too_large_alone_is_told(sizes: list[int]) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await fitting_calls(Sizes().ask, sizes, 500)


async def test_another_refusal_is_told_at_once() -> None:
    peer = Sizes(grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(grpc.aio.AioRpcError):
        await fitting_calls(peer.ask, [6, 6], 500)
    assert peer.asked == [2]


async def test_a_peer_that_leaves_something_out_is_at_fault() -> None:
    async def ask(sizes: Sequence[int]) -> list[int]:
        return [0] * (len(sizes) - 1)

    with pytest.raises(ValueError, match="2 answers about 3 items"):
        await fitting_calls(ask, [1, 2, 3], 500)


async def test_about_nothing_nobody_is_asked() -> None:
    peer = Sizes()
    assert await fitting_calls(peer.ask, [], 500) == []
    assert peer.asked == []
