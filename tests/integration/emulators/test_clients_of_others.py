"""The channels' own and best-kept clients speak to the emulators: their calls are taken, and the answers understood.

Of Messenger and Instagram there is no such client that is kept up: our own adapter alone speaks to those two.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from libs.common.clock import SystemClock
from libs.emulators.line_insight import day_of
from libs.emulators.server import Running
from services.channel_gateway.clients.channels.line import LineAdapter
from tests.integration.emulators.agreement import CARDS
from tests.integration.emulators.conftest import answer_of, heard_by
from tests.unit.channel_gateway.build import send

line_sdk: Any = pytest.importorskip(
    "linebot.v3.messaging", reason="line-bot-sdk is of the development requirements"
)
line_insight: Any = pytest.importorskip("linebot.v3.insight")
pywa: Any = pytest.importorskip("pywa_async", reason="pywa is of the development requirements")
httpx: Any = pytest.importorskip("httpx")

USER, STRANGER = "U" + "1" * 32, "U" + "2" * 32
KEY = "123e4567-e89b-12d3-a456-426614174000"
TO = "447000017850"

Call = Callable[[Any], Awaitable[Any]]


# ---- LINE, by its own


@pytest.fixture
async def line(emulators: Running) -> AsyncIterator[Any]:
    """The client, of the emulators' first channel."""
    configuration = line_sdk.Configuration(access_token="secret", host=emulators.urls["line"])
    async with line_sdk.AsyncApiClient(configuration) as client:
        yield line_sdk.AsyncMessagingApi(client)


def push(*messages: Any, to: str = USER) -> Any:
    """A push."""
    return line_sdk.PushMessageRequest(to=to, messages=list(messages))


TEXT = line_sdk.TextMessage(text="\U0001f600 hi")
CARD = line_sdk.TemplateMessage(
    alt_text="Choose",
    template=line_sdk.ButtonsTemplate(
        text="Choose",
        title="Hi",
        thumbnail_image_url="https://example.com/a.png",
        actions=[
            line_sdk.URIAction(label="Shop", uri="https://example.com"),
            line_sdk.PostbackAction(label="Claim", data="c=claim", display_text="Claim"),
            line_sdk.MessageAction(label="Yes", text="yes"),
        ],
    ),
)
IMAGE = line_sdk.ImageMessage(
    original_content_url="https://example.com/a.png", preview_image_url="https://example.com/b.png"
)
REPLIES = line_sdk.QuickReply(
    items=[
        line_sdk.QuickReplyItem(action=line_sdk.PostbackAction(label="Claim", data="c=claim")),
        line_sdk.QuickReplyItem(action=line_sdk.MessageAction(label="Yes", text="yes")),
    ]
)
LINE_CALLS: dict[str, tuple[Call, Callable[[Any], Any], Any]] = {
    "push": (lambda api: api.push_message(push(TEXT, IMAGE, CARD)), lambda a: len(a.sent_messages), 3),
    "push with a key": (
        lambda api: api.push_message(push(TEXT), x_line_retry_key=KEY),
        lambda a: len(a.sent_messages),
        1,
    ),
    "quick replies": (
        lambda api: api.push_message(push(line_sdk.TextMessage(text="Which?", quick_reply=REPLIES))),
        lambda a: len(a.sent_messages),
        1,
    ),
    "multicast": (
        lambda api: api.multicast(line_sdk.MulticastRequest(to=[USER, STRANGER], messages=[TEXT])),
        lambda a: a,
        {},
    ),
    "validate": (
        lambda api: api.validate_push(line_sdk.ValidateMessageRequest(messages=[CARD])),
        lambda a: a,
        None,
    ),
    "quota": (lambda api: api.get_message_quota(), lambda a: a.type.value, "none"),
    "consumption": (lambda api: api.get_message_quota_consumption(), lambda a: a.total_usage, 0),
    "profile": (lambda api: api.get_profile(USER), lambda a: a.user_id, USER),
}


@pytest.mark.rule("C-01d")
@pytest.mark.parametrize("name", list(LINE_CALLS))
async def test_a_call_of_lines_own_client_is_answered_as_it_expects(line: Any, name: str) -> None:
    call, seen, expected = LINE_CALLS[name]
    assert seen(await call(line)) == expected


@pytest.mark.rule("C-01d")
@pytest.mark.parametrize("name", list(CARDS))
def test_lines_own_client_reads_what_our_adapter_writes(name: str) -> None:
    for part in LineAdapter.writer.write_cards(send(), USER, CARDS[name]):
        read = line_sdk.PushMessageRequest.from_dict(json.loads(part))
        assert json.loads(read.to_json()) == {"notificationDisabled": False, **json.loads(part)}


