"""Webhooks of the channels' platforms: signed, stored, and told to segment and to later sends."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import grpc
import pytest

from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from omnijourney.channel_gateway.v1 import account_pb2, delivery_pb2, webhook_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.common.v1 import channel_pb2
from omnijourney.segment.v1 import event_pb2
from tests.integration.channel_gateway.conftest import (
    LINE,
    START,
    TIMEOUT_S,
    WHATSAPP,
    Gateway,
    GatewayMaker,
    Neighbours,
)
from tests.integration.channel_gateway.test_webhooks import stored

SECRET = "test-channel-secret"
OTHER_SECRET = "secret-of-another-app"
TOKEN = "the verify token"
MEI = "U" + "1" * 32
AN = "U" + "2" * 32
WA_ID = "886912000001"
PAGE, INSTAGRAM = channel_pb2.CHANNEL_MESSENGER, channel_pb2.CHANNEL_INSTAGRAM


class Platform:
    """An account and the emulated platform that sends its webhooks."""

    def __init__(self, gateway: Gateway, account_id: str, emulator: str) -> None:
        self.gateway = gateway
        self.account_id = account_id
        self.emulator = gateway.emulators.urls[emulator]
        base = f"http://127.0.0.1:{gateway.app.http_port}"
        self.url = f"{base}/v1/teams/{gateway.team_id}/accounts/{account_id}/events"

    async def tell(self, path: str, **body: Any) -> dict[str, Any]:
        """A switch of the emulator."""
        async with self.gateway.http.post(f"{self.emulator}/_emulator/{path}", json=body) as answer:
            assert answer.status in {200, 202}, await answer.text()
            return await answer.json()  # type: ignore[no-any-return]

    async def aim(self, secret: str = SECRET, **how: Any) -> None:
        """Has the emulator send its webhooks to the account."""
        await self.tell("webhooks", url=self.url, secret=secret, **how)

    async def heard(self) -> list[event_pb2.CustomerEvent]:
        """What segment was told, when all is worked."""
        await self.tell("webhooks/idle")
        await self.gateway.settled()
        return self.gateway.neighbours.segment.events

    async def post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Posts bytes as they are."""
        async with self.gateway.http.post(self.url, data=io.BytesIO(body), headers=headers) as answer:
            return answer.status, await answer.json()


async def account(gateway: Gateway, channel: int, *, secret: str = SECRET, **ids: str) -> str:
    """An account that has a secret."""
    made = account_pb2.ChannelAccount(channel=channel, display_name="Shop")  # type: ignore[arg-type]
    if channel == LINE:
        made.line.channel_id = "1"
        made.line.access_token = "emulator-token"
        made.line.channel_secrets.append(secret)
    else:
        connections: dict[int, Any] = {
            WHATSAPP: made.whatsapp,
            PAGE: made.messenger,
            INSTAGRAM: made.instagram,
        }
        connection = connections[channel]
        connection.access_token = "emulator-token"
        connection.app_secrets.append(secret)
        connection.verify_token = TOKEN
        for name, value in ids.items():
            setattr(connection, name, value)
    request = pb.CreateChannelAccountRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), account=made
    )
    return (await gateway.stub.CreateChannelAccount(request, timeout=TIMEOUT_S)).account.channel_account_id


@pytest.fixture
async def line(gateway: Gateway) -> Platform:
    """A LINE account."""
    platform = Platform(gateway, await account(gateway, LINE), "line")
    await platform.aim()
    return platform


@pytest.fixture
async def whatsapp(gateway: Gateway) -> Platform:
    """A WhatsApp number."""
    made = await account(gateway, WHATSAPP, phone_number_id="100000000000001", waba_id="200000000000001")
    platform = Platform(gateway, made, "whatsapp")
    await platform.aim()
    return platform


