"""Templates are what WhatsApp has, all of its pages; what is gone there stops journeys."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import content_pb2
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.internal.v1 import send_pb2
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, WHATSAPP, Gateway
from tests.integration.channel_gateway.test_strange_coupons import refused

WABA = "200000000000001"
APPROVED, PAUSED, DISABLED = (
    content_pb2.TEMPLATE_STATE_APPROVED,
    content_pb2.TEMPLATE_STATE_PAUSED,
    content_pb2.TEMPLATE_STATE_DISABLED,
)


async def define(gateway: Gateway, name: str, text: str, **more: Any) -> None:
    """A template of the emulator, approved."""
    count = text.count("{{")
    example = {} if "parameter_format" in more else {"example": {"body_text": [["a"] * count]}}
    definition = {
        "name": name,
        "language": "en",
        "category": "UTILITY",
        "components": [{"type": "BODY", "text": text, **example}],
        **more,
    }
    url = gateway.emulators.urls["whatsapp"] + f"/v25.0/{WABA}/message_templates"
    headers = {"Authorization": "Bearer emulator-token"}
    async with gateway.http.post(url, json=definition, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
    await state(gateway, name, "APPROVED")


async def state(gateway: Gateway, name: str, status: str, reason: str = "NONE") -> None:
    """How a template stands at the emulator, and why it is refused."""
    url = gateway.emulators.urls["whatsapp"] + "/_emulator/templates"
    body = {"waba_id": WABA, "name": name, "language": "en", "status": status, "reason": reason}
    async with gateway.http.patch(url, json=body) as answer:
        assert answer.status == 200, await answer.text()


async def remove(gateway: Gateway, name: str) -> None:
    """Removes a template at the emulator."""
    url = gateway.emulators.urls["whatsapp"] + f"/v25.0/{WABA}/message_templates?name={name}"
    async with gateway.http.delete(url, headers={"Authorization": "Bearer emulator-token"}) as answer:
        assert answer.status == 200


async def synced(gateway: Gateway, account: str, request_id: str = "") -> tuple[int, int, int]:
    """What a synchronisation added, changed and found gone."""
    request = pb.SyncMessageTemplatesRequest(
        team_id=str(gateway.team_id), request_id=request_id or str(new_id()), account_id=account
    )
    answer = await gateway.stub.SyncMessageTemplates(request, timeout=TIMEOUT_S)
    return answer.added, answer.changed, answer.gone


async def ours(gateway: Gateway, account: str) -> dict[str, content_pb2.MessageTemplate]:
    """The account's templates by name."""
    request = pb.ListMessageTemplatesRequest(team_id=str(gateway.team_id), account_id=account, page_size=500)
    answer = await gateway.stub.ListMessageTemplates(request, timeout=TIMEOUT_S)
    return {each.name: each for each in answer.templates}


@pytest.mark.rule("C-10d")
async def test_templates_are_what_whatsapp_has_on_all_pages(gateway: Gateway) -> None:
    account, other = await gateway.account(WHATSAPP), await gateway.account(WHATSAPP)
    for number in range(53):
        await define(gateway, f"offer_{number}", "Dear {{1}}, {{2}} for you, {{1}}.")
    await define(gateway, "named", "Dear {{name}} of {{city}}.", parameter_format="NAMED")
    assert await synced(gateway, account) == (54, 0, 0)
    found = await ours(gateway, account)
    assert len(found) == 54
    assert not await ours(gateway, other), "they are the account's"
    offer, named = found["offer_52"], found["named"]
    assert (offer.state, offer.category, offer.parameter_count) == (APPROVED, "UTILITY", 2)
    assert list(named.parameter_names) == ["name", "city"]
    assert await synced(gateway, account) == (0, 0, 0), "nothing has changed"
    await state(gateway, "named", "REJECTED", "TAG_CONTENT_MISMATCH")
    assert await synced(gateway, account) == (0, 1, 0)
    assert (await ours(gateway, account))["named"].rejected_reason == "TAG_CONTENT_MISMATCH"
    await state(gateway, "named", "APPROVED")
    assert await synced(gateway, account) == (0, 1, 0)
    assert not (await ours(gateway, account))["named"].rejected_reason


HEADS = {
    "none": {},
    "text": {"format": "TEXT", "text": "On {{1}}"},
    "picture": {"format": "IMAGE"},
    "place": {"format": "LOCATION"},
}
BUTTONS = [
    {"type": "QUICK_REPLY", "text": "Stop"},
    {"type": "URL", "text": "Look", "url": "https://shop.example/{{1}}"},
    {"type": "URL", "text": "Shop", "url": "https://shop.example"},
    {"type": "COPY_CODE", "text": "Copy"},
]


def head(name: str) -> list[dict[str, Any]]:
    return [{"type": "HEADER", **HEADS[name]}] if HEADS[name] else []


