"""Whatever a channel or a proxy answers, an attempt comes to something: nothing is raised, and nothing takes long."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

import msgspec
import pytest
from aiohttp import web

from services.channel_gateway.clients.channels import transport as channel_transport
from services.channel_gateway.clients.channels.base import Adapter, Attempt, Verdict
from services.channel_gateway.clients.channels.line import LineAdapter
from services.channel_gateway.clients.channels.pages import PageAdapter
from services.channel_gateway.clients.channels.transport import Transport, retry_after_s
from services.channel_gateway.clients.channels.whatsapp import WhatsappAdapter
from services.channel_gateway.domain.model import Channel
from tests.unit.channel_gateway.build import account, job

LINE, WHATSAPP, MESSENGER = Channel.LINE, Channel.WHATSAPP, Channel.MESSENGER
DEEP = b"[" * 5_000 + b"]" * 5_000
BLOCKED = b'{"error":{"code":190,"message":%b}}'


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: Mapping[str, str] = {}


class Odd:
    """A server that answers everything with the same, or for ever."""

    def __init__(self, transport: Transport, url: str) -> None:
        self.answer = Answer(200, b"")
        self.endless = b""
        self._adapters: dict[Channel, Adapter] = {
            LINE: LineAdapter(transport, url),
            WHATSAPP: WhatsappAdapter(transport, url),
            MESSENGER: PageAdapter(transport, MESSENGER, url),
        }

    async def attempt(self, channel: Channel, token: str = "t") -> Attempt:
        asked = account(channel)
        connection = msgspec.structs.replace(asked.connection, access_token=token)
        asked = msgspec.structs.replace(asked, connection=connection)
        return await self._adapters[channel].send(asked, job(channel=channel), 0)

    async def attempts(self, answer: Answer) -> list[Verdict]:
        """On LINE, WhatsApp and Messenger."""
        self.answer = answer
        return [(await self.attempt(channel)).verdict for channel in self._adapters]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if not self.endless:
            return web.Response(
                status=self.answer.status, body=self.answer.body, headers=dict(self.answer.headers)
            )
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(self.endless)
            await asyncio.sleep(0 if len(self.endless) > 1 else 0.05)


@pytest.fixture
async def odd(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Odd]:
    monkeypatch.setattr(channel_transport, "TOTAL_TIMEOUT_S", 1.0)
    served = web.Application()
    async with Transport() as transport:
        runner = web.AppRunner(served, shutdown_timeout=0.1)
        handlers: list[Odd] = []

        async def handle(request: web.Request) -> web.StreamResponse:
            return await handlers[0].handle(request)

        served.router.add_route("*", "/{path:.*}", handle)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        handlers.append(Odd(transport, f"http://{host}:{port}"))
        yield handlers[0]
        await runner.cleanup()


@pytest.mark.rule("C-04c")
@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b""),
        Answer(204, b""),
        Answer(200, b"<html>"),
        Answer(200, b"[1]"),
        Answer(200, DEEP),
        Answer(200, b"\xff\xfe"),
        Answer(200, b'{"messages":null,"message_id":null,"sentMessages":null}'),
        Answer(200, b'{"messages":[{"id":{}}],"message_id":[1],"sentMessages":[{"id":true}]}'),
        Answer(200, b"no gzip", {"Content-Encoding": "gzip"}),
        Answer(200, gzip.compress(b" " * 50_000_000), {"Content-Encoding": "gzip"}),
        Answer(502, b"<html>"),
    ],
)
async def test_what_says_nothing_leaves_open_whether_a_message_was_taken(odd: Odd, answer: Answer) -> None:
    assert await odd.attempts(answer) == [Verdict.RETRY, Verdict.UNKNOWN, Verdict.UNKNOWN]


@pytest.mark.rule("C-03c")
@pytest.mark.parametrize(
    "answer",
    [
        Answer(401, BLOCKED % b'"\xff\xfe"'),
        Answer(401, BLOCKED % b'"\\ud800"'),
        Answer(401, BLOCKED % DEEP),
        Answer(401, b'{"error":{"code":"190"}}'),
        Answer(401, b'{"error":{"code":190.0}}'),
        Answer(200, b'{"error":{"code":190}}'),
    ],
)
@pytest.mark.parametrize("channel", [WHATSAPP, MESSENGER])
async def test_a_code_is_found_in_whatever_it_comes(odd: Odd, answer: Answer, channel: Channel) -> None:
    odd.answer = answer
    attempt = await odd.attempt(channel)
    assert (attempt.verdict, attempt.account_unusable) == (Verdict.FAILED, True)


async def test_a_message_that_was_taken_is_not_refused_by_what_stands_beside_it(odd: Odd) -> None:
    ids = b'"messages":[{"id":"1"}],"message_id":"1","sentMessages":[{"id":1}]'
    assert await odd.attempts(Answer(200, b'{"error":{"code":190},%b}' % ids)) == [Verdict.SENT] * 3


@pytest.mark.rule("C-04c")
@pytest.mark.parametrize("endless", [b" ", b" " * 1_000_000])
async def test_an_answer_without_end_is_not_waited_for(odd: Odd, endless: bytes) -> None:
    odd.endless = endless
    attempt = await asyncio.wait_for(odd.attempt(WHATSAPP), 10.0)
    assert (attempt.verdict, attempt.doubtful) == (Verdict.UNKNOWN, True)


@pytest.mark.parametrize("token", ["a\nb", "a\x00b", "a\rb"])
async def test_a_token_that_no_request_can_carry_sends_nothing(odd: Odd, token: str) -> None:
    for channel in (LINE, WHATSAPP, MESSENGER):
        attempt = await odd.attempt(channel, token)
        assert (attempt.verdict, attempt.doubtful) == (Verdict.RETRY, False)
        assert token not in attempt.detail


@pytest.mark.rule("C-03a")
@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("Tue, 03 Mar 2026 12:01:00 GMT", 60.0),
        ("Tue, 03 Mar 2026 11:00:00 GMT", 0.0),
        ("Tue, 03 Mar 99999 11:00:00 GMT", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("\u0665", 0.0),
        ("", 0.0),
    ],
)
def test_a_wish_to_wait_is_seconds_or_a_time(value: str, wait_s: float) -> None:
    headers = {"Retry-After": value, "Date": "Tue, 03 Mar 2026 12:00:00 GMT"}
    assert retry_after_s(headers) == wait_s
    assert retry_after_s({"Retry-After": value}) == (wait_s if value[:1] in "17" else 0.0)


async def test_usage_that_cannot_be_read_is_none(odd: Odd) -> None:
    deep = '{"1":[{"a":' + "[" * 1_500 + "]" * 1_500 + "}]}"
    for usage in (deep, '{"1":null}', '{"1":[{"estimated_time_to_regain_access":true}]}'):
        odd.answer = Answer(400, b'{"error":{"code":80007}}', {"X-Business-Use-Case-Usage": usage})
        attempt = await odd.attempt(WHATSAPP)
        assert (attempt.verdict, attempt.wait_s) == (Verdict.RETRY, 0.0)
