"""What our adapter asks and the emulator answers, held to LINE's own OpenAPI files; what those forbid is refused."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from libs.common.clock import SystemClock
from libs.emulators.line_insight import day_of
from libs.emulators.server import Running
from services.channel_gateway.clients.channels.base import Verdict
from services.channel_gateway.clients.channels.line import LineAdapter
from services.channel_gateway.clients.channels.transport import Transport
from services.channel_gateway.domain.model import Account, Connection, ConnectionKind
from services.channel_gateway.domain.opens import OpensQuestion
from tests.integration.emulators.agreement import CARDS, disagreements, mutants, operations_of
from tests.integration.emulators.conftest import Exchange, answer_of, heard_by
from tests.integration.emulators.contracts import Contract, line_contract, line_webhooks
from tests.unit.channel_gateway.build import JOURNEY, account, job, send

pytestmark = pytest.mark.rule("C-01c")

USER: Final = "U" + "1" * 32
ACCOUNT: Final = account(connection=Connection(ConnectionKind.LINE, access_token="secret"))
KINDS: Final = ("push", "reply", "multicast", "broadcast", "narrowcast")
TEXT: Final = {"type": "text", "text": "hi"}
IMAGE: Final = {
    "type": "image",
    "originalContentUrl": "https://example.com/a.png",
    "previewImageUrl": "https://example.com/b.png",
}
ACTIONS: Final = [
    {"type": "uri", "label": "Shop", "uri": "https://example.com"},
    {"type": "postback", "label": "Claim", "data": "c=claim", "displayText": "Claim"},
    {"type": "message", "label": "Yes", "text": "yes"},
    {"type": "clipboard", "label": "Copy", "clipboardText": "SPRING"},
]
HEAD: Final = {"title": "Hi", "text": "Which?", "thumbnailImageUrl": "https://example.com/a.png"}
TEMPLATES: Final = (
    {"type": "buttons", **HEAD, "defaultAction": ACTIONS[0], "actions": ACTIONS},
    {"type": "confirm", "text": "Sure?", "actions": ACTIONS[:2]},
    {"type": "carousel", "columns": [{**HEAD, "actions": ACTIONS[:3]}]},
    {"type": "image_carousel", "columns": [{"imageUrl": "https://example.com/a.png", "action": ACTIONS[0]}]},
)
QUICK: Final = {"items": [{"type": "action", "action": ACTIONS[2]}]}
MESSAGES: Final[tuple[dict[str, Any], ...]] = (
    TEXT,
    {**TEXT, "quickReply": QUICK},
    {"type": "textV2", "text": "hi"},
    IMAGE,
    *({"type": "template", "altText": "Look", "template": each} for each in TEMPLATES),
)


def push(*messages: dict[str, Any]) -> dict[str, Any]:
    """A push."""
    options = {"notificationDisabled": False, "customAggregationUnits": ["unit_1"]}
    return {"to": USER, "messages": list(messages), **options}


BODIES: Final[dict[str, dict[str, Any]]] = {
    **{f"push {number}": push(message) for number, message in enumerate(MESSAGES)},
    "multicast": {**push(TEXT), "to": [USER]},
    "reply": {"replyToken": "reply1", "messages": [TEXT], "notificationDisabled": False},
    **{f"validate/{kind}": {"messages": [TEXT, IMAGE]} for kind in KINDS},
}
"""A valid body of each operation that takes one, by its name and a number."""


TODAY: Final = day_of(SystemClock().now())
YESTERDAY: Final = f"{TODAY - timedelta(days=1):%Y%m%d}"
UNITS: Final = "insight/message/event/aggregation?customAggregationUnit=unit_1&from={0:%Y%m%d}&to={1:%Y%m%d}"
INSIGHT: Final = (
    UNITS.format(TODAY - timedelta(days=40), TODAY - timedelta(days=20)),
    UNITS.format(TODAY - timedelta(days=1), TODAY + timedelta(days=1)),
    *(f"message/delivery/{kind}?date={YESTERDAY}" for kind in ("push", "multicast", "reply", "broadcast")),
    f"insight/message/delivery?date={YESTERDAY}",
    f"insight/message/delivery?date={TODAY:%Y%m%d}",
    f"insight/followers?date={YESTERDAY}",
    "message/aggregation/info",
    "message/aggregation/list?limit=1",
    "followers/ids?limit=10",
)
"""Reads of figures, after messages of `unit_1`."""


@pytest.fixture(scope="module")
def contract(reference_data: Path) -> Contract:
    """LINE's calls."""
    return line_contract(reference_data / "channels")


