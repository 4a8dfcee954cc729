"""The Messenger and Instagram emulators over HTTP."""

import asyncio
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from libs.emulators.config import EmulatorSettings
from libs.emulators.journal import read_journal
from libs.emulators.server import Running, running

PERSON = "501"
OWNERS = {"messenger": "300000000000001", "instagram": "400000000000001"}


class Pages:
    """The calls of an adapter and of an operator."""

    def __init__(self, http: aiohttp.ClientSession, channel: str, url: str) -> None:
        self.http = http
        self.channel = channel
        self.url = url

    async def send(
        self, message: Any = None, owner: str = "", query: str = "", **more: Any
    ) -> tuple[int, Any]:
        body = {
            "recipient": {"id": PERSON},
            "messaging_type": "UPDATE",
            "message": message or {"text": "hi"},
            **more,
        }
        path = f"/v25.0/{owner or OWNERS[self.channel]}/messages{query}"
        return await self.call("POST", path, json=body)

    async def inbound(self) -> None:
        await self.call("POST", "/_emulator/inbound", json={"person_id": PERSON})

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.http.request(method, self.url + path, **options) as answer:
            return answer.status, await answer.json()


@pytest.fixture(params=list(OWNERS))
def pages(request: pytest.FixtureRequest, http: aiohttp.ClientSession, emulators: Running) -> Pages:
    """Either emulator."""
    return Pages(http, request.param, emulators.urls[request.param])


def code_of(answer: tuple[int, Any]) -> tuple[int, int | None]:
    error = answer[1]["error"]
    return error["code"], error.get("error_subcode")


async def test_a_message_is_accepted_and_written_down(pages: Pages, tmp_path: Path) -> None:
    await pages.inbound()
    status, answer = await pages.send({"text": "hi", "metadata": "snd_1"})
    [record] = read_journal(tmp_path / f"{pages.channel}.jsonl")
    assert (status, answer) == (200, {"recipient_id": PERSON, "message_id": record["id"]})
    assert (record["recipient"], record["callback_data"]) == (PERSON, "snd_1")
    typing = {"recipient": {"id": PERSON}, "sender_action": "typing_on"}
    path = "/v25.0/me/messages"
    assert await pages.call("POST", path, json=typing) == (200, {"recipient_id": PERSON})


async def test_who_has_no_token_another_page_or_no_proof_is_refused(pages: Pages) -> None:
    await pages.inbound()
    headers = {"Authorization": "Bearer wrong"}
    status, answer = await pages.call("POST", "/v25.0/me/messages", json={}, headers=headers)
    assert (status, answer["error"]["code"]) == (401, 190)
    assert code_of(await pages.send(owner="5")) == (100, 33)
    assert code_of(await pages.call("POST", "/latest/me/messages", json={})) == (100, None)
    assert code_of(await pages.call("POST", "/v25.0/me/messages", data=b"{")) == (100, None)
    right = hmac.new(b"emulator-secret", b"secret", hashlib.sha256).hexdigest()
    assert (await pages.send(query=f"?appsecret_proof={right}"))[0] == 200
    _, answer = await pages.send(query=f"?appsecret_proof={'0' * 64}")
    assert answer["error"]["message"] == "Invalid appsecret_proof provided in the API argument"
    account = {"account_id": OWNERS[pages.channel], "token": "secret", "proof_required": True}
    await pages.call("POST", "/_emulator/accounts", json=account)
    assert code_of(await pages.send()) == (100, None)


