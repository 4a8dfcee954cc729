"""Tags renamed, merged and deleted, and traits changed, of everyone in an audience."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest
from pydantic import SecretStr

from libs.cli import attributes, journeys, records, tags
from libs.client import ClientSettings
from libs.common.errors import ResourceExhausted
from libs.common.ids import new_id
from libs.common.mailbox.mail import ProfileChanged, TagRemoved
from libs.common.rpc.errors import remote_error
from libs.common.rpc.values import duration
from libs.testing.feeds import FeedServer
from libs.testing.fixtures import Database, Servers
from omnijourney.common.v1 import operation_pb2, operations_service_pb2
from omnijourney.common.v1.operations_service_pb2_grpc import OperationsServiceStub
from omnijourney.journey.v1 import journey_service_pb2, validation_pb2
from services.segment.worker import audience_changes as worker
from tests.integration.segment.conftest import TIMEOUT_S, Segment, serving_segment
from tests.integration.segment.test_audience_uses import save

SUCCEEDED, FAILED = operation_pb2.OPERATION_STATE_SUCCEEDED, operation_pb2.OPERATION_STATE_FAILED
PLACES = ("segment.before_audience_change_commit", "segment.after_audience_change")
VIP = {"tags": {"operator": 1, "tags": ["vip"]}}


@dataclass
class Site:
    """Segment with its operations, and journey, which says who names a thing."""

    segment: Segment
    operations: Any
    journey: FeedServer

    async def ended(self, operation: operation_pb2.Operation) -> operation_pb2.Operation:
        """The operation at its end."""
        request = operations_service_pb2.WaitOperationRequest(
            team_id=str(self.segment.team_id),
            operation_id=operation.operation_id,
            wait=duration(timedelta(seconds=20)),
        )
        found: operation_pb2.Operation = (
            await self.operations.WaitOperation(request, timeout=TIMEOUT_S)
        ).operation
        return found

    async def tags(self) -> dict[str, int]:
        """In use, as they are written."""
        listed = (await self.segment.call("ListTags")).tags
        return {each.tag: each.customer_count for each in listed}


@pytest.fixture
async def site(servers: Servers, database: Database, redis: object) -> AsyncIterator[Site]:
    """One team."""
    async with (
        FeedServer("journey").serving() as journey,
        serving_segment(servers, database, journey_target=f"127.0.0.1:{journey.port}") as segment,
        servers.channel(segment.port) as channel,
    ):
        journey.answers["ListReferringJourneys"] = journey_service_pb2.ListReferringJourneysResponse()
        yield Site(segment, OperationsServiceStub(channel), journey)


async def refusal(call: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """Code, reason and metadata."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    told = remote_error(error.value)
    return error.value.code(), told.reason, dict(told.metadata)


def break_off(monkeypatch: pytest.MonkeyPatch, breaks: Callable[[str], bool]) -> None:
    """Interrupts the work at its places, when `breaks` says so."""

    def reach(point: str) -> None:
        if point in PLACES and breaks(point):
            raise ResourceExhausted.overloaded("the test", 1.0)

    monkeypatch.setattr("services.segment.worker.audience_changes.crash.reach", reach)
    monkeypatch.setattr("libs.common.stepping._RETRY_S", 0.01)