def path_of(exchange: Exchange) -> str:
    """The file's own path."""
    kind = exchange.path.rpartition("/")[2]
    return exchange.route.replace("{user_id}", "{userId}").replace("{kind}", kind)


def address(name: str) -> str:
    """Where a body of `BODIES` goes."""
    return f"/v2/bot/message/{name.partition(' ')[0]}"


async def drive(adapter: LineAdapter, of: Account = ACCOUNT) -> list[Verdict]:
    """Every call of the adapter, and every kind of card."""
    verdicts = []
    for cards in CARDS.values():
        parts = adapter.writer.write_cards(send(), USER, cards)
        made = job(effect_key=uuid.uuid4(), recipient=USER, parts=parts)
        verdicts += [(await adapter.send(of, made, number)).verdict for number in range(len(parts))]
    await adapter.quota(of)
    await adapter.check(of)
    await adapter.opens(of, OpensQuestion(JOURNEY, "hello", date(2026, 3, 1), date(2026, 3, 30)))
    return verdicts


async def test_what_the_adapter_asks_and_hears_is_as_the_file_says(
    exchanges: list[Exchange], emulators: Running, contract: Contract
) -> None:
    async with Transport() as transport:
        assert set(await drive(LineAdapter(transport, emulators.urls["line"]))) == {Verdict.SENT}
    assert {f"{each.method} {path_of(each)}" for each in exchanges} == {
        "post /v2/bot/message/push",
        "get /v2/bot/message/quota",
        "get /v2/bot/message/quota/consumption",
        "get /v2/bot/info",
        "get /v2/bot/insight/message/event/aggregation",
    }
    assert disagreements(exchanges, contract, path_of, "ErrorResponse") == {}


async def test_every_refusal_is_as_the_file_says(
    exchanges: list[Exchange], emulators: Running, http: aiohttp.ClientSession, contract: Contract
) -> None:
    url = emulators.urls["line"]
    kinds = ("error_before", "error_after", "timeout_before", "timeout_after", "rate", "quota")
    faults = [{"kind": kind, "seconds": 0.01} for kind in kinds]
    faults += [{"kind": "code", "status": status, "text": "No"} for status in (400, 401, 403, 409, 410, 429)]
    key = {"X-Line-Retry-Key": str(uuid.uuid4())}
    for fault in faults:
        await answer_of(http.post(f"{url}/_emulator/faults", json=fault))
        await answer_of(http.post(f"{url}/v2/bot/message/push", json=push(TEXT)))
    for headers in (key, key, {"X-Line-Retry-Key": "none"}, {"Authorization": "Bearer wrong"}):
        await answer_of(http.post(f"{url}/v2/bot/message/push", json=push(TEXT), headers=headers))
    for state in ("unknown", "blocked"):
        await answer_of(http.post(f"{url}/_emulator/people", json={"user_id": USER, "state": state}))
        await answer_of(http.post(f"{url}/v2/bot/message/push", json=push(TEXT)))
        await answer_of(http.get(f"{url}/v2/bot/profile/{USER}"))
    await answer_of(http.post(f"{url}/v2/bot/message/reply", json=BODIES["reply"]))
    await answer_of(http.post(f"{url}/v2/bot/message/push", data=b"{"))  # of no type
    plan = {"channel_id": "1000000001", "token": "secret", "quota": 1}
    await answer_of(http.post(f"{url}/_emulator/accounts", json=plan))
    await answer_of(http.post(f"{url}/v2/bot/message/push", json=push(TEXT)))
    await answer_of(http.get(f"{url}/v2/bot/message/quota"))
    assert {each.status for each in exchanges} == {200, 400, 401, 403, 404, 409, 410, 415, 429, 500}
    assert disagreements(exchanges, contract, path_of, "ErrorResponse") == {}