@pytest.mark.rule("C-01d")
async def test_lines_own_client_reads_the_refusals(line: Any, emulators: Running) -> None:
    await line.push_message(push(TEXT), x_line_retry_key=KEY)
    with pytest.raises(line_sdk.ApiException) as again:
        await line.push_message(push(TEXT), x_line_retry_key=KEY)
    assert again.value.status == 409
    assert again.value.headers["x-line-accepted-request-id"]
    with pytest.raises(line_sdk.ApiException) as long:
        await line.push_message(push(line_sdk.TextMessage(text="x" * 5_001)))
    assert (long.value.status, "messages[0].text" in long.value.body) == (400, True)
    stranger = line_sdk.Configuration(access_token="wrong", host=emulators.urls["line"])
    async with line_sdk.AsyncApiClient(stranger) as client:
        with pytest.raises(line_sdk.ApiException) as refused:
            await line_sdk.AsyncMessagingApi(client).push_message(push(TEXT))
    assert refused.value.status == 401


@pytest.mark.rule("C-01d")
async def test_lines_own_client_reads_what_was_seen_and_what_is_withheld(
    line: Any, emulators: Running, http: aiohttp.ClientSession
) -> None:
    people, today = [f"U{number:032x}" for number in range(20)], day_of(SystemClock().now())
    for person in people:
        text = line_sdk.PushMessageRequest(
            to=person, messages=[TEXT, CARD], custom_aggregation_units=["unit"]
        )
        await line.push_message(text)
    configuration = line_insight.Configuration(access_token="secret", host=emulators.urls["line"])
    async with line_insight.AsyncApiClient(configuration) as client:
        insight = line_insight.AsyncInsight(client)
        span = f"{today - timedelta(days=1):%Y%m%d}", f"{today + timedelta(days=1):%Y%m%d}"
        for seen, told in ((people[:19], None), (people, 20)):
            async with http.post(f"{emulators.urls['line']}/_emulator/opens", json={"user_ids": seen}):
                found = await insight.get_statistics_per_unit("unit", *span)
            assert found.overview.unique_impression == told
            assert [each.seq for each in found.messages] == [1, 2]
        with pytest.raises(line_insight.ApiException) as long:
            await insight.get_statistics_per_unit("unit", "20260101", "20260201")
        assert long.value.status == 400
        yesterday = f"{today - timedelta(days=1):%Y%m%d}"
        assert (await insight.get_number_of_followers(yesterday)).status == "ready"
        assert (await insight.get_number_of_message_deliveries(f"{today:%Y%m%d}")).status == "unready"
        for _ in range(57):
            await insight.get_statistics_per_unit("unit", *span)
        with pytest.raises(line_insight.ApiException) as often:
            await insight.get_statistics_per_unit("unit", *span)
        assert often.value.status == 429
    assert (await line.get_aggregation_unit_usage()).num_of_custom_aggregation_units == 1
    assert (await line.get_aggregation_unit_name_list()).custom_aggregation_units == ["unit"]
    assert (await line.get_number_of_sent_push_messages(yesterday)).status == "unavailable_for_privacy"
    assert (await line.get_followers()).user_ids == []


# ---- WhatsApp, by the best-kept


@pytest.fixture
async def whatsapp(emulators: Running, http: aiohttp.ClientSession) -> AsyncIterator[Any]:
    """The client, of the emulators' first number; somebody has written just now, and a template is approved."""
    url = emulators.urls["whatsapp"]
    definition = {
        "name": "welcome",
        "language": "en",
        "components": [
            {
                "type": "BODY",
                "text": "Hi {{1}}, you have {{2}} points.",
                "example": {"body_text": [["Mei", "120"]]},
            }
        ],
    }
    for path, body in (("inbound", {"wa_id": TO}), ("templates", definition)):
        async with http.post(f"{url}/_emulator/{path}", json=body) as answer:
            assert answer.status in {201, 202}, await answer.text()
    client = pywa.WhatsApp(phone_id="100000000000001", token="secret", waba_id="200000000000001")
    client.api._session.base_url = httpx.URL(f"{url}/v25.0")
    yield client
    await client.api._session.aclose()


WHATSAPP_CALLS: dict[str, Call] = {
    "text": lambda wa: wa.send_message(TO, "hi", preview_url=True, tracker="snd_1"),
    "answers": lambda wa: wa.send_message(
        TO, "Which?", footer="of both", buttons=[pywa.types.Button("A", "a"), pywa.types.Button("B", "b")]
    ),
    "link": lambda wa: wa.send_message(
        TO, "Look", buttons=pywa.types.URLButton("Shop", "https://example.com")
    ),
    "list": lambda wa: wa.send_message(
        TO,
        "Which?",
        buttons=pywa.types.SectionList(
            "Choose",
            [pywa.types.Section("S", [pywa.types.SectionRow("A", "a"), pywa.types.SectionRow("B", "b")])],
        ),
    ),
    "picture": lambda wa: wa.send_image(TO, "https://example.com/a.png", caption="a"),
    "picture with answers": lambda wa: wa.send_image(
        TO, "https://example.com/a.png", caption="a", buttons=[pywa.types.Button("A", "a")]
    ),
    "template": lambda wa: wa.send_template(
        TO,
        name="welcome",
        language=pywa.types.templates.TemplateLanguage.ENGLISH,
        params=[{"type": "body", "parameters": [{"type": "text", "text": text} for text in ("Mei", "120")]}],
    ),
    "read": lambda wa: wa.mark_message_as_read("wamid.1"),
}