async def test_a_tag_is_renamed_for_everyone_and_triggers_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "STEP_CUSTOMERS", 2)
    monkeypatch.setattr("services.segment.usecases.audience_changes.STEP_CUSTOMERS", 2)
    customers = [await site.segment.create(tags=["VIP", "old"]) for _ in range(5)]
    await site.segment.create(tags=["old"])
    audience = await save(site.segment, "vips", VIP)
    mail = len(await site.segment.mail(customers[0]))
    started = await site.segment.call("RenameTag", tag="vip", new_tag="gold")
    assert [(each.saved_audience_id, each.name) for each in started.users] == [(audience, "vips")]
    ended = await site.ended(started.operation)
    assert (ended.state, ended.done_count, ended.total_count) == (SUCCEEDED, 5, 5)
    assert await site.tags() == {"gold": 5, "old": 6}
    since = [type(each.body) for each in (await site.segment.mail(customers[0]))[mail:]]
    assert since == [ProfileChanged, TagRemoved]
    missing = await refusal(site.segment.call("RenameTag", tag="vip", new_tag="x"))
    assert missing[:2] == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
    taken = await refusal(site.segment.call("RenameTag", tag="gold", new_tag="OLD"))
    assert taken[:2] == (grpc.StatusCode.ALREADY_EXISTS, "DUPLICATE_VALUE")
    merged = await site.segment.call("RenameTag", tag="gold", new_tag="OLD", merge=True)
    assert (await site.ended(merged.operation)).state == SUCCEEDED
    assert await site.tags() == {"old": 6}
    spelled = await site.segment.call("RenameTag", tag="old", new_tag="Old")
    assert (await site.ended(spelled.operation)).done_count == 6
    assert await site.tags() == {"Old": 6}
    copied = await site.segment.call("RenameTag", tag=" old\u200b", new_tag="\ufeff New ")
    assert (await site.ended(copied.operation)).done_count == 6
    assert await site.tags() == {"New": 6}
    for odd in ("\u200b", "a\nb"):
        refused = await refusal(site.segment.call("RenameTag", tag="New", new_tag=odd))
        assert refused[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELDS")


@pytest.mark.rule("S-04")
async def test_a_tag_in_use_is_deleted_by_force_only(site: Site) -> None:
    customer = await site.segment.create(tags=["vip", "gold"])
    audience, journey_id = await save(site.segment, "vips", VIP), str(new_id())
    site.journey.answers["ListReferringJourneys"] = journey_service_pb2.ListReferringJourneysResponse(
        journeys=[validation_pb2.ReferringJourney(journey_id=journey_id, name="Welcome")]
    )
    code, reason, metadata = await refusal(site.segment.call("DeleteTag", tag="VIP"))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "IN_USE")
    assert metadata["used_by"] == f"journey {journey_id}, saved audience {audience}"
    assert await site.tags() == {"vip": 1, "gold": 1}
    started = await site.segment.call("DeleteTag", tag="VIP", force=True)
    assert {each.journey_id or each.saved_audience_id for each in started.users} == {journey_id, audience}
    assert (await site.ended(started.operation)).state == SUCCEEDED
    assert await site.tags() == {"gold": 1}
    assert list((await site.segment.customer(customer)).tags) == ["gold"]


async def test_everyone_in_an_audience_is_changed(site: Site) -> None:
    await site.segment.define("tier", "TEXT")
    await site.segment.define("age", "NUMBER")
    changed, full, other = [
        await site.segment.create(tags=tags, attributes={"age": "5"})
        for tags in (["vip"], ["vip", *(f"t{n}" for n in range(199))], ["gold"])
    ]
    wanted = {"audience": VIP, "add_tags": ["seen"], "set_attributes": {"tier": "gold", "age": "7.50"}}
    started = await site.segment.call("StartCustomerChange", triggers=True, **wanted)
    ended = await site.ended(started.operation)
    assert (ended.state, ended.done_count, ended.total_count) == (SUCCEEDED, 2, 2)
    found = await site.segment.customer(changed)
    assert (sorted(found.tags), dict(found.attributes)) == (["seen", "vip"], {"age": "7.5", "tier": "gold"})
    assert dict((await site.segment.customer(other)).attributes) == {"age": "5"}
    left = await site.segment.customer(full)
    assert ("seen" in left.tags) == (ended.refused_count == 0)
    listed = await site.operations.ListOperations(
        operations_service_pb2.ListOperationsRequest(team_id=str(site.segment.team_id)), timeout=TIMEOUT_S
    )
    assert [each.operation_id for each in listed.operations] == [ended.operation_id]
    cancelled = await site.operations.CancelOperation(
        operations_service_pb2.CancelOperationRequest(
            team_id=str(site.segment.team_id), request_id="c", operation_id=ended.operation_id
        ),
        timeout=TIMEOUT_S,
    )
    assert cancelled.operation.state == SUCCEEDED


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "add_tags"),
        ({"add_tags": ["a"], "remove_tags": ["Ａ"]}, "remove_tags"),
        ({"set_attributes": {"none": "1"}}, "set_attributes[none]"),
        ({"set_attributes": {"age": "much"}}, "set_attributes[age]"),
        ({"add_tags": ["a"], "audience": {"tags": {"operator": 1}}}, "audience.tags.tags"),
    ],
)
async def test_what_cannot_be_done_is_refused_at_once(site: Site, fields: dict[str, Any], named: str) -> None:
    await site.segment.define("age", "NUMBER")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await site.segment.call("StartCustomerChange", **{"audience": VIP, **fields})
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert named in [each.field for each in remote_error(error.value).violations]