def meta_headers(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """Meta's signature."""
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def kinds(events: list[event_pb2.CustomerEvent]) -> list[str]:
    """What happened."""
    return [str(event.WhichOneof("event")) for event in events]


# ---- LINE


@pytest.mark.rule("C-20a")
async def test_what_people_do_on_line_is_told_in_order(line: Platform) -> None:
    acts = [
        {"kind": "follow", "user_id": MEI},
        {"kind": "message", "user_id": MEI, "text": "你好"},
        {"kind": "postback", "user_id": MEI, "data": "c=claim"},
        {"kind": "unfollow", "user_id": MEI},
    ]
    await line.tell("acts", acts=acts)
    events = await line.heard()
    assert kinds(events) == ["contact_added", "message_received", "message_received", "contact_blocked"]
    identity = events[0].contact_added.identity
    assert (identity.channel, identity.account_id, identity.external_id) == (LINE, line.account_id, MEI)
    assert {event.occur_time.ToDatetime() for event in events} == {START.replace(tzinfo=None)}
    (record,) = await stored(line.gateway)
    assert (record.source, record.origin) == (webhook_pb2.INBOX_SOURCE_LINE, line.account_id)
    assert (record.state, record.event_count) == (webhook_pb2.INBOX_STATE_RECORDED, 4)


@pytest.mark.rule("C-20a")
async def test_a_redelivered_event_has_the_key_of_the_first(line: Platform) -> None:
    await line.tell("acts", acts=[{"kind": "follow", "user_id": MEI}])
    await line.tell("webhooks/again")
    await line.tell("webhooks/again")
    await line.heard()
    assert len(line.gateway.neighbours.segment.whole_keys) == 1
    assert len(await stored(line.gateway)) == 2, "the second redelivery has the bytes of the first"


@pytest.mark.rule("C-20a")
async def test_the_trial_of_a_line_address_is_answered_and_nothing_is_stored(line: Platform) -> None:
    await line.tell("events", events=[])
    assert await line.heard() == []
    assert list(await stored(line.gateway)) == []


async def test_what_is_wrong_with_one_event_is_kept_beside_the_others(line: Platform) -> None:
    good = {
        "type": "follow",
        "timestamp": 1750000000200,
        "source": {"type": "user", "userId": MEI},
        "webhookEventId": "01FZ1",
    }
    events = [
        {**good, "source": {"type": "user", "userId": "Mei"}},
        {**good, "timestamp": 10**18, "webhookEventId": "01FZ2"},
        {**good, "timestamp": "soon", "webhookEventId": "01FZ3"},
        {**good, "webhookEventId": "x\0y"},
        {"type": "membership", "timestamp": "?"},
        {**good, "source": {"type": "group", "groupId": "C1", "userId": MEI}, "webhookEventId": "01FZ5"},
        good,
        7,
    ]
    await line.tell("events", events=events)
    told = await line.heard()
    assert [event.event_key for event in told] == [line.account_id]
    request = pb.ListInboxRecordsRequest(team_id=str(line.gateway.team_id))
    (record,) = (await line.gateway.stub.ListInboxRecords(request, timeout=TIMEOUT_S)).records
    assert [refusal.index for refusal in record.refusals] == [0, 1, 2, 3, 7]


@pytest.mark.rule("C-20a")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-line-signature": ""},
        {"x-line-signature": "A" * 43 + "="},
        {"x-line-signature": "é"},
        {"X-Hub-Signature-256": "sha256=" + "0" * 64},
    ],
)
async def test_who_does_not_sign_is_refused_and_nothing_is_stored(
    line: Platform, headers: dict[str, str]
) -> None:
    status, _ = await line.post(b'{"events":[]}', headers)
    assert status == 401
    assert list(await stored(line.gateway)) == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"7", b'{"entry":7}', b"[" * 100_000, b'{"object":"page","entry":' + b"[" * 9_999]
)
async def test_a_signed_body_that_is_none_is_refused(whatsapp: Platform, body: bytes) -> None:
    status, answer = await whatsapp.post(body, meta_headers(body))
    assert (status, answer["error"]["message"]) == (400, "is no webhook of the channel")


async def test_a_body_over_the_limit_is_not_read(line: Platform) -> None:
    status, _ = await line.post(b" " * (3 * 1024 * 1024 + 1), {"x-line-signature": "A" * 43 + "="})
    assert status == 413


async def test_an_account_of_another_team_takes_nothing(line: Platform) -> None:
    line.url = line.url.replace(str(line.gateway.team_id), str(new_id()))
    body = b'{"events":[]}'
    status, _ = await line.post(body, {"x-line-signature": "A" * 43 + "="})
    assert status == 401


