"""What WhatsApp tells by itself, from the webhook to the journey: other numbers of people, accounts without money."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import account_pb2, webhook_pb2
from omnijourney.journey.v1 import journey_pb2
from omnijourney.segment.v1 import customer_pb2
from tests.integration.journey.whole_site import WHATSAPP
from tests.integration.whole_path.stage import STATUS, Stage, says, until

pytestmark = pytest.mark.asyncio(loop_scope="package")

SECRET = "secret-of-the-app"
NUMBER = "100000000000001"


async def tell(stage: Stage, kind: str = "messages", **what: Any) -> None:
    """Posts a signed webhook with one message, or status, of now, and waits until it is worked."""
    at = str(int((await stage.site.now()).timestamp()))
    whole = {"id": f"wamid.{new_id().hex}", "timestamp": at, **what}
    value = {"metadata": {"phone_number_id": NUMBER}, kind: [whole]}
    entry = {"id": "200000000000001", "changes": [{"field": "messages", "value": value}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    path = f"/v1/teams/{stage.site.team_id}/accounts/{stage.accounts[WHATSAPP]}/events"
    url = f"http://127.0.0.1:{stage.site.http_port}{path}"
    async with stage.http.post(url, data=body, headers={"x-hub-signature-256": signature}) as answer:
        assert answer.status == 200, await answer.text()

    async def is_worked() -> bool:
        waiting = await stage.call("ListInboxRecords", state=webhook_pb2.INBOX_STATE_STORED)
        return not waiting.records

    await until(is_worked)


async def listen(stage: Stage) -> None:
    account = account_pb2.ChannelAccount(channel_account_id=stage.accounts[WHATSAPP])
    account.whatsapp.app_secrets.append(SECRET)
    await stage.call("UpdateChannelAccount", account=account)


def wrote(number: str) -> dict[str, Any]:
    return {"from": number, "type": "text", "text": {"body": "hi"}}


def changed(old: str, new: str, **message: str) -> dict[str, Any]:
    system = {"type": "user_changed_number", "body": "changed", "wa_id": new}
    return {"from": old, "type": "system", "system": system, **message}


async def people(stage: Stage) -> list[customer_pb2.Customer]:
    return list((await stage.call("ListCustomers", page_size=100)).customers)


@pytest.mark.rule("S-05d", "P-03b", "C-20b")
async def test_who_changes_their_number_is_one_person_before_and_after(stage: Stage) -> None:
    await listen(stage)
    digits = new_id().int % 10**6
    old, new, taken = (f"88691{n}{digits:06}" for n in (1, 2, 3))
    await tell(stage, **wrote(old))
    (mei,) = await people(stage)
    for message in (changed(old, new, id="wamid.first"), changed(old, new), wrote(new)):
        await tell(stage, **message)
    (still,) = await people(stage)
    assert (still.customer_id, still.phone) == (mei.customer_id, f"+{new}")
    assert [each.key.external_id for each in still.identities] == [new]

    before = int((await stage.site.now()).timestamp()) - 30
    await tell(stage, **wrote(old), timestamp=str(before))
    (still,) = await people(stage)
    assert [each.key.external_id for each in still.identities] == [new], "they wrote it before the change"
    await stage.site.advance(seconds=60)
    await tell(stage, **wrote(old))
    await tell(stage, **wrote(old), timestamp=str(before + 1))
    (stranger,) = [each for each in await people(stage) if each.customer_id != mei.customer_id]
    assert ([each.key.external_id for each in stranger.identities], stranger.phone) == ([old], f"+{old}")
    seen = await stage.person(mei.customer_id)
    assert (seen.phone, [each.key.external_id for each in seen.identities]) == (f"+{new}", [new])

    hello = says("hello", await stage.module("Hello"), channel=WHATSAPP)
    journey_id = await stage.live(hello, targets=stage.targets(WHATSAPP))
    await stage.emulator("post", WHATSAPP, "inbound", {"wa_id": new})
    await stage.trigger(journey_id, mei.customer_id)
    await stage.until_done(journey_id)
    assert [each["recipient"] for each in await stage.accepted(WHATSAPP, mei.customer_id)] == [new]

    await tell(stage, **wrote(taken))
    await tell(stage, **changed(new, taken))
    (conflict,) = (await stage.call("ListIdentityConflicts")).identity_conflicts
    assert conflict.customer_id == mei.customer_id
    owner = conflict.other_customer_id
    assert [each.key.external_id for each in (await stage.person(owner)).identities] == [taken]
    assert list((await stage.person(mei.customer_id)).identities) == []


@pytest.mark.rule("J-07b", "C-20b")
async def test_that_whatsapp_is_not_paid_stops_journeys_also_where_it_is_told_later(stage: Stage) -> None:
    await listen(stage)
    hello = says("hello", await stage.module("Hello"), channel=WHATSAPP)
    journey_id = await stage.live(hello, targets=stage.targets(WHATSAPP))
    other = await stage.live(says("hello", await stage.module("Hello")))
    await stage.site.advance(seconds=60)
    await tell(stage, "statuses", status="failed", errors=[{"code": 131042}], recipient_id="886912000001")
    stopped = await stage.until_status(journey_id, STATUS.Value("JOURNEY_STATUS_STOPPED"))
    assert stopped.status_reason == journey_pb2.STATUS_REASON_WHATSAPP_BALANCE_EXHAUSTED
    assert (await stage.seen(other)).status == STATUS.Value("JOURNEY_STATUS_ACTIVE")
