"""Writes that are answered once."""

import asyncio
from uuid import UUID

import pytest

from libs.common.db import requests
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.requests import answer_once, forget_answers
from libs.common.errors import AlreadyExists, InvalidArgument
from omnijourney.common.v1 import installation_service_pb2 as pb
from omnijourney.segment.v1.api_client_pb2 import ApiClient
from omnijourney.segment.v1.segment_service_pb2 import CreateApiClientResponse

TEAM, OTHER = UUID(int=1), UUID(int=2)


class Request:
    """A write with a request id."""

    def __init__(self, request_id: str, content: str = "x") -> None:
        self.request_id = request_id
        self.content = content

    def SerializeToString(self, *, deterministic: bool = False) -> bytes:  # noqa: N802 - protobuf's name
        assert deterministic
        return self.content.encode()


class Work:
    """Counts how often it was done, and answers with the count."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.done = 0
        self.fault = fault

    async def __call__(self, connection: Connection) -> pb.SetClockResponse:
        await asyncio.sleep(0.02)
        if self.fault:
            raise self.fault
        self.done += 1
        return pb.SetClockResponse(version=self.done)


async def _ask(pool: Pool, request: Request, work: Work, team: UUID = TEAM) -> int:
    return (await answer_once(pool, team, request, pb.SetClockResponse, work)).version


async def test_the_same_request_gets_the_first_answer(pool: Pool) -> None:
    work = Work()
    assert [await _ask(pool, Request("a"), work) for _ in range(3)] == [1, 1, 1]
    assert await _ask(pool, Request("b"), work) == 2
    assert await _ask(pool, Request("a"), work, OTHER) == 3


async def test_the_same_request_at_once_is_worked_once(pool: Pool) -> None:
    work = Work()
    assert await asyncio.gather(*(_ask(pool, Request("a"), work) for _ in range(6))) == [1] * 6
    assert work.done == 1


async def test_other_content_is_refused(pool: Pool) -> None:
    work = Work()
    await _ask(pool, Request("a"), work)
    with pytest.raises(AlreadyExists) as caught:
        await _ask(pool, Request("a", "other"), work)
    assert (caught.value.reason, caught.value.metadata) == ("REQUEST_ID_REUSED", {"request_id": "a"})


class OtherRequest(Request):
    """Another kind of write."""


async def test_the_same_content_of_another_kind_is_refused(pool: Pool) -> None:
    await _ask(pool, Request("a"), Work())
    with pytest.raises(AlreadyExists):
        await _ask(pool, OtherRequest("a"), Work())


async def test_a_secret_of_an_answer_is_shown_once_and_not_kept(pool: Pool) -> None:
    async def create(connection: Connection) -> CreateApiClientResponse:
        return CreateApiClientResponse(api_client=ApiClient(name="Shop"), token="oj_only-once")

    async def fill_in(connection: Connection, reply: CreateApiClientResponse) -> CreateApiClientResponse:
        reply.token = "again"
        return reply

    request = Request("a")
    first = await answer_once(pool, TEAM, request, CreateApiClientResponse, create)
    assert first.token == "oj_only-once"
    repeated = await answer_once(pool, TEAM, request, CreateApiClientResponse, create)
    assert (repeated.api_client.name, repeated.token) == ("Shop", "")
    filled = await answer_once(pool, TEAM, request, CreateApiClientResponse, create, again=fill_in)
    assert (filled.api_client.name, filled.token) == ("Shop", "again")
    async with transaction(pool, [TEAM]) as connection:
        assert b"only-once" not in await connection.fetchval("SELECT answer FROM request_log")


async def test_refused_work_leaves_the_id_free(pool: Pool) -> None:
    with pytest.raises(ZeroDivisionError):
        await _ask(pool, Request("a"), Work(ZeroDivisionError()))
    assert await _ask(pool, Request("a", "other"), Work()) == 1


@pytest.mark.parametrize("request_id", ["", "x" * 129])
async def test_ids_have_a_length(pool: Pool, request_id: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await _ask(pool, Request(request_id), Work())
    assert [violation.field for violation in caught.value.violations] == ["request_id"]


async def test_old_answers_of_all_teams_are_forgotten(pool: Pool) -> None:
    work = Work()
    for team in (TEAM, OTHER):
        await _ask(pool, Request("a"), work, team)
    assert await forget_answers(pool, older_than_s=60) == 0
    assert await forget_answers(pool, older_than_s=0, row_max=1) == 1
    assert await forget_answers(pool, older_than_s=0) == 1
    assert await _ask(pool, Request("a", "other"), work) == 3


async def test_forgetting_goes_on_until_the_service_stops(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "ANSWERS_KEPT_S", 0.0)
    monkeypatch.setattr(requests, "_FORGET_EVERY_S", 0.01)
    stop = asyncio.Event()
    forgetting = asyncio.create_task(requests.keep_forgetting(pool, stop))
    work = Work()
    await _ask(pool, Request("a"), work)
    async with asyncio.timeout(60):
        while await _ask(pool, Request("a"), work) < 3:
            await asyncio.sleep(0.02)
    stop.set()
    await asyncio.wait_for(forgetting, 60)