@pytest.mark.rule("C-20a", "C-20b")
async def test_what_comes_while_nobody_can_work_it_is_answered_and_worked_later_once(
    maker: GatewayMaker, neighbours: Neighbours
) -> None:
    """Stored first: LINE and Meta are answered at once, and a start in between loses nothing."""
    neighbours.segment.away = True
    async with maker.start() as gateway:
        on_line = Platform(gateway, await account(gateway, LINE), "line")
        ids = {"phone_number_id": "100000000000001", "waba_id": "200000000000001"}
        on_whatsapp = Platform(gateway, await account(gateway, WHATSAPP, **ids), "whatsapp")
        team_id = gateway.team_id
        for platform in (on_line, on_whatsapp):
            await platform.aim(times=2)
        await on_line.tell("acts", acts=[{"kind": "follow", "user_id": MEI}])
        await on_whatsapp.tell("inbound", wa_id=WA_ID, text="hi")
        for platform in (on_line, on_whatsapp):
            await platform.tell("webhooks/idle")
        assert len(await stored(gateway)) >= 2
        assert neighbours.segment.events == []
    async with maker.start() as gateway:
        gateway.team_id = team_id
        neighbours.segment.away = False
        await gateway.settled()
    assert sorted(set(kinds(neighbours.segment.events))) == ["contact_added", "message_received"]
    assert len(neighbours.segment.whole_keys) == 2, "what is told twice has one key"


# ---- Meta


@pytest.mark.rule("C-20b")
async def test_the_address_is_verified_by_the_accounts_token_only(whatsapp: Platform) -> None:
    assert (await whatsapp.tell("webhooks/greet", verify_token=TOKEN))["verified"]
    assert not (await whatsapp.tell("webhooks/greet", verify_token="another"))["verified"]
    changed = account_pb2.ChannelAccount(channel_account_id=whatsapp.account_id)
    changed.whatsapp.verify_token, changed.whatsapp.access_token = f"\u00a0{TOKEN} ", " emulator-token"
    changed.whatsapp.app_secrets.extend([f"{SECRET}\n", f"\ufeff{OTHER_SECRET}"])
    request = pb.UpdateChannelAccountRequest(
        team_id=str(whatsapp.gateway.team_id), request_id=str(new_id()), account=changed
    )
    await whatsapp.gateway.stub.UpdateChannelAccount(request, timeout=TIMEOUT_S)
    assert (await whatsapp.tell("webhooks/greet", verify_token=TOKEN))["verified"], "copied with blanks"
    body = b'{"object":"whatsapp_business_account","entry":[]}'
    for secret in (SECRET, OTHER_SECRET):
        assert (await whatsapp.post(body, meta_headers(body, secret)))[0] == 200
    request.request_id, request.account.whatsapp.app_secrets[0] = str(new_id()), "two\nlines"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await whatsapp.gateway.stub.UpdateChannelAccount(request, timeout=TIMEOUT_S)
    (violation,) = remote_error(refused.value).violations
    assert violation.field == "account.whatsapp.app_secrets[0]"
    for query in (
        "",
        "?hub.mode=subscribe&hub.challenge=1",
        "?hub.verify_token=&hub.mode=subscribe&hub.challenge=1",
    ):
        async with whatsapp.gateway.http.get(whatsapp.url + query) as answer:
            assert answer.status == 403
    async with whatsapp.gateway.http.delete(whatsapp.url) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST")


async def test_no_token_verifies_an_account_that_has_none(line: Platform) -> None:
    query = "?hub.mode=subscribe&hub.challenge=1&hub.verify_token="
    async with line.gateway.http.get(line.url + query) as answer:
        assert answer.status == 403


@pytest.mark.rule("C-20b")
async def test_a_whatsapp_message_tells_the_number_and_the_name(whatsapp: Platform) -> None:
    await whatsapp.tell("inbound", wa_id=WA_ID, text="hi", name="美 😀")
    (event,) = await whatsapp.heard()
    identity = event.message_received.identity
    assert (identity.channel, identity.external_id) == (WHATSAPP, WA_ID)
    assert (event.customer.phone, event.customer_name) == (f"+{WA_ID}", "美 😀")
    assert event.occur_time.ToDatetime() == START.replace(tzinfo=None)