@pytest.mark.rule("C-10d")
async def test_what_a_template_takes_is_kept(gateway: Gateway) -> None:
    account = await gateway.account(WHATSAPP)
    by_hand = await gateway.template(account, "by_hand", 1, [{"type": "BUTTONS", "buttons": BUTTONS}])
    for name in HEADS:
        await define(gateway, name, "", components=[*head(name), {"type": "BODY", "text": "Hi"}])
    named = [
        {"type": "HEADER", "format": "TEXT", "text": "On {{what}}"},
        {"type": "BODY", "text": "Hi {{who}}."},
    ]
    await define(gateway, "named", "", components=named, parameter_format="NAMED")
    assert not (await ours(gateway, account))["by_hand"].HasField("shape"), "nobody asked yet"
    assert await synced(gateway, account) == (5, 1, 0)
    assert await synced(gateway, account) == (0, 0, 0)
    found = await ours(gateway, account)
    shapes = {name: each.shape for name, each in found.items() if each.HasField("shape")}
    assert {name: (each.header, each.header_parameter_count) for name, each in shapes.items()} == {
        "by_hand": (content_pb2.TEMPLATE_HEADER_UNSPECIFIED, 0),
        "none": (content_pb2.TEMPLATE_HEADER_UNSPECIFIED, 0),
        "text": (content_pb2.TEMPLATE_HEADER_TEXT, 1),
        "picture": (content_pb2.TEMPLATE_HEADER_IMAGE, 0),
        "place": (content_pb2.TEMPLATE_HEADER_OTHER, 0),
        "named": (content_pb2.TEMPLATE_HEADER_TEXT, 1),
    }
    assert shapes["named"].header_parameter_name == "what"
    assert list(found["named"].parameter_names) == ["who"]
    assert found["by_hand"].message_template_id == by_hand
    assert [(each.kind, each.label, each.takes_parameter) for each in shapes["by_hand"].buttons] == [
        (content_pb2.TEMPLATE_BUTTON_KIND_QUICK_REPLY, "Stop", False),
        (content_pb2.TEMPLATE_BUTTON_KIND_URL, "Look", True),
        (content_pb2.TEMPLATE_BUTTON_KIND_URL, "Shop", False),
        (content_pb2.TEMPLATE_BUTTON_KIND_OTHER, "Copy", True),
    ]


@pytest.mark.rule("C-10f", "C-10d")
async def test_a_template_with_a_picture_is_shown_and_sent_as_a_test(gateway: Gateway) -> None:
    account = await gateway.account(WHATSAPP)
    components = [
        *head("picture"),
        {"type": "BODY", "text": "Hi"},
        {"type": "BUTTONS", "buttons": BUTTONS[:2]},
    ]
    await define(gateway, "picture", "", components=components)
    await synced(gateway, account)
    await gateway.top_up(1_000_000)
    template_id = (await ours(gateway, account))["picture"].message_template_id
    mei = gateway.customer(account, WHATSAPP, name="Mei")
    asked: dict[str, Any] = {
        "team_id": str(gateway.team_id),
        "message_template_id": template_id,
        "customer_id": mei,
    }
    filling: dict[str, Any] = {
        "header_media": content_pb2.TemplateMedia(image_url="https://shop.example/{{trigger.code}}.png"),
        "button_parameters": {1: "offers/{{trigger.code}}"},
        "trigger_data": {"code": "A 7"},
    }
    shown = pb.PreviewMessageTemplateRequest(**asked, **filling)
    answer = await gateway.stub.PreviewMessageTemplate(shown, timeout=TIMEOUT_S)
    assert answer.text.splitlines() == [
        "[IMAGE https://shop.example/A%207.png]",
        "Hi",
        "Stop",
        "Look: https://shop.example/offers/A%207",
    ]
    sent = pb.SendTestMessageRequest(**asked, **filling, request_id=str(new_id()), channel_account_id=account)
    await gateway.stub.SendTestMessage(sent, timeout=TIMEOUT_S)
    await gateway.settled()
    (message,) = await gateway.accepted("whatsapp")
    header, button = message["body"]["template"]["components"]
    picture = {"type": "image", "image": {"link": "https://shop.example/A%207.png"}}
    assert header == {"type": "header", "parameters": [picture]}
    assert (button["sub_type"], button["index"]) == ("url", "1")
    for call, bare in (
        (gateway.stub.PreviewMessageTemplate, pb.PreviewMessageTemplateRequest(**asked, parameters=["x"])),
        (
            gateway.stub.SendTestMessage,
            pb.SendTestMessageRequest(
                **asked, parameters=["x"], request_id=str(new_id()), channel_account_id=account
            ),
        ),
    ):
        _, faults = await refused(call, bare)
        assert set(faults) == {"parameters", "header_media", "button_parameters[1]"}
        bare.parameters[:] = ["a\nb"]
        bare.button_parameters[1] = "a\tb"
        _, faults = await refused(call, bare)
        assert set(faults) == {"parameters", "parameters[0]", "header_media", "button_parameters[1]"}