@pytest.mark.rule("C-01d")
@pytest.mark.parametrize("name", list(WHATSAPP_CALLS))
async def test_a_call_of_the_best_kept_client_of_whatsapp_is_taken(
    whatsapp: Any, emulators: Running, http: aiohttp.ClientSession, name: str
) -> None:
    answer = await WHATSAPP_CALLS[name](whatsapp)
    assert answer
    async with http.get(emulators.urls["whatsapp"] + "/_emulator/log") as reply:
        records = (await reply.json())["records"]
    assert [(each["recipient"], each["id"]) for each in records] == (
        [] if name == "read" else [(TO, answer.id)]
    )


@pytest.mark.rule("C-01d")
async def test_the_best_kept_client_of_whatsapp_reads_the_refusals(
    whatsapp: Any, emulators: Running, http: aiohttp.ClientSession
) -> None:
    url = emulators.urls["whatsapp"] + "/_emulator/"
    errors = pywa.errors
    for code, kind in (
        (131026, errors.MessageUndeliverable),
        (131047, errors.ReEngagementMessage),
        (131056, errors.TooManyMessages),
        (190, errors.ExpiredAccessToken),
    ):
        async with http.post(url + "faults", json={"kind": "code", "code": code}):
            pass
        with pytest.raises(kind) as refused:
            await whatsapp.send_message(TO, "hi")
        assert refused.value.code == code


@pytest.mark.rule("C-01d")
async def test_the_best_kept_client_of_whatsapp_reads_every_webhook_that_the_emulator_makes(
    whatsapp: Any, emulators: Running, http: aiohttp.ClientSession
) -> None:
    url = emulators.urls["whatsapp"]
    definition = {"language": "en", "components": [{"type": "body", "text": "Hi"}]}
    offers = {"sale": "MARKETING", "parcel": "UTILITY", "code": "AUTHENTICATION"}
    for name, category in offers.items():
        made = {**definition, "name": name, "category": category}
        assert (await answer_of(http.post(f"{url}/_emulator/templates", json=made)))[0] == 201
    listed = await whatsapp.get_templates(pagination=pywa.types.Pagination(limit=3))
    assert (len(listed), listed.has_next, listed.total_count) == (3, True, 4)
    rest = await listed.next()
    assert (len(rest), rest.has_next, rest.has_previous) == (1, False, True)

    def told(path: str, **what: Any) -> Any:
        return answer_of(http.post(f"{url}/_emulator/{path}", json=what))

    async with heard_by(http, url) as bodies:
        sent = [(await whatsapp.send_message(TO, "hi", tracker="snd_1")).id]
        sent += [
            (
                await whatsapp.send_template(
                    TO, name=name, language=pywa.types.templates.TemplateLanguage.ENGLISH, params=[]
                )
            ).id
            for name in offers
        ]
        for message_id in sent:
            for status in ("sent", "delivered", "read", "played"):
                await told("statuses", id=message_id, status=status)
            for code in (131026, 131047, 131049, 131050, 131056, 130472):
                await told("statuses", id=message_id, status="failed", code=code)
        button = {"id": "a", "title": "A"}
        for said in (
            {"text": "hi"},
            {"text": "你好", "answers": sent[0]},
            {"button": button},
            {"row": button},
        ):
            await told("inbound", wa_id=TO, **said)
        for value in ("stop", "resume"):
            await told("preferences", wa_id=TO, value=value)
        await told("moves", wa_id=TO, new_wa_id=TO[:-1])
        for status in ("PAUSED", "APPROVED", "REJECTED", "DISABLED"):
            change = {"name": "sale", "status": status, "told": True}
            await answer_of(http.patch(f"{url}/_emulator/templates", json=change))
        await told("webhooks/idle")
    assert len(bodies) >= 57
    read = [updates(whatsapp, body) for body in bodies]
    kinds = {type(each).__name__ for each in read}
    assert kinds == {
        "MessageStatus",
        "Message",
        "CallbackButton",
        "CallbackSelection",
        "UserMarketingPreferences",
        "PhoneNumberChange",
        "TemplateStatusUpdate",
    }
    prices = {each.pricing.category.value for each in read if getattr(each, "pricing", None)}
    assert prices == {"service", "marketing", "utility", "authentication"}
    assert {each.status.value for each in read if hasattr(each, "pricing")} == {
        *("sent", "delivered", "read", "played", "failed")
    }
    assert all(each.from_user.wa_id == TO for each in read if hasattr(each, "from_user"))


def updates(client: Any, body: dict[str, Any]) -> Any:
    """What the client makes of a webhook. Raises where it cannot read it."""
    raw = pywa.types.RawUpdate(json.dumps(body).encode(), hmac_header=None, update_hash="")
    handler = client._get_handler_type(raw)
    assert handler is not None, body
    return client._handlers_to_updates[handler].from_update(client=client, update=raw)
