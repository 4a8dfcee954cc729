"""Who follows, leaves and writes on LINE is judged by their own times, in whatever order the channel tells them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import account_pb2, webhook_pb2
from tests.integration.journey.whole_site import LINE
from tests.integration.whole_path.stage import Stage, says, until

pytestmark = pytest.mark.asyncio(loop_scope="package")

SECRET = "secret-of-the-channel"


def acted(kind: str, person: str, at: datetime, **more: Any) -> dict[str, Any]:
    """An event as LINE tells it."""
    event = {
        "type": kind,
        "mode": "active",
        "timestamp": int(at.timestamp() * 1_000),
        "webhookEventId": new_id().hex,
    }
    return {
        **event,
        "source": {"type": "user", "userId": person},
        "deliveryContext": {"isRedelivery": False},
        **more,
    }


async def tell(stage: Stage, *events: dict[str, Any]) -> None:
    """Posts a signed webhook, and waits until it is worked."""
    body = json.dumps({"destination": "U" + "0" * 32, "events": events}).encode()
    signature = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
    path = f"/v1/teams/{stage.site.team_id}/accounts/{stage.accounts[LINE]}/events"
    url = f"http://127.0.0.1:{stage.site.http_port}{path}"
    async with stage.http.post(url, data=body, headers={"x-line-signature": signature}) as answer:
        assert answer.status == 200, await answer.text()

    async def is_worked() -> bool:
        waiting = await stage.call("ListInboxRecords", state=webhook_pb2.INBOX_STATE_STORED)
        return not waiting.records

    await until(is_worked)


@pytest.mark.rule("C-20a")
@pytest.mark.parametrize("late", ["message", "follow"])
async def test_what_came_before_somebody_left_and_is_told_after_it_brings_nobody_back(
    stage: Stage, late: str
) -> None:
    account = account_pb2.ChannelAccount(channel=LINE, display_name="Heard", rate_per_second=10_000)
    account.line.channel_id, account.line.access_token = "1", stage.token
    account.line.channel_secrets.append(SECRET)
    made = await stage.call("CreateChannelAccount", account=account)
    stage.accounts[LINE] = str(made.account.channel_account_id)
    customer = await stage.customer()
    person = (await stage.person(customer)).identities[0].key.external_id
    journey_id = await stage.live(says("hello", await stage.module("Hello")))
    # The customer was bound a moment ago; what they do comes after it.
    await stage.site.advance(seconds=3_600)
    now = await stage.site.now()
    text = {"message": {"id": "1", "type": "text", "text": "hi"}} if late == "message" else {}
    await tell(stage, acted("unfollow", person, now))
    await tell(stage, acted(late, person, now - timedelta(seconds=30), **text))
    await stage.trigger(journey_id, customer)
    await stage.until_done(journey_id)
    assert (await stage.steps(journey_id, customer))[-1] == "hello SKIPPED BLOCKED"

    await stage.site.advance(seconds=60)
    await tell(stage, acted("follow", person, await stage.site.now()))
    await stage.trigger(journey_id, customer)
    await stage.until_done(journey_id, 2)
    assert await stage.texts(customer) == ["Hello"]
