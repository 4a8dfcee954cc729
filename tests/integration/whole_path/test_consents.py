"""Who wants no messages gets none, whoever says so, in every journey and whatever waits already (S-08a)."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from omnijourney.common.v1 import channel_pb2
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.segment.v1 import consent_pb2
from tests.integration.journey.whole_site import LINE, WHATSAPP
from tests.integration.whole_path.stage import Stage, quiet, says

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("S-08a")]

ALL = channel_pb2.CHANNEL_UNSPECIFIED
GIVEN, WITHDRAWN = consent_pb2.CONSENT_STATE_GIVEN, consent_pb2.CONSENT_STATE_WITHDRAWN
API, CHAT = consent_pb2.CONSENT_SOURCE_API, consent_pb2.CONSENT_SOURCE_CHAT
QUIET, SEND = enrolment_pb2.WAIT_REASON_QUIET, enrolment_pb2.WAIT_REASON_SEND


async def say(stage: Stage, customer: str, state: int, channel: int = ALL, **more: Any) -> Any:
    """What a customer wants, by the API."""
    reply = await stage.call("SetConsent", customer_id=customer, channel=channel, state=state, **more)
    return reply.consent


async def held(stage: Stage, customer: str) -> list[tuple[int, int, int]]:
    """What holds, by channel: state and source."""
    reply = await stage.call("ListConsents", customer_id=customer)
    return [(each.channel, each.state, each.source) for each in reply.consents]


async def changes(stage: Stage, customer: str, size: int = 2) -> list[consent_pb2.ConsentChange]:
    """All changes, newest first, read in pages."""
    found, token = [], ""
    while True:
        page = await stage.call("ListConsentChanges", customer_id=customer, page_size=size, page_token=token)
        found += page.consent_changes
        token = page.next_page_token
        if not token:
            return found


async def test_an_opt_out_of_all_holds_in_every_journey_and_for_what_waits(stage: Stage) -> None:
    await stage.at_hour(12)
    module = await stage.module("Hello")
    resting = await stage.live(says("hello", module), do_not_disturb=quiet((11, 14)))
    hurried = await stage.live(says("hello", module))
    leaving, staying = await stage.customers(2)
    await stage.trigger(resting, leaving, staying)
    await stage.until_waiting(resting, QUIET, 2)
    await stage.emulator("post", LINE, "faults", {"kind": "rate", "count": None})
    await stage.trigger(hurried, leaving, staying)
    await stage.until_waiting(hurried, SEND, 2)
    await say(stage, leaving, WITHDRAWN)
    await stage.emulator("delete", LINE, "faults", None)
    await stage.until_done(hurried, 2)
    await stage.at_hour(14)
    await stage.until_done(resting, 2)
    assert await stage.texts(leaving) == []
    assert await stage.texts(staying) == ["Hello", "Hello"]
    for journey_id in (hurried, resting):
        assert (await stage.steps(journey_id, leaving))[-1].endswith("OPTED_OUT")


async def test_what_was_said_last_of_a_channel_or_of_all_holds(stage: Stage) -> None:
    module = await stage.module("Hello")
    journey_id = await stage.live(says("hello", module))
    customer = await stage.customer(LINE, WHATSAPP)
    said = (
        (WITHDRAWN, WHATSAPP, 1),
        (WITHDRAWN, LINE, 1),
        (GIVEN, ALL, 2),
        (WITHDRAWN, ALL, 2),
        (GIVEN, LINE, 3),
    )
    for done, (state, channel, expected) in enumerate(said, 1):
        consent = await say(stage, customer, state, channel)
        assert (consent.channel, consent.state, consent.source) == (channel, state, API)
        await stage.trigger(journey_id, customer)
        await stage.until_done(journey_id, done)
        assert len(await stage.texts(customer)) == expected
    assert await held(stage, customer) == [
        (ALL, WITHDRAWN, API),
        (LINE, GIVEN, API),
        (WHATSAPP, WITHDRAWN, API),
    ]


async def test_changes_are_kept_with_source_note_and_who_recorded_them(stage: Stage) -> None:
    customer = await stage.customer()
    asked = {"request_id": str(new_id()), "note": "by phone"}
    first = await say(stage, customer, WITHDRAWN, LINE, **asked)
    assert await say(stage, customer, WITHDRAWN, LINE, **asked) == first, "the first answer again"
    assert await say(stage, customer, WITHDRAWN, LINE) == first, "it holds already"
    await say(stage, customer, GIVEN)
    await say(stage, customer, WITHDRAWN, LINE)
    found = await changes(stage, customer)
    assert [(c.consent.channel, c.consent.state, c.before_state, c.note) for c in found] == [
        (LINE, WITHDRAWN, GIVEN, ""),
        (ALL, GIVEN, 0, ""),
        (LINE, WITHDRAWN, 0, "by phone"),
    ]
    assert all(c.actor and c.consent.source == API for c in found)
    assert len(await changes(stage, customer, 500)) == 3
    entries = (await stage.call("ListAuditEntries", page_size=10)).audit_entries
    named = [each for each in entries if each.method.endswith("/SetConsent")]
    assert len(named) == 4
    assert "WITHDRAWN" in named[0].after_json
    assert "GIVEN" in named[0].before_json


@pytest.mark.parametrize("call", ["SetConsent", "ListConsents", "ListConsentChanges"])
async def test_nobody_has_no_consents(stage: Stage, call: str) -> None:
    more = {"state": GIVEN} if call == "SetConsent" else {}
    with pytest.raises(grpc.aio.AioRpcError) as nobody:
        await stage.call(call, customer_id=str(new_id()), **more)
    assert nobody.value.code() is grpc.StatusCode.NOT_FOUND
    assert remote_error(nobody.value).reason == "RESOURCE_NOT_FOUND"
