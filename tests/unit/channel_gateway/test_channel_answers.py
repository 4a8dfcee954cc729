"""What a channel's answer may do to an account: bounded waits, and no token in what people read."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from services.channel_gateway.clients.channels.base import WAIT_MAX_S, Verdict
from services.channel_gateway.clients.channels.line import LineAdapter
from services.channel_gateway.clients.channels.pages import PageAdapter
from services.channel_gateway.clients.channels.transport import Reply, Transport
from services.channel_gateway.clients.channels.whatsapp import WhatsappAdapter
from services.channel_gateway.domain.model import Channel
from services.channel_gateway.worker.attempts import LINES_AT_ONCE, AttemptClassifier
from services.channel_gateway.worker.lanes import Lane
from tests.unit.channel_gateway.build import account, job

if TYPE_CHECKING:
    from yarl import URL

BASE = "http://127.0.0.1"


class _Answering(Transport):
    """Answers every request alike."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self._reply = reply

    async def request(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply:
        return self._reply


def _refusal(status: int, message: str, code: int, headers: Mapping[str, str]) -> Transport:
    return _Answering(
        Reply(status, {"message": message, "error": {"code": code, "message": message}}, headers)
    )


@pytest.mark.parametrize("wish", ["3601", "99999999999", "9" * 400])
@pytest.mark.parametrize("channel", [Channel.LINE, Channel.WHATSAPP])
async def test_a_channel_holds_an_account_for_an_hour_at_most(channel: Channel, wish: str) -> None:
    kind = LineAdapter if channel is Channel.LINE else WhatsappAdapter
    adapter = kind(_refusal(429, "slow down", 4, {"Retry-After": wish}), BASE)
    attempt = await adapter.send(account(channel), job(channel=channel), 0)
    assert (attempt.verdict, attempt.wait_s) == (Verdict.RETRY, WAIT_MAX_S)


@pytest.mark.parametrize(
    ("minutes", "wait_s"),
    [("61", WAIT_MAX_S), ("1e300", WAIT_MAX_S), ("9" * 400, WAIT_MAX_S), ("2", 120.0), ("-5", 0.0)],
)
async def test_usage_minutes_hold_an_account_for_an_hour_at_most(minutes: str, wait_s: float) -> None:
    usage = f'{{"1":[{{"estimated_time_to_regain_access":{minutes}}}]}}'
    transport = _refusal(400, "slow down", 80007, {"X-Business-Use-Case-Usage": usage})
    attempt = await WhatsappAdapter(transport, BASE).send(account(Channel.WHATSAPP), job(), 0)
    assert (attempt.verdict, attempt.wait_s) == (Verdict.RETRY, wait_s)


@pytest.mark.rule("C-04c")
@pytest.mark.parametrize(
    ("status", "doubtful"),
    [*((status, True) for status in (500, 502, 503, 504, 599)), (429, False), (401, False), (400, False)],
)
async def test_line_may_have_taken_what_it_answers_with_a_fault_of_its_own(
    status: int, doubtful: bool
) -> None:
    """It is repeated under its key, and is unknown, not failed, where that comes to an end."""
    adapter = LineAdapter(_refusal(status, "oops", 0, {}), BASE)
    attempt = await adapter.send(account(), job(), 0)
    assert attempt.doubtful is doubtful
    assert (attempt.verdict is Verdict.RETRY) is (doubtful or status == 429)


@pytest.mark.rule("C-04c")
@pytest.mark.parametrize("code", [1, 2, 131000, 131016, 133004])
@pytest.mark.parametrize("status", [400, 500, 503])
async def test_whatsapps_own_word_that_it_failed_is_no_doubt(code: int, status: int) -> None:
    """With a code the channel says that it did not take the message, and the table says to try again."""
    adapter = WhatsappAdapter(_refusal(status, "try again", code, {}), BASE)
    attempt = await adapter.send(account(Channel.WHATSAPP), job(channel=Channel.WHATSAPP), 0)
    assert (attempt.verdict, attempt.doubtful) == (Verdict.RETRY, False)


@pytest.mark.parametrize("channel", [Channel.LINE, Channel.WHATSAPP])
async def test_a_token_that_a_channel_repeats_is_not_shown(channel: Channel) -> None:
    owner: Any = account(channel)
    kind = LineAdapter if channel is Channel.LINE else WhatsappAdapter
    adapter = kind(_refusal(401, f"Malformed access token {owner.connection.access_token}", 190, {}), BASE)
    attempt = await adapter.send(owner, job(channel=channel), 0)
    assert (attempt.account_unusable, attempt.detail) == (True, "Malformed access token [hidden]")
    assert await adapter.check(owner) == (False, "Malformed access token [hidden]")


ANSWERS: Mapping[Channel, tuple[Mapping[str, Any], Mapping[str, str]]] = {
    Channel.LINE: ({"message": "oops"}, {"X-Line-Request-Id": "9c8b"}),
    Channel.WHATSAPP: ({"error": {"code": 131026, "message": "oops", "fbtrace_id": "9c8b"}}, {}),
    Channel.MESSENGER: (
        {"error": {"code": 551, "message": "oops", "fbtrace_id": "9c8b"}},
        {"X-FB-Trace-ID": "0"},
    ),
    Channel.INSTAGRAM: ({}, {"X-FB-Trace-ID": "9c8b"}),
}


@pytest.mark.parametrize("channel", ANSWERS)
async def test_what_a_channel_calls_its_refusal_is_in_the_log_beside_the_send(channel: Channel) -> None:
    """Their support asks for it."""
    body, headers = ANSWERS[channel]
    transport = _Answering(Reply(400, dict(body), headers))
    adapter: Any = {Channel.LINE: LineAdapter, Channel.WHATSAPP: WhatsappAdapter}.get(channel, PageAdapter)
    made = PageAdapter(transport, channel, BASE) if adapter is PageAdapter else adapter(transport, BASE)
    refused = job(channel=channel)
    attempt = await made.send(account(channel), refused, 0)
    assert attempt.answer_id == "9c8b"
    settled: list[Any] = []
    recorder: Any = SimpleNamespace(settle=lambda *what: settled.append(what), trouble=lambda *_: None)
    classifier = AttemptClassifier(recorder, SimpleNamespace(), random.Random(1))
    with capture_logs() as lines:
        for _ in range(1_000):
            classifier.classify(Lane(account(channel), 0.0), refused, attempt)
    first = lines[0]
    assert (first["event"], first["answer_id"]) == ("a message was refused", "9c8b")
    assert first["effect_key"] == str(refused.effect_key)
    assert len(settled) == 1_000
    assert LINES_AT_ONCE <= len(lines) < 100, "a broadcast that is refused does not fill the log"


@pytest.mark.rule("C-04c")
@pytest.mark.parametrize("channel", list(Channel))
@pytest.mark.parametrize("body", [{}, {"messages": []}, {"message_id": ""}, {"sentMessages": [{}]}])
async def test_an_answer_of_success_that_names_no_message_leaves_open_whether_it_was_taken(
    channel: Channel, body: dict[str, Any]
) -> None:
    """A proxy says so, or a page before the network: not the channel. Under LINE's key it is asked again."""
    transport = _Answering(Reply(200, body, {}))
    adapter: Any = {Channel.LINE: LineAdapter, Channel.WHATSAPP: WhatsappAdapter}.get(channel)
    made = adapter(transport, BASE) if adapter is not None else PageAdapter(transport, channel, BASE)
    attempt = await made.send(account(channel), job(channel=channel), 0)
    verdict = Verdict.RETRY if channel is Channel.LINE else Verdict.UNKNOWN
    assert (attempt.verdict, attempt.doubtful) == (verdict, True)
