"""The channels' own and best-kept clients speak to the emulators: their calls are taken, and the answers understood.

Of Messenger and Instagram there is no such client that is kept up: our own adapter alone speaks to those two.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from libs.emulators.server import Running

line_sdk: Any = pytest.importorskip(
    "linebot.v3.messaging", reason="line-bot-sdk is of the development requirements"
)
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
LINE_CALLS: dict[str, tuple[Call, Callable[[Any], Any], Any]] = {
    "push": (lambda api: api.push_message(push(TEXT, IMAGE, CARD)), lambda a: len(a.sent_messages), 3),
    "push with a key": (
        lambda api: api.push_message(push(TEXT), x_line_retry_key=KEY),
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


# ---- WhatsApp, by the best-kept


@pytest.fixture
async def whatsapp(emulators: Running, http: aiohttp.ClientSession) -> AsyncIterator[Any]:
    """The client, of the emulators' first number; somebody has written just now, and a template is approved."""
    url = emulators.urls["whatsapp"]
    definition = {
        "name": "welcome",
        "language": "en",
        "components": [{"type": "BODY", "text": "Hi {{1}}, you have {{2}} points."}],
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
