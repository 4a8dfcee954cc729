"""The WhatsApp emulator over HTTP."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from libs.emulators.config import EmulatorSettings
from libs.emulators.journal import read_journal
from libs.emulators.server import Running, running

TO = "+447000017850"
WA_ID = "447000017850"
NUMBER = "100000000000001"
WABA = "200000000000001"
BODY = "Hi {{1}}, you have {{2}} points."
WELCOME = {"name": "welcome", "language": "en", "components": [{"type": "BODY", "text": BODY}]}


class WhatsApp:
    """The calls of an adapter and of an operator."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url

    async def send(self, kind: str, content: Any, number: str = NUMBER, **more: Any) -> tuple[int, Any]:
        body = {"messaging_product": "whatsapp", "to": TO, "type": kind, kind: content, **more}
        return await self.call("POST", f"/v25.0/{number}/messages", json=body)

    async def template(self, *texts: str, name: str = "welcome", **more: Any) -> tuple[int, Any]:
        parameters = [{"type": "text", "text": text} for text in texts]
        components = [{"type": "body", "parameters": parameters}]
        content = {"name": name, "language": {"code": "en"}, "components": components}
        return await self.send("template", content, **more)

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.http.request(method, self.url + path, **options) as answer:
            return answer.status, await answer.json()


@pytest.fixture
def whatsapp(http: aiohttp.ClientSession, emulators: Running) -> WhatsApp:
    """The emulator that runs."""
    return WhatsApp(http, emulators.urls["whatsapp"])


def code_of(answer: Any) -> int:
    return int(answer["error"]["code"])


async def test_a_template_is_accepted_and_written_down(whatsapp: WhatsApp, tmp_path: Path) -> None:
    await whatsapp.call("POST", "/_emulator/templates", json=WELCOME)
    status, answer = await whatsapp.template("Mei", "120", biz_opaque_callback_data="snd_1")
    assert status == 200
    assert answer["contacts"] == [{"input": TO, "wa_id": WA_ID}]
    [record] = read_journal(tmp_path / "whatsapp.jsonl")
    assert answer["messages"] == [{"id": record["id"], "message_status": "accepted"}]
    assert record["id"].startswith("wamid.")
    assert (record["recipient"], record["callback_data"]) == (WA_ID, "snd_1")


async def test_who_has_no_token_or_another_number_is_refused(whatsapp: WhatsApp) -> None:
    headers = {"Authorization": "Bearer wrong"}
    status, answer = await whatsapp.call("POST", f"/v25.0/{NUMBER}/messages", json={}, headers=headers)
    assert (status, code_of(answer)) == (401, 190)
    status, answer = await whatsapp.send("text", {"body": "hi"}, number="5")
    assert (status, code_of(answer)) == (400, 100)
    status, answer = await whatsapp.call("POST", f"/latest/{NUMBER}/messages", json={})
    assert (status, code_of(answer)) == (400, 100)
    status, answer = await whatsapp.call("POST", f"/v25.0/{NUMBER}/messages", data=b"{")
    assert (status, code_of(answer)) == (400, 100)


async def test_outside_the_window_only_templates_leave(whatsapp: WhatsApp, tmp_path: Path) -> None:
    status, answer = await whatsapp.send("text", {"body": "hi"})
    assert (status, code_of(answer)) == (400, 131047)
    assert list(read_journal(tmp_path / "whatsapp.jsonl")) == []
    await whatsapp.call("POST", "/_emulator/inbound", json={"wa_id": WA_ID})
    assert (await whatsapp.send("text", {"body": "hi"}))[0] == 200
    await whatsapp.call("POST", "/_emulator/clock", json={"advance_seconds": 24 * 3600})
    assert code_of((await whatsapp.send("text", {"body": "hi"}))[1]) == 131047


async def test_templates_are_counted_and_must_be_approved(whatsapp: WhatsApp) -> None:
    status, answer = await whatsapp.template("Mei", "120")
    assert (status, code_of(answer)) == (404, 132001)
    await whatsapp.call("POST", "/_emulator/templates", json=WELCOME)
    assert code_of((await whatsapp.template("Mei"))[1]) == 132000
    for state, code in (("PAUSED", 132015), ("DISABLED", 132016), ("PENDING", 132001)):
        await whatsapp.call("PATCH", "/_emulator/templates", json={"name": "welcome", "status": state})
        assert code_of((await whatsapp.template("Mei", "120"))[1]) == code


async def test_templates_are_managed_as_in_the_graph_api(whatsapp: WhatsApp) -> None:
    path = f"/v25.0/{WABA}/message_templates"
    definition = {**WELCOME, "category": "MARKETING"}
    status, made = await whatsapp.call("POST", path, json=definition)
    assert (status, made["status"]) == (200, "PENDING")
    assert code_of((await whatsapp.call("POST", path, json=definition))[1]) == 100
    await whatsapp.call("PATCH", "/_emulator/templates", json={"name": "welcome", "status": "APPROVED"})
    listed = (await whatsapp.call("GET", f"{path}?name=welcome"))[1]["data"]
    assert [(t["id"], t["status"]) for t in listed] == [(made["id"], "APPROVED")]
    assert (await whatsapp.template("Mei", "120"))[0] == 200
    assert await whatsapp.call("DELETE", f"{path}?name=welcome") == (200, {"success": True})
    assert code_of((await whatsapp.template("Mei", "120"))[1]) == 132001


