"""Effects as calls: one that a service cannot work, or that fits into no message, fails no other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import grpc
import pytest

from omnijourney.internal.v1 import change_pb2, customers_service_pb2, ledger_service_pb2
from omnijourney.points.v1 import posting_pb2
from services.journey.clients import effects as calls
from services.journey.clients.calls import ServiceUnavailable
from services.journey.clients.effects import GrpcEffects
from services.journey.domain import effects as fx

TEAM = UUID(int=1)
NOW = datetime(2026, 3, 4, tzinfo=UTC)
INTERNAL = grpc.StatusCode.INTERNAL


def refusal(code: grpc.StatusCode, details: str = "") -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=details)


class Customers:
    """Applies changes; fails as told for a batch with some customer in it, or one of too many changes."""

    def __init__(self, *poisonous: int, error: grpc.aio.AioRpcError, most: int = 500) -> None:
        self.poisonous = {str(UUID(int=number)) for number in poisonous}
        self.error = error
        self.most = most
        self.calls = 0

    async def ApplyChanges(self, request: Any, timeout: float) -> Any:  # noqa: ASYNC109, N802 - as the stub has it
        self.calls += 1
        if len(request.changes) > self.most or any(c.customer_id in self.poisonous for c in request.changes):
            raise self.error
        applied = change_pb2.ChangeResult(status=change_pb2.CHANGE_STATUS_APPLIED)
        return customers_service_pb2.ApplyChangesResponse(results=[applied] * len(request.changes))


async def ask(customers: Customers, count: int) -> list[fx.Answer | Exception]:
    stub: Any = customers
    effects = [
        fx.ChangeTags(
            key=uuid5(TEAM, str(number)),
            team_id=TEAM,
            customer_id=UUID(int=number),
            depth=0,
            at=NOW,
            add=("a",),
            remove=(),
        )
        for number in range(count)
    ]
    return await GrpcEffects(stub, stub, stub, stub).answer(effects)


async def test_an_effect_that_a_service_cannot_work_fails_alone() -> None:
    customers = Customers(7, 300, error=refusal(INTERNAL, "a fault of ours"))
    answers = await ask(customers, 500)
    failed = {number: answer for number, answer in enumerate(answers) if isinstance(answer, Exception)}
    assert {number: type(fault) for number, fault in failed.items()} == {7: RuntimeError, 300: RuntimeError}
    assert "a fault of ours" in str(failed[7])
    assert customers.calls < 50, "found by halving"


async def test_effects_that_fit_into_no_message_go_in_several() -> None:
    too_large = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max")
    customers = Customers(error=too_large, most=100)
    assert not any(isinstance(answer, Exception) for answer in await ask(customers, 500))
    customers = Customers(3, error=too_large, most=100)
    answers = await ask(customers, 4)
    assert [type(answer) for answer in answers] == [*[fx.ChangeAnswer] * 3, RuntimeError], (
        "it parks its customer"
    )


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (grpc.StatusCode.UNAVAILABLE, "away"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "late"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!"),
    ],
)
async def test_a_service_that_is_away_is_nobodys_fault(
    code: grpc.StatusCode, details: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def once(call: Any) -> Any:
        return await call()

    monkeypatch.setattr(calls, "retrying", once)
    customers = Customers(7, error=refusal(code, details))
    answers = await ask(customers, 500)
    assert all(isinstance(answer, ServiceUnavailable) for answer in answers)
    assert customers.calls == 1


async def test_a_service_that_fails_for_everybody_parks_few() -> None:
    customers = Customers(*range(500), error=refusal(INTERNAL))
    answers = await ask(customers, 500)
    assert all(isinstance(answer, Exception) for answer in answers)
    assert sum(isinstance(answer, ServiceUnavailable) for answer in answers) > 350
    assert customers.calls <= 250


class Ledger:
    """Posts what it is given; some it cannot store."""

    def __init__(self, *failing: int) -> None:
        self.failing = {str(UUID(int=number)) for number in failing}

    async def PostEntries(self, request: Any, timeout: float) -> Any:  # noqa: ASYNC109, N802 - as the stub has it
        return ledger_service_pb2.PostEntriesResponse(
            results=[
                posting_pb2.PostingResult(
                    status=posting_pb2.POSTING_STATUS_FAILED
                    if each.customer_id in self.failing
                    else posting_pb2.POSTING_STATUS_POSTED
                )
                for each in request.postings
            ]
        )


async def test_a_posting_that_points_cannot_store_fails_alone_and_is_not_refused() -> None:
    stub: Any = Ledger(3)
    effects = [
        fx.RefundPoints(uuid5(TEAM, str(number)), TEAM, UUID(int=number), NOW, None, "", "", 1, "USD")
        for number in range(5)
    ]
    answers = await GrpcEffects(stub, stub, stub, stub).answer(effects)
    assert [isinstance(answer, Exception) for answer in answers] == [number == 3 for number in range(5)]
    assert not isinstance(answers[3], ServiceUnavailable)