async def test_tags_are_looked_after_on_the_command_line(
    site: Site, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: Any = ClientSettings(
        token=SecretStr(servers.token), segment_target=f"127.0.0.1:{site.segment.port}"
    )
    team = str(site.segment.team_id)
    for tags_of_one in (["vip"], ["vip", "gold"]):
        await site.segment.create(tags=tags_of_one)
    audience = await save(site.segment, "vips", VIP)
    assert await journeys.run(settings, tags.rename(team, "vip", "gold", merge=False)) == 1
    assert "is taken" in capsys.readouterr().err
    assert await journeys.run(settings, tags.rename(team, "vip", "gold", merge=True)) == 0
    shown = capsys.readouterr()
    assert shown.out == "2 customers\n"
    assert shown.err == f"saved audience {audience} still names the tag: vips\n"
    assert await journeys.run(settings, tags.delete(team, "gold", force=False)) == 0
    assert await journeys.run(settings, records.tags(team, 0, as_json=False)) == 0
    assert capsys.readouterr().out == "2 customers\n"


async def test_values_that_fit_a_new_type_are_kept(site: Site) -> None:
    await site.segment.define("age", "TEXT")
    values = ("7.50", "12", "much", "2026-01-31", None)
    customers = [await site.segment.create(attributes={"age": value} if value else {}) for value in values]
    seen = await site.segment.call("PreviewAttributeType", key="age", type=2)
    assert (seen.value_count, seen.fitting_count) == (4, 2)
    assert sorted(seen.misfits) == ["2026-01-31", "much"]
    changed = await site.segment.call(
        "UpdateAttribute", attribute={"key": "age", "type": 2}, convert_values=True
    )
    ended = await site.ended(changed.operation)
    assert (ended.state, ended.done_count, ended.refused_count) == (SUCCEEDED, 5, 2)
    kept = [dict((await site.segment.customer(each)).attributes) for each in customers]
    assert kept == [{"age": "7.5"}, {"age": "12"}, {}, {}, {}]
    more = {"attribute": {"key": "age", "number": {"operator": 5, "value": "10"}}}
    assert (await site.segment.call("CountAudience", audience=more)).customer_count == 1
    again = await site.segment.call(
        "UpdateAttribute", attribute={"key": "age", "type": 2}, convert_values=True
    )
    assert not again.HasField("operation")


@pytest.mark.rule("S-01a")
async def test_an_attribute_is_deleted_with_everyone_s_values_wherever_it_was_interrupted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.segment.usecases.audience_changes.STEP_CUSTOMERS", 2)
    monkeypatch.setattr(worker, "STEP_CUSTOMERS", 2)
    broken, mended, seen = asyncio.Event(), asyncio.Event(), dict.fromkeys(PLACES, 0)

    def every_other_once_mended(point: str) -> bool:
        seen[point] += 1
        if seen[PLACES[0]] > 1 and not mended.is_set():
            broken.set()
            return True
        return mended.is_set() and bool(seen[point] % 2)

    segment = site.segment
    for key in ("size", "tier"):
        await segment.define(key, "TEXT")
    values = ("12", "large", "x" * 300, "7", "12")
    customers = [await segment.create(attributes={"size": each, "tier": "gold"}) for each in values]
    facts, mail = len(await segment.facts()), len(await segment.mail(customers[0]))
    break_off(monkeypatch, every_other_once_mended)
    asked = {"key": "size", "request_id": "once"}
    started = await segment.call("DeleteAttribute", **asked)
    await broken.wait()
    assert (await segment.call("DeleteAttribute", **asked)) == started
    going_on = await segment.call("DeleteAttribute", key="size")
    assert going_on.operation.operation_id == started.operation.operation_id
    kept = await refusal(segment.call("RestoreAttribute", key="size"))
    assert kept[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "ATTRIBUTE_UNAVAILABLE")
    text = {"attribute": {"key": "size", "type": 1}}
    taken = await refusal(segment.call("CreateAttribute", **text))
    assert taken[:2] == (grpc.StatusCode.ALREADY_EXISTS, "DUPLICATE_VALUE")
    mended.set()
    ended = await site.ended(started.operation)
    assert (ended.state, ended.done_count, ended.total_count) == (SUCCEEDED, 5, 5)
    assert seen[PLACES[0]] >= 5, "what was interrupted was done again, and the last finds nobody"
    gone = await refusal(segment.call("DeleteAttribute", key="size"))
    assert gone[:2] == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
    assert (await segment.call("DeleteAttribute", **asked)) == started
    assert len(await segment.facts()) == facts + 1, "of the definition, which was archived"
    assert len(await segment.mail(customers[0])) == mail
    await segment.call("CreateAttribute", **text)
    found = [dict((await segment.customer(each)).attributes) for each in customers]
    assert found == [{"tier": "gold"}] * 5, "also as the type that the values had they are not there"
    await site.ended((await segment.call("DeleteAttribute", key="size")).operation)
    await segment.define("size", "NUMBER")
    await segment.call("SetCustomerAttributes", customer_id=customers[0], values={"size": "7.50"})
    assert (await segment.customer(customers[0])).attributes["size"] == "7.5"


@pytest.mark.rule("S-04")
async def test_an_attribute_in_use_is_deleted_by_force_only(site: Site) -> None:
    segment = site.segment
    await segment.define("tier", "TEXT")
    customer = await segment.create(attributes={"tier": "gold"})
    gold = {"attribute": {"key": "tier", "text": {"operator": 1, "values": ["gold"]}}}
    audience, journey_id = await save(segment, "golden", gold), str(new_id())
    site.journey.answers["ListReferringJourneys"] = journey_service_pb2.ListReferringJourneysResponse(
        journeys=[validation_pb2.ReferringJourney(journey_id=journey_id, name="Welcome")]
    )
    code, reason, metadata = await refusal(segment.call("DeleteAttribute", key="tier"))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "IN_USE")
    assert metadata["used_by"] == f"journey {journey_id}, saved audience {audience}"
    assert (await segment.customer(customer)).attributes["tier"] == "gold"
    other = str(new_id())
    await segment.create_team(UUID(other))
    missing = await refusal(segment.call("DeleteAttribute", key="tier", team_id=other))
    assert missing[:2] == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
    await segment.call("CreateAttribute", attribute={"key": "tier", "type": 1}, team_id=other)
    theirs = await segment.call("CreateCustomer", customer={"attributes": {"tier": "gold"}}, team_id=other)
    started = await segment.call("DeleteAttribute", key="tier", force=True)
    assert {each.journey_id or each.saved_audience_id for each in started.users} == {journey_id, audience}
    assert (await site.ended(started.operation)).state == SUCCEEDED
    assert dict((await segment.customer(customer)).attributes) == {}
    asked = {"customer_id": theirs.customer.customer_id, "team_id": other}
    assert (await segment.call("GetCustomer", **asked)).customer.attributes["tier"] == "gold"
    told = [f.attribute_defined for f in await segment.facts() if f.WhichOneof("fact") == "attribute_defined"]
    assert [(each.key, each.state) for each in told] == [("tier", 1), ("tier", 2)]


async def test_an_attribute_is_deleted_on_the_command_line(
    site: Site, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: Any = ClientSettings(
        token=SecretStr(servers.token), segment_target=f"127.0.0.1:{site.segment.port}"
    )
    team = str(site.segment.team_id)
    await site.segment.define("tier", "TEXT")
    await site.segment.create(attributes={"tier": "gold"})
    gold = {"attribute": {"key": "tier", "text": {"operator": 1, "values": ["gold"]}}}
    audience = await save(site.segment, "golden", gold)
    assert await journeys.run(settings, attributes.delete(team, "tier", force=False)) == 1
    assert audience in capsys.readouterr().err
    assert await journeys.run(settings, attributes.delete(team, "tier", force=True)) == 0
    shown = capsys.readouterr()
    assert shown.out == "1 customers\n"
    assert shown.err == f"saved audience {audience} names the attribute: golden\n"