async def test_every_operation_that_the_emulator_has_is_one_of_the_file_and_valid_both_ways(
    exchanges: list[Exchange], emulators: Running, http: aiohttp.ClientSession, contract: Contract
) -> None:
    url = emulators.urls["line"]
    async with heard_by(http, url):
        source = {"type": "user", "userId": USER}
        event = {"replyToken": "reply1", "source": source}
        await answer_of(http.post(f"{url}/_emulator/events", json={"events": [event]}))
        for name, body in BODIES.items():
            assert (await answer_of(http.post(url + address(name), json=body)))[0] == 200, name
    people = [f"U{number:032x}" for number in range(20)]
    for person in people:
        await answer_of(http.post(f"{url}/v2/bot/message/push", json={**push(TEXT), "to": person}))
    seen = {"user_ids": people, "url": "https://example.com"}
    assert (await answer_of(http.post(f"{url}/_emulator/opens", json=seen)))[1] == {"seen": 20}
    for path in ("message/quota", "message/quota/consumption", "info", f"profile/{USER}", *INSIGHT):
        assert (await answer_of(http.get(f"{url}/v2/bot/{path}")))[0] == 200
    counted = [each.answer for each in exchanges if each.route.endswith("/aggregation")]
    assert [each["overview"]["uniqueImpression"] for each in counted] == [None, 20]
    assert disagreements(exchanges, contract, path_of, "ErrorResponse") == {}
    tried = {f"{each.method} {path_of(each)}" for each in exchanges}
    assert tried <= operations_of(contract)
    routes = {f"{each.method.lower()} {each.path}" for each in emulators.emulators["line"].routes()}
    assert {f"{each.method} {each.route}" for each in exchanges} == {
        each for each in routes if "/_emulator/" not in each
    }


async def test_what_the_file_forbids_or_is_too_long_is_refused(
    emulators: Running, http: aiohttp.ClientSession, contract: Contract
) -> None:
    taken = []
    for name, body in BODIES.items():
        path = address(name)
        for mutant in mutants(body):
            status, answer = await answer_of(http.post(emulators.urls["line"] + path, json=mutant.body))
            if status == 400 and "details" in answer:
                continue
            assert (status, answer.get("message", "")) in {(200, ""), (400, "Invalid reply token")}, answer
            faults = contract.request_faults("post", path, mutant.body)
            taken += [(name, mutant.place, fault) for fault in faults]
            if mutant.change == "long":
                taken.append((name, mutant.place, "too long"))
    assert taken == []


async def test_webhooks_are_as_the_file_says(
    emulators: Running, http: aiohttp.ClientSession, reference_data: Path
) -> None:
    webhooks, url = line_webhooks(reference_data / "channels"), emulators.urls["line"]
    acts = [{"kind": kind, "user_id": USER} for kind in ("follow", "message", "postback", "unfollow")]
    async with heard_by(http, url) as bodies:
        await answer_of(http.post(f"{url}/_emulator/acts", json={"acts": acts}))
        await answer_of(http.post(f"{url}/_emulator/webhooks/again"))
        await answer_of(http.post(f"{url}/_emulator/events", json={"events": []}))
        await answer_of(http.post(f"{url}/_emulator/webhooks/idle"))
    assert [len(body["events"]) for body in bodies] == [4, 4, 0]
    assert [webhooks.request_faults("post", "/callback", body) for body in bodies] == [[], [], []]