async def test_people_are_written_to_within_a_day_of_their_last_act(pages: Pages) -> None:
    messenger = pages.channel == "messenger"
    assert code_of(await pages.send()) == ((100, 2018001) if messenger else (100, 2534014))
    await pages.inbound()
    assert (await pages.send())[0] == 200
    await pages.call("POST", "/_emulator/clock", json={"advance_seconds": 24 * 3600})
    assert code_of(await pages.send()) == ((10, 2018278) if messenger else (10, 2534022))
    tagged = {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    assert (await pages.send(**tagged))[0] == 200
    assert code_of(await pages.send(**{**tagged, "tag": "ACCOUNT_UPDATE"}))[0] == 100
    await pages.inbound()
    await pages.call("POST", "/_emulator/people", json={"person_id": PERSON, "state": "blocked"})
    assert code_of(await pages.send()) == (551, 1545041)
    account = {"account_id": OWNERS[pages.channel], "token": "secret", "restricted": True}
    await pages.call("POST", "/_emulator/accounts", json=account)
    assert code_of(await pages.send()) == ((10, 1893063) if messenger else (100, 2534029))


async def test_names_are_told_of_who_wrote_and_of_the_account(pages: Pages) -> None:
    assert (await pages.call("GET", "/v25.0/me"))[1]["id"] == OWNERS[pages.channel]
    assert (await pages.call("GET", f"/v25.0/{PERSON}"))[0] == 400
    await pages.inbound()
    assert (await pages.call("GET", f"/v25.0/{PERSON}"))[1]["id"] == PERSON
    assert await pages.call("POST", "/v25.0/me/subscribed_apps") == (200, {"success": True})


async def test_switched_faults_answer_codes_and_loads(pages: Pages, tmp_path: Path) -> None:
    await pages.inbound()
    for fault, expected in (
        ({"kind": "code", "code": 10, "subcode": 2018108}, (403, 10)),
        ({"kind": "code", "code": 4242, "status": 503}, (503, 4242)),
        ({"kind": "error_before"}, (500, 2)),
        ({"kind": "rate"}, (400, 613)),
    ):
        await pages.call("POST", "/_emulator/faults", json=fault)
        status, answer = await pages.send()
        assert (status, answer["error"]["code"]) == expected
    assert list(read_journal(tmp_path / f"{pages.channel}.jsonl")) == []


async def test_the_rate_is_kept_and_the_wait_told(
    emulator_settings: EmulatorSettings, http: aiohttp.ClientSession
) -> None:
    slow = emulator_settings.model_copy(update={"pages_rate": 1.0})
    async with running(slow, ("messenger",)) as result:
        pages = Pages(http, "messenger", result.urls["messenger"])
        await pages.inbound()
        await pages.send()
        url = f"{pages.url}/v25.0/me/messages"
        body = {"recipient": {"id": PERSON}, "messaging_type": "UPDATE", "message": {"text": "hi"}}
        async with http.post(url, json=body) as answer:
            assert (await answer.json())["error"]["code"] == 613
            usage = json.loads(answer.headers["X-Business-Use-Case-Usage"])
    assert usage[OWNERS["messenger"]][0]["type"] == "messenger"


async def test_echoes_receipts_and_acts_come_back_signed(pages: Pages) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def hear(request: web.Request) -> web.Response:
        body = await request.read()
        digest = hmac.new(b"app-secret", body, hashlib.sha256).hexdigest()
        assert request.headers["X-Hub-Signature-256"] == f"sha256={digest}"
        assert body.isascii()
        heard.put_nowait(json.loads(body))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hear", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hear"
    await pages.call("POST", "/_emulator/webhooks", json={"url": url, "secret": "app-secret"})
    await pages.inbound()
    _, answer = await pages.send({"text": "\u7f8e", "metadata": "snd_1"})
    await pages.call("POST", "/_emulator/receipts", json={"id": answer["message_id"], "kind": "read"})
    await pages.call("POST", "/_emulator/webhooks/idle")
    await runner.cleanup()
    bodies = [heard.get_nowait() for _ in range(heard.qsize())]
    messenger = pages.channel == "messenger"
    assert {body["object"] for body in bodies} == {"page" if messenger else "instagram"}
    events = [body["entry"][0]["messaging"][0] for body in bodies]
    kinds = [next(name for name in ("message", "delivery", "read") if name in event) for event in events]
    assert kinds == ["message", "message", *(["delivery"] if messenger else []), "read"]
    echo = events[1]
    assert (echo["recipient"]["id"], echo["message"]["is_echo"]) == (PERSON, True)
    assert (echo["message"]["metadata"], echo["message"]["mid"]) == ("snd_1", answer["message_id"])
    assert ("watermark" in events[-1]["read"]) == messenger
