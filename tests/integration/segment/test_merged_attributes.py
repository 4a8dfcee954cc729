"""Two attributes made one: whose value stays, what is refused meanwhile, and breaks at each step."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import grpc
import pytest
from pydantic import SecretStr

from libs.cli import attributes, journeys
from libs.client import ClientSettings
from libs.common.ids import new_id
from libs.common.mailbox.mail import ProfileChanged
from libs.common.rpc.errors import remote_error
from libs.testing.fixtures import Servers
from omnijourney.common.v1 import operation_pb2, operations_service_pb2
from omnijourney.journey.v1 import journey_service_pb2, validation_pb2
from services.segment.worker import audience_changes as worker
from tests.integration.segment import test_audience_changes as changes
from tests.integration.segment.conftest import TIMEOUT_S, Segment
from tests.integration.segment.test_audience_changes import PLACES, Site, break_off, refusal
from tests.integration.segment.test_audience_uses import save

SUCCEEDED = operation_pb2.OPERATION_STATE_SUCCEEDED
UNAVAILABLE = (grpc.StatusCode.FAILED_PRECONDITION, "ATTRIBUTE_UNAVAILABLE")

site = changes.site


async def values(segment: Segment, customer: str, **fields: Any) -> dict[str, str]:
    """Attributes of a customer."""
    answer = await segment.call("GetCustomer", customer_id=customer, **fields)
    return dict(answer.customer.attributes)


@pytest.mark.rule("S-01a", "S-05b")
async def test_attributes_are_merged_wherever_that_was_interrupted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.segment.usecases.audience_changes.STEP_CUSTOMERS", 2)
    monkeypatch.setattr(worker, "STEP_CUSTOMERS", 2)
    seen = dict.fromkeys(PLACES, 0)

    def every_other(point: str) -> bool:
        seen[point] += 1
        return bool(seen[point] % 2)

    break_off(monkeypatch, every_other)
    segment = site.segment
    await segment.define("old", "NUMBER")
    await segment.define("new", "NUMBER")
    hidden = await segment.create(attributes={"old": "5", "new": "6"})
    for key in ("old", "new"):
        await segment.call("UpdateAttribute", attribute={"key": key, "type": 1})
    await segment.define("tier", "TEXT")
    long, gold = "ß" * 300, {"tier": "gold"}
    given: list[dict[str, str]] = [
        {"old": "12"},
        {"old": "7", "new": "7"},
        {"old": "large", "new": "Large"},
        {"old": long},
        {"new": "8"},
        {},
    ]
    customers = [await segment.create(attributes={**each, **gold}) for each in given]
    await segment.call("SetCustomerAttributes", customer_id=hidden, values={"old": "12"})
    other = str(new_id())
    await segment.create_team(UUID(other))
    for key in ("old", "new"):
        await segment.call("CreateAttribute", attribute={"key": key, "type": 1}, team_id=other)
    theirs = await segment.call("CreateCustomer", customer={"attributes": {"old": "12"}}, team_id=other)
    facts = len(await segment.facts())
    mail = {each: len(await segment.mail(each)) for each in (*customers, hidden)}
    asked = {"key": "old", "into_key": "new", "request_id": "once"}
    started = await segment.call("MergeAttributes", **asked)
    ended = await site.ended(started.operation)
    assert (ended.state, ended.done_count, ended.total_count, ended.refused_count) == (SUCCEEDED, 5, 5, 1)
    assert all(count >= 4 for count in seen.values()), "each step was interrupted in both places"
    expected = [{"new": "12"}, {"new": "7"}, {"new": "Large"}, {"new": long}, {"new": "8"}, {}]
    assert [await values(segment, each) for each in customers] == [{**each, **gold} for each in expected]
    assert await values(segment, hidden) == {"new": "12"}, "of another type there was none"
    assert await values(segment, theirs.customer.customer_id, team_id=other) == {"old": "12"}
    since = [
        each for each in (await segment.facts())[facts:] if each.customer_id != theirs.customer.customer_id
    ]
    defined = [each for each in await segment.facts() if each.WhichOneof("fact") == "attribute_defined"]
    assert (defined[-1].attribute_defined.key, defined[-1].attribute_defined.state) == ("old", 2)
    assert len(since) == 4, "of three who got a value, and of the definition"
    got = {each for each in mail if len(await segment.mail(each)) > mail[each]}
    assert got == {customers[0], customers[3], hidden}
    assert [type(each.body) for each in await segment.mail(hidden, mail[hidden])] == [ProfileChanged]
    gone = await refusal(segment.call("GetAttribute", key="old"))
    assert gone[:2] == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
    assert (await segment.call("MergeAttributes", **asked)) == started
    await segment.define("old", "TEXT")
    assert await values(segment, customers[2]) == {"new": "Large", **gold}, "what was lost does not come back"


async def test_while_attributes_are_merged_neither_is_changed_and_a_merge_cancelled_goes_on_when_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, mended = asyncio.Event(), asyncio.Event()

    def until_mended(_point: str) -> bool:
        broken.set()
        return not mended.is_set()

    break_off(monkeypatch, until_mended)
    segment = site.segment
    for key in ("old", "new", "third"):
        await segment.define(key, "TEXT")
    customer = await segment.create(attributes={"old": "12"})
    asked = {"key": "old", "into_key": "new"}
    started = await segment.call("MergeAttributes", **asked)
    await broken.wait()
    assert await segment.call("MergeAttributes", **asked) == started
    for name, fields in (
        ("MergeAttributes", {"key": "old", "into_key": "third"}),
        ("MergeAttributes", {"key": "new", "into_key": "third"}),
        ("MergeAttributes", {"key": "third", "into_key": "new"}),
        ("DeleteAttribute", {"key": "old", "force": True}),
        ("DeleteAttribute", {"key": "new", "force": True}),
        ("ArchiveAttribute", {"key": "new"}),
        ("RestoreAttribute", {"key": "old"}),
        ("UpdateAttribute", {"attribute": {"key": "new", "type": 2}}),
        ("UpdateAttribute", {"attribute": {"key": "old", "display_name": "Old"}}),
    ):
        assert (await refusal(segment.call(name, **fields)))[:2] == UNAVAILABLE, (name, fields)
    named = await segment.call("UpdateAttribute", attribute={"key": "new", "display_name": "Size"})
    assert named.attribute.display_name == "Size"
    await site.operations.CancelOperation(
        operations_service_pb2.CancelOperationRequest(
            team_id=str(segment.team_id), request_id="c", operation_id=started.operation.operation_id
        ),
        timeout=TIMEOUT_S,
    )
    mended.set()
    assert (await segment.call("GetAttribute", key="old")).attribute.state == 2
    again = await segment.call("MergeAttributes", **asked)
    assert (await site.ended(again.operation)).state == SUCCEEDED
    assert await values(segment, customer) == {"new": "12"}


async def test_attributes_that_cannot_be_merged_are_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = site.segment
    for key, kind in (("old", "TEXT"), ("age", "NUMBER"), ("away", "TEXT"), ("busy", "NUMBER")):
        await segment.define(key, kind)
    await segment.call("ArchiveAttribute", key="away")
    for into_key, said in (("age", "is of type NUMBER, old of TEXT"), ("old", "is the attribute that goes")):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await segment.call("MergeAttributes", key="old", into_key=into_key)
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        fault = remote_error(error.value).violations[0]
        assert (fault.field, said in fault.description) == ("into_key", True)
    archived = await refusal(segment.call("MergeAttributes", key="old", into_key="away"))
    assert (*archived[:2], archived[2]["key"]) == (*UNAVAILABLE, "away")
    for key, into_key in (("none", "old"), ("old", "none")):
        missing = await refusal(segment.call("MergeAttributes", key=key, into_key=into_key))
        assert missing[:2] == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
    late = await refusal(segment.call("MergeAttributes", key="away", into_key="old", etag="9"))
    assert late[:2] == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    break_off(monkeypatch, lambda _point: True)
    retype = {"attribute": {"key": "busy", "type": 1}, "convert_values": True}
    await segment.call("UpdateAttribute", **retype)
    for key, into_key in (("busy", "old"), ("old", "busy")):
        busy = await refusal(segment.call("MergeAttributes", key=key, into_key=into_key))
        assert busy[:2] == UNAVAILABLE, "values that are not yet converted would be lost"


@pytest.mark.rule("S-04")
async def test_an_attribute_in_use_is_merged_by_force_only(
    site: Site, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    segment = site.segment
    for key in ("tier", "level"):
        await segment.define(key, "TEXT")
    customers = [await segment.create(attributes={"tier": "gold", **each}) for each in ({}, {"level": "1"})]
    gold = {"attribute": {"key": "tier", "text": {"operator": 1, "values": ["gold"]}}}
    audience, journey_id = await save(segment, "golden", gold), str(new_id())
    answers = site.journey.answers
    nobody = answers.pop("ListReferringJourneys")
    away = await refusal(segment.call("MergeAttributes", key="tier", into_key="level"))
    assert away[0] is grpc.StatusCode.UNAVAILABLE
    answers["ListReferringJourneys"] = journey_service_pb2.ListReferringJourneysResponse(
        journeys=[validation_pb2.ReferringJourney(journey_id=journey_id, name="Welcome")]
    )
    code, reason, metadata = await refusal(segment.call("MergeAttributes", key="tier", into_key="level"))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "IN_USE")
    assert metadata["used_by"] == f"journey {journey_id}, saved audience {audience}"
    assert await values(segment, customers[0]) == {"tier": "gold"}
    answers["ListReferringJourneys"] = nobody
    settings: Any = ClientSettings(token=SecretStr(servers.token), segment_target=f"127.0.0.1:{segment.port}")
    team = str(segment.team_id)
    assert await journeys.run(settings, attributes.merge(team, "tier", "level", force=False)) == 1
    assert audience in capsys.readouterr().err
    assert await journeys.run(settings, attributes.merge(team, "tier", "level", force=True)) == 0
    shown = capsys.readouterr()
    assert shown.out == "2 customers, of whom 1 are as they were\n"
    assert shown.err == f"saved audience {audience} names the attribute: golden\n"
    assert [await values(segment, each) for each in customers] == [{"level": "gold"}, {"level": "1"}]
