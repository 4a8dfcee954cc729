"""What a channel's answer may do to an account: bounded waits, and no token in what people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from services.channel_gateway.clients.channels.base import WAIT_MAX_S, Verdict
from services.channel_gateway.clients.channels.line import LineAdapter
from services.channel_gateway.clients.channels.transport import Reply, Transport
from services.channel_gateway.clients.channels.whatsapp import WhatsappAdapter
from services.channel_gateway.domain.model import Channel
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


@pytest.mark.parametrize("channel", [Channel.LINE, Channel.WHATSAPP])
async def test_a_token_that_a_channel_repeats_is_not_shown(channel: Channel) -> None:
    owner: Any = account(channel)
    kind = LineAdapter if channel is Channel.LINE else WhatsappAdapter
    adapter = kind(_refusal(401, f"Malformed access token {owner.connection.access_token}", 190, {}), BASE)
    attempt = await adapter.send(owner, job(channel=channel), 0)
    assert (attempt.account_unusable, attempt.detail) == (True, "Malformed access token [hidden]")
    assert await adapter.check(owner) == (False, "Malformed access token [hidden]")