async def test_people_and_accounts_refuse_by_switch(whatsapp: WhatsApp) -> None:
    await whatsapp.call("POST", "/_emulator/templates", json=WELCOME)
    for state, code in (("opted_out", 131050), ("undeliverable", 131026)):
        await whatsapp.call("POST", "/_emulator/people", json={"wa_id": WA_ID, "state": state})
        assert code_of((await whatsapp.template("Mei", "120"))[1]) == code
    account = {"phone_number_id": NUMBER, "waba_id": WABA, "token": "secret", "payment_ok": False}
    await whatsapp.call("POST", "/_emulator/accounts", json=account)
    assert code_of((await whatsapp.template("Mei", "120"))[1]) == 131042
    health = (await whatsapp.call("GET", f"/v25.0/{NUMBER}?fields=health_status"))[1]["health_status"]
    assert health["can_send_message"] == "BLOCKED"


async def test_one_person_takes_a_burst_and_no_more(whatsapp: WhatsApp) -> None:
    await whatsapp.call("POST", "/_emulator/inbound", json={"wa_id": WA_ID})
    codes = [await whatsapp.send("text", {"body": "hi"}) for _ in range(46)]
    assert [status for status, _ in codes[:45]] == [200] * 45
    assert code_of(codes[45][1]) == 131056


@pytest.mark.parametrize(
    ("fault", "status", "accepted"),
    [
        ({"kind": "error_before"}, 500, 0),
        ({"kind": "rate"}, 400, 0),
        ({"kind": "code", "code": 131049}, 400, 0),
        ({"kind": "timeout_before", "seconds": 0.05}, 500, 0),
        ({"kind": "error_after"}, 500, 1),
        ({"kind": "timeout_after", "seconds": 0.05}, 500, 1),
        ({"kind": "delay", "seconds": 0.05}, 200, 1),
    ],
)
async def test_faults(
    whatsapp: WhatsApp, tmp_path: Path, fault: dict[str, Any], status: int, accepted: int
) -> None:
    await whatsapp.call("POST", "/_emulator/templates", json=WELCOME)
    await whatsapp.call("POST", "/_emulator/faults", json=fault)
    assert (await whatsapp.template("Mei", "120"))[0] == status
    assert len(list(read_journal(tmp_path / "whatsapp.jsonl"))) == accepted
    assert (await whatsapp.template("Mei", "120"))[0] == 200


async def test_a_reset_connection_hides_an_accepted_message(whatsapp: WhatsApp, tmp_path: Path) -> None:
    await whatsapp.call("POST", "/_emulator/templates", json=WELCOME)
    await whatsapp.call("POST", "/_emulator/faults", json={"kind": "reset_after"})
    with pytest.raises(aiohttp.ClientError):
        await whatsapp.template("Mei", "120")
    assert len(list(read_journal(tmp_path / "whatsapp.jsonl"))) == 1


async def test_a_restart_remembers_templates_and_windows(
    emulator_settings: EmulatorSettings, http: aiohttp.ClientSession
) -> None:
    async with running(emulator_settings, ("whatsapp",)) as result:
        first = WhatsApp(http, result.urls["whatsapp"])
        await first.call("POST", "/_emulator/templates", json=WELCOME)
        await first.call("POST", "/_emulator/inbound", json={"wa_id": WA_ID})
    async with running(emulator_settings, ("whatsapp",)) as result:
        second = WhatsApp(http, result.urls["whatsapp"])
        assert (await second.template("Mei", "120"))[0] == 200
        assert (await second.send("text", {"body": "hi"}))[0] == 200


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[str, list[tuple[bytes, str]]]]:
    """A webhook receiver that refuses the first request and keeps the others."""
    got: list[tuple[bytes, str]] = []
    refused: list[int] = []

    async def take(request: web.Request) -> web.Response:
        if not refused:
            refused.append(1)
            return web.Response(status=503)
        got.append((await request.read(), request.headers["X-Hub-Signature-256"]))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", got
    await runner.cleanup()


async def test_statuses_come_back_signed_and_are_repeated(
    emulator_settings: EmulatorSettings,
    http: aiohttp.ClientSession,
    receiver: tuple[str, list[tuple[bytes, str]]],
) -> None:
    url, got = receiver
    settings = emulator_settings.model_copy(update={"whatsapp_webhook_url": url})
    async with running(settings, ("whatsapp",)) as result:
        whatsapp = WhatsApp(http, result.urls["whatsapp"])
        await whatsapp.call("POST", "/_emulator/templates", json=WELCOME)
        _, answer = await whatsapp.template("Mei", "120", biz_opaque_callback_data="snd_1")
        sender = result.emulators["whatsapp"].sender
        assert sender is not None
        await asyncio.wait_for(sender.idle(), 60)
    statuses = [json.loads(body)["entry"][0]["changes"][0]["value"]["statuses"][0] for body, _ in got]
    assert [status["status"] for status in statuses] == ["sent", "delivered"]
    assert {status["id"] for status in statuses} == {answer["messages"][0]["id"]}
    assert {status["biz_opaque_callback_data"] for status in statuses} == {"snd_1"}
    for body, signature in got:
        expected = hmac.new(settings.secret.encode(), body, hashlib.sha256).hexdigest()
        assert signature == f"sha256={expected}"