@pytest.mark.rule("C-20b", "C-01b")
async def test_who_shows_no_number_on_whatsapp_is_heard_and_answered(whatsapp: Platform) -> None:
    gateway, person = whatsapp.gateway, "US.13491208655302741918"
    message = {"from_user_id": person, "id": "wamid.1", "timestamp": "1750030073", "type": "text"}
    change = number_change("100000000000001", message)
    body = json.dumps(
        {"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": [change]}]}
    ).encode()
    assert await whatsapp.post(body, meta_headers(body)) == (200, {"events": 1})
    (event,) = await whatsapp.heard()
    assert (event.message_received.identity.external_id, event.HasField("customer")) == (person, False)
    await gateway.top_up(10_000_000)
    customer = gateway.customer(whatsapp.account_id, WHATSAPP)
    gateway.neighbours.segment.profiles[customer].identities[0].key.external_id = person
    send = gateway.send(customer, WHATSAPP, account_id=whatsapp.account_id)
    send.template.template_id = await gateway.template(whatsapp.account_id, parameters=0)
    await gateway.ask(send)
    await gateway.settled()
    (sent,) = await gateway.accepted("whatsapp")
    assert sent["recipient"] == person
    assert (await gateway.delivery(send.effect_key)).state == delivery_pb2.SEND_STATE_SENT


@pytest.mark.rule("C-20b")
@pytest.mark.parametrize(("channel", "name"), [(PAGE, "page"), (INSTAGRAM, "instagram")])
async def test_what_people_do_at_a_page_is_told(gateway: Gateway, channel: int, name: str) -> None:
    ids = {"page_id": "77"} if channel == PAGE else {"instagram_id": "77"}
    page = Platform(gateway, await account(gateway, channel, **ids), "whatsapp")
    await page.aim()
    for what in (
        {"message": {"mid": "m_1", "text": "hi"}},
        {"postback": {"mid": "m_2", "title": "Redeem", "payload": "c=claim"}},
        {"referral": {"ref": "j7", "source": "SHORTLINK", "type": "OPEN_THREAD"}},
        {"message": {"mid": "m_3", "is_echo": True, "text": "our own"}},
        {"read": {"watermark": 1750030075900}},
    ):
        await page.tell("talk", object=name, id="77", person_id="501", what=what)
    events = await page.heard()
    assert kinds(events) == ["message_received"] * 3
    identity = events[0].message_received.identity
    assert (identity.channel, identity.account_id, identity.external_id) == (channel, page.account_id, "501")
    assert all(record.state == webhook_pb2.INBOX_STATE_RECORDED for record in await stored(gateway))


def number_change(number: str, *messages: dict[str, Any]) -> dict[str, Any]:
    """What people wrote to a number."""
    value = {"metadata": {"phone_number_id": number}, "messages": list(messages)}
    return {"field": "messages", "value": value}


def text_of(wa_id: str, number: int) -> dict[str, Any]:
    """A message."""
    return {"from": wa_id, "id": f"wamid.{number}", "timestamp": "1750030073", "type": "text"}


@pytest.mark.rule("C-20b")
async def test_a_body_for_several_accounts_reaches_those_that_share_its_secret(gateway: Gateway) -> None:
    first = await account(gateway, WHATSAPP, phone_number_id="1", waba_id="9")
    second = await account(gateway, WHATSAPP, phone_number_id="2", waba_id="9")
    await account(gateway, WHATSAPP, secret=OTHER_SECRET, phone_number_id="3", waba_id="9")
    changes = [number_change(number, text_of(WA_ID, int(number))) for number in ("1", "2", "3", "4")]
    whole = {"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": changes}]}
    body = json.dumps(whole).encode()
    platform = Platform(gateway, first, "whatsapp")
    assert await platform.post(body, meta_headers(body)) == (200, {"events": 2})
    assert await platform.post(body, meta_headers(body)) == (200, {"events": 2})
    assert (await platform.post(body, meta_headers(body, OTHER_SECRET)))[0] == 401
    events = await platform.heard()
    told = {event.message_received.identity.account_id: event.event_key for event in events}
    assert told == {first: first, second: second}
    assert sorted(record.origin for record in await stored(gateway)) == sorted([first, second])