@pytest.mark.rule("C-10d", "C-03d")
async def test_one_made_by_hand_is_sent_with_what_it_is_given_until_whatsapp_says_what_it_takes(
    gateway: Gateway,
) -> None:
    account = await gateway.account(WHATSAPP)
    await gateway.top_up(10**9)
    parts = [*head("text"), {"type": "BUTTONS", "buttons": BUTTONS[1:2]}]
    template_id = await gateway.template(account, "by_hand", 1, parts)

    async def outcome(**filling: Any) -> tuple[str, str, int]:
        """Of a send: when asked, in the end, and the requests that WhatsApp has had so far."""
        send = gateway.send(gateway.customer(account, WHATSAPP), WHATSAPP)
        send.template.CopyFrom(send_pb2.TemplateContent(template_id=template_id, **filling))
        (answer,) = await gateway.ask(send)
        await gateway.settled()
        delivery = await gateway.delivery(send.effect_key)
        why = delivery.channel_code or error_reason_pb2.ErrorReason.Name(delivery.reason)[13:]
        return answer.reason, why, len(await gateway.accepted("whatsapp"))

    whole: dict[str, Any] = {
        "parameters": ["Mei"],
        "header_parameter": "sale",
        "button_parameters": {0: "spring sale/{{customer.name}} 1"},
    }
    assert await outcome(**whole) == ("", "UNSPECIFIED", 1), "what it is given is what it takes"
    assert not (await ours(gateway, account))["by_hand"].HasField("shape")
    (record,) = await gateway.accepted("whatsapp")
    button = record["body"]["template"]["components"][-1]
    assert button["parameters"] == [{"type": "text", "text": "spring%20sale/Mei%201"}]
    lacking = {**whole, "button_parameters": {}}
    assert await outcome(**lacking) == ("", "WHATSAPP_131008", 1), "only WhatsApp knows"
    shape = (await ours(gateway, account))["by_hand"].shape
    assert (shape.header, shape.buttons[0].takes_parameter) == (content_pb2.TEMPLATE_HEADER_TEXT, True)
    assert await outcome(**lacking) == ("TEMPLATE_PARAMETERS", "TEMPLATE_PARAMETERS", 1), "nothing is asked"
    assert await outcome(**whole) == ("", "UNSPECIFIED", 2)


@pytest.mark.rule("C-10d")
async def test_what_whatsapp_has_no_more_is_disabled_and_told_once(gateway: Gateway) -> None:
    account = await gateway.account(WHATSAPP)
    for name in ("kept", "removed", "paused"):
        await define(gateway, name, "Hello {{1}}.")
    assert await synced(gateway, account) == (3, 0, 0)
    await remove(gateway, "removed")
    await state(gateway, "paused", "PAUSED")
    again = str(new_id())
    assert await synced(gateway, account, again) == (0, 1, 1)
    assert await synced(gateway, account, again) == (0, 1, 1), "the first answer"
    assert await synced(gateway, account) == (0, 0, 0)
    found = await ours(gateway, account)
    assert {name: each.state for name, each in found.items()} == {
        "kept": APPROVED,
        "removed": DISABLED,
        "paused": PAUSED,
    }
    gone = [row for row in await gateway.facts() if row.kind == 4]
    assert [row.reason for row in gone] == ["GONE_AT_CHANNEL"]


async def test_only_accounts_of_whatsapp_have_templates_to_synchronise(gateway: Gateway) -> None:
    for account in (await gateway.account(LINE), await gateway.account(WHATSAPP, sink=True)):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await synced(gateway, account)
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def preview(gateway: Gateway, template_id: str, customer_id: str, *parameters: str, **data: str) -> str:
    """A template as it looks for a customer."""
    request = pb.PreviewMessageTemplateRequest(
        team_id=str(gateway.team_id),
        message_template_id=template_id,
        customer_id=customer_id,
        parameters=parameters,
        trigger_data=data,
    )
    return (await gateway.stub.PreviewMessageTemplate(request, timeout=TIMEOUT_S)).text


async def test_a_template_is_shown_as_a_customer_would_see_it(gateway: Gateway) -> None:
    account = await gateway.account(WHATSAPP)
    button = {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Yes, please"}]}
    header = {"type": "HEADER", "format": "TEXT", "text": "Only {{1}} here"}
    template_id = await gateway.template(account, parameters=2, more=[header, button])
    mei = gateway.customer(account, WHATSAPP, name="Mei")
    text = await preview(gateway, template_id, mei, "{{customer.name}}", "{{attribute.city|Taipei}}")
    assert text == "Dear Mei, Taipei.\nOnly {{1}} here\nYes, please", "a header's variable is not the body's"
    text = await preview(gateway, template_id, mei, "{{trigger.code}}", "{{trigger.shop|us}}", code="A7")
    assert text.startswith("Dear A7, us.")
    assert not await gateway.accepted("whatsapp"), "nothing is sent"
    for parameters in (("one",), ("one", "{{attribute.city}}")):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await preview(gateway, template_id, mei, *parameters)
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    await remove(gateway, "hello")
    with pytest.raises(grpc.aio.AioRpcError) as missing:
        await preview(gateway, template_id, mei, "one", "two")
    assert missing.value.code() is grpc.StatusCode.NOT_FOUND