@pytest.mark.rule("C-20b")
async def test_what_is_written_to_a_renewed_number_reaches_its_account_and_the_same_people(
    gateway: Gateway,
) -> None:
    made = await account(gateway, WHATSAPP, phone_number_id="1", waba_id="9")
    platform = Platform(gateway, made, "whatsapp")

    async def written(number: str, place: int) -> int:
        whole = {"id": "9", "changes": [number_change(number, text_of(WA_ID, place))]}
        body = json.dumps({"object": "whatsapp_business_account", "entry": [whole]}).encode()
        status, told = await platform.post(body, meta_headers(body))
        assert status == 200
        return int(told["events"])

    assert (await written("1", 1), await written("2", 2)) == (1, 0)
    changed = account_pb2.ChannelAccount(channel_account_id=made)
    changed.whatsapp.phone_number_id = "2"
    request = pb.UpdateChannelAccountRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), account=changed
    )
    await gateway.stub.UpdateChannelAccount(request, timeout=TIMEOUT_S)
    assert (await written("1", 3), await written("2", 4)) == (0, 1)
    identities = [event.message_received.identity for event in await platform.heard()]
    assert [(each.account_id, each.external_id) for each in identities] == [(made, WA_ID)] * 2


@pytest.mark.rule("C-20d")
async def test_a_signed_body_of_strange_parts_holds_up_nobody(whatsapp: Platform) -> None:
    number = "100000000000001"
    strange: list[Any] = [
        7,
        {"field": "messages"},
        {"field": "messages", "value": {"metadata": {"phone_number_id": number}, "messages": 7}},
        number_change(number, {}, {"id": 7}, {**text_of("x", 1)}, {**text_of(WA_ID, 2), "timestamp": "-1"}),
        {"field": "flows", "value": {"metadata": {"phone_number_id": number}}},
        number_change(number, text_of(WA_ID, 3)),
    ]
    entry = [{"id": "9", "changes": strange}, 7, {"id": {}}, {"id": "9"}]
    body = json.dumps({"object": "whatsapp_business_account", "entry": entry}).encode()
    body = body.replace(b'"wamid.3"', b'"wamid.3","more":"\\ud800\xff"')
    assert (await whatsapp.post(body, meta_headers(body)))[0] == 200
    assert kinds(await whatsapp.heard()) == ["message_received"]
    records = await stored(whatsapp.gateway)
    # What is for no account that it names stands by itself: two changes and two entries.
    found = sorted([refusal.index for refusal in record.refusals] for record in records)
    assert found == [[0, 1, 2, 3], [0, 1, 2, 3, 4]]


async def test_more_events_than_one_call_takes_are_told_in_several(whatsapp: Platform) -> None:
    messages = [text_of(WA_ID, number) for number in range(1_001)]
    change = number_change("100000000000001", *messages)
    whole = {"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": [change]}]}
    body = json.dumps(whole).encode()
    assert await whatsapp.post(body, meta_headers(body)) == (200, {"events": 1_001})
    assert len(await whatsapp.heard()) == 1_001
    assert [len(batch) for batch in whatsapp.gateway.neighbours.segment.batches] == [500, 500, 1]


@pytest.mark.rule("C-03a")
async def test_a_message_opens_the_window_for_a_day(whatsapp: Platform) -> None:
    gateway = whatsapp.gateway
    customer = gateway.customer(whatsapp.account_id, WHATSAPP)
    wa_id = gateway.neighbours.segment.profiles[customer].identities[0].key.external_id
    module = await gateway.module("Hello")
    await gateway.top_up(10_000_000)
    await whatsapp.tell("inbound", wa_id=wa_id)
    await whatsapp.heard()

    async def outcome() -> tuple[int, str]:
        (result,) = await gateway.ask(gateway.send(customer, WHATSAPP, bot_module_id=module))
        return result.state, result.reason

    assert (await outcome())[1] == ""
    gateway.clock.advance(timedelta(hours=24))
    assert (await outcome())[1] == "OUTSIDE_WINDOW"
