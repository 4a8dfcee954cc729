"""Journeys as texts on their whole path: exported, compared, applied and published, by RPC and by command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator
from redis.asyncio import Redis

from libs.common.ids import new_id
from libs.testing.fixtures import Databases, Servers
from omnijourney.channel_gateway.v1 import account_pb2, content_pb2
from omnijourney.common.v1 import channel_pb2
from omnijourney.journey.v1 import journey_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from tests.command_line import Done
from tests.integration.journey.command_line import command
from tests.integration.journey.whole_site import (
    ALL,
    LINE,
    Site,
    definition_of,
    refusal,
    say,
    serving_site,
    text,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

YAML, JSON = pb.TEXT_FORMAT_YAML, pb.TEXT_FORMAT_JSON
DRAFT, ACTIVE = journey_pb2.JOURNEY_STATUS_DRAFT, journey_pb2.JOURNEY_STATUS_ACTIVE
HELLO = """\
name: Hello
trigger:
  checkout_completed: {}
targets:
- channel: LINE
  account: Shop
nodes:
- node_id: hi
  message:
    channel: LINE
    bot_module: Hi
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(servers: Servers, databases: Databases) -> AsyncIterator[Site]:
    """Four services, once for all tests here: each test has a team of its own."""
    async with Redis.from_url(servers.redis_url, protocol=2) as redis:
        await redis.flushall()
    async with serving_site(servers, databases) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="module")
async def site(services: Site) -> Site:
    """The same with a team that has an account and a bot module by the names that the text has."""
    await services.team(ALL)
    await account(services, "Shop")
    await module(services, "Hi")
    return services


async def account(site: Site, name: str, channel: channel_pb2.Channel.ValueType = LINE) -> str:
    made = account_pb2.ChannelAccount(channel=channel, display_name=name)
    made.sink.SetInParent()
    return str((await site.call("CreateChannelAccount", account=made)).account.channel_account_id)


async def module(site: Site, name: str) -> str:
    made = content_pb2.BotModule(name=name, cards=[text("Hi")])
    return str((await site.call("CreateBotModule", module=made)).module.bot_module_id)


async def apply(site: Site, content: str = HELLO, **fields: Any) -> pb.ApplyJourneyResponse:
    answer: pb.ApplyJourneyResponse = await site.call(
        "ApplyJourney", **{"format": YAML, "content": content, **fields}
    )
    return answer


async def names(site: Site) -> list[str]:
    return [each.definition.name for each in (await site.call("ListJourneys")).journeys]


def told(answer: pb.ApplyJourneyResponse) -> list[str]:
    return [change.field for change in answer.changes]


@pytest.mark.rule("J-42a")
async def test_what_is_exported_from_one_team_is_applied_in_another(site: Site) -> None:
    made = (await apply(site)).journey
    content = (await site.call("ExportJourney", journey_id=made.journey_id, format=YAML)).content
    assert content == HELLO
    await site.team(ALL)
    ids = {await account(site, "Shop"), await module(site, "Hi")}
    for text_format in (YAML, JSON):
        copied = (await apply(site, content, format=text_format)).journey
        target, node = copied.definition.targets[0], copied.definition.nodes[0]
        assert {target.account_id, node.message.bot_module_id} == ids
        request = {"journey_id": copied.journey_id, "format": JSON}
        content = (await site.call("ExportJourney", **request)).content
    assert json.loads(content)["targets"] == [{"channel": "LINE", "account": "Shop"}]
    imported = (await site.call("ImportJourney", content=content, format=JSON)).journey
    assert (imported.status, imported.definition) == (DRAFT, copied.definition)
    assert await names(site) == ["Hello", "Hello"]


async def test_a_text_that_is_applied_again_changes_nothing_and_makes_no_revision(site: Site) -> None:
    first = await apply(site)
    assert first.created
    assert told(first) == [""]
    again = await apply(site)
    assert not again.created
    assert told(again) == []
    assert again.journey == first.journey
    edited = await apply(site, HELLO.replace("checkout_completed", "system"))
    assert told(edited) == ["trigger.checkout_completed", "trigger.system"]
    assert (edited.journey.journey_id, edited.journey.revision) == (first.journey.journey_id, 2)
    left_out = await apply(site, "name: Hello\n")
    assert set(told(left_out)) == {"nodes[hi]", "targets[0]", "trigger"}
    compared = await site.call(
        "CompareRevisions", journey_id=first.journey.journey_id, before_revision=1, after_revision=2
    )
    assert list(compared.changes) == list(edited.changes)
    assert compared.before_definition == first.journey.definition
    assert compared.after_definition == edited.journey.definition
    restored = await site.call("RestoreRevision", journey_id=first.journey.journey_id, revision=1)
    assert (restored.journey.revision, restored.journey.definition) == (4, first.journey.definition)
    nothing = await refusal(site.call("RestoreRevision", journey_id=first.journey.journey_id, revision=9))
    assert nothing.code is grpc.StatusCode.NOT_FOUND


async def test_a_dry_run_answers_what_would_be_and_changes_nothing(site: Site) -> None:
    request_id = str(new_id())
    would = await apply(site, dry_run=True, request_id=request_id)
    assert would.created
    assert (would.journey.journey_id, would.journey.etag) == ("", "")
    assert await names(site) == []
    made = (await apply(site, request_id=request_id)).journey
    would = await apply(site, HELLO.replace("hi", "ho"), dry_run=True)
    assert told(would) == ["nodes", "nodes[hi]", "nodes[ho]"]
    assert (would.journey.journey_id, would.journey.revision) == (made.journey_id, 2)
    assert (await site.call("GetJourney", journey_id=made.journey_id)).journey == made
    assert len((await site.call("ListAuditEntries")).audit_entries) > 0
    methods = [each.method for each in (await site.call("ListAuditEntries")).audit_entries]
    assert len([each for each in methods if each.endswith("ApplyJourney")]) == 1


async def test_two_who_apply_the_same_new_name_at_once_make_one_journey(site: Site) -> None:
    answers = await asyncio.gather(*(apply(site) for _ in range(4)), return_exceptions=True)
    made = [each for each in answers if isinstance(each, pb.ApplyJourneyResponse)]
    refused = [each for each in answers if isinstance(each, grpc.aio.AioRpcError)]
    assert [each.created for each in made].count(True) == 1
    assert {each.code() for each in refused} <= {grpc.StatusCode.ABORTED}
    assert await names(site) == ["Hello"]


async def test_a_repeated_request_gets_its_first_answer(site: Site) -> None:
    request_id = str(new_id())
    first = await apply(site, request_id=request_id)
    await site.call("CopyJourney", journey_id=first.journey.journey_id)
    assert await apply(site, request_id=request_id) == first
    told_of_two = await refusal(apply(site))
    assert [fault.field for fault in told_of_two.violations] == ["journey_id"]
    by_id = await apply(site, HELLO.replace("hi", "ho"), journey_id=first.journey.journey_id)
    assert by_id.journey.revision == 2


async def test_an_etag_holds_an_apply_to_what_was_seen(site: Site) -> None:
    made = (await apply(site)).journey
    changed = (await apply(site, HELLO.replace("hi", "ho"), etag=made.etag)).journey
    late = await refusal(apply(site, etag=made.etag))
    assert (late.code, late.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    gone = await refusal(apply(site, HELLO.replace("Hello", "Other"), etag=changed.etag))
    assert (gone.code, gone.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    nobody = await refusal(apply(site, journey_id=str(new_id())))
    assert nobody.code is grpc.StatusCode.NOT_FOUND


async def test_what_is_live_takes_what_an_edit_of_it_may_change(site: Site) -> None:
    made = (await apply(site)).journey
    await site.call("PublishJourney", journey_id=made.journey_id)
    await module(site, "Ho")
    for dry_run in (True, False):
        edited = await apply(site, HELLO.replace("module: Hi", "module: Ho"), dry_run=dry_run)
        assert told(edited) == ["nodes[hi].message.bot_module_id"]
        assert edited.journey.status == ACTIVE
        refused = await refusal(apply(site, HELLO.replace("node_id: hi", "node_id: ho"), dry_run=dry_run))
        assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "EDIT_FORBIDDEN")
        faulty = await refusal(apply(site, HELLO + "    bot_module_id: x\n", dry_run=dry_run))
        assert faulty.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_faults_of_a_text_are_told_with_lines_by_every_door(site: Site) -> None:
    faulty = HELLO.replace("account: Shop", "account: Shpo").replace("bot_module: Hi", "bot_modul: Hi")
    found = {
        "targets[0].account_id": "line 6: there is no account 'Shpo' on LINE",
        "nodes[0].message.bot_modul": "line 11: is not known here; is bot_module meant?",
    }
    for call in (
        apply(site, faulty),
        apply(site, faulty, dry_run=True),
        site.call("ImportJourney", content=faulty, format=YAML),
        site.call("ValidateJourney", text=pb.DefinitionText(format=YAML, content=faulty)),
    ):
        refused = await refusal(call)
        assert refused.reason == "INVALID_FIELDS"
        assert {fault.field: fault.description for fault in refused.violations} == found
    assert await names(site) == []


async def test_a_text_is_validated_as_publishing_it_would_be_with_lines(site: Site) -> None:
    content = (
        HELLO + "  next_node_id: nowhere\n- node_id: alone\n  attribute:\n    key: tier\n    text: gold\n"
    )
    validated = await site.call("ValidateJourney", text=pb.DefinitionText(format=YAML, content=content))
    assert {(fault.field, fault.line) for fault in validated.faults} == {
        ("nodes[0].next_node_id", 12),
        ("nodes[1]", 13),
        ("nodes[1].attribute.key", 15),
    }
    sound = await site.call("ValidateJourney", text=pb.DefinitionText(format=YAML, content=HELLO))
    assert not sound.faults


async def test_a_name_that_two_things_share_is_told_with_their_ids(site: Site) -> None:
    second = await module(site, "Hi")
    refused = await refusal(apply(site))
    (fault,) = refused.violations
    assert fault.field == "nodes[0].message.bot_module_id"
    assert fault.description.startswith("line 11: 2 bot modules are called 'Hi': give the id, one of ")
    made = (await apply(site, HELLO.replace("bot_module: Hi", f"bot_module_id: {second}"))).journey
    content = (await site.call("ExportJourney", journey_id=made.journey_id, format=YAML)).content
    assert f'bot_module_id: "{second}"' in content


async def test_a_draft_with_gaps_comes_back_as_it_was(site: Site) -> None:
    made = (await apply(site, "name: Gaps\nnodes:\n- node_id: a\n  message: {}\n- {}\n")).journey
    content = (await site.call("ExportJourney", journey_id=made.journey_id, format=YAML)).content
    assert content == "name: Gaps\nnodes:\n- node_id: a\n  message: {}\n- {}\n"
    assert told(await apply(site, content)) == []


@pytest.mark.rule("J-42c")
async def test_the_schema_can_be_had_and_takes_what_is_exported(site: Site) -> None:
    schema = Draft202012Validator(json.loads((await site.call("GetDefinitionSchema")).schema))
    made = (await apply(site)).journey
    exported = await site.call("ExportJourney", journey_id=made.journey_id, format=JSON)
    assert schema.is_valid(json.loads(exported.content))


@pytest.mark.timeout(300)
@pytest.mark.rule("J-42b")
async def test_the_command_line_takes_a_journey_from_a_file_to_its_stop(
    site: Site, servers: Servers, tmp_path: Path
) -> None:
    async def run(*arguments: str) -> Done:
        return await command(site, servers, tmp_path, *arguments)

    (tmp_path / "hello.yaml").write_text(HELLO)
    (tmp_path / "bad.yaml").write_text(
        HELLO.replace("Hello", "Bad").replace("account: Shop", "account: Shpo")
    )
    validated = await run("validate", "hello.yaml", "bad.yaml")
    assert (validated.code, validated.out) == (1, "hello.yaml: could be published\n")
    assert (
        "bad.yaml:6: targets[0].account_id: there is no account 'Shpo' on LINE" in validated.err.splitlines()
    )
    new = await run("diff", "hello.yaml", "--exit-code")
    assert (new.code, new.out) == (3, "hello.yaml: 'Hello' would be a new draft\n")
    applied = await run("apply", "bad.yaml", "hello.yaml")
    assert applied.code == 1, "one of them is faulty, the other is applied"
    assert await names(site) == ["Hello"]
    assert (await run("diff", "hello.yaml", "--exit-code")).out == "hello.yaml: 'Hello': no difference\n"
    assert (await run("get", "Hello")).out == HELLO
    assert "ACTIVE" in (await run("publish", "Hello")).out
    listed = await run("list")
    assert "ACTIVE" in listed.out
    assert listed.out.endswith("  Hello\n")
    (tmp_path / "hello.yaml").write_text(HELLO.replace("node_id: hi", "node_id: ho"))
    refused = await run("apply", "hello.yaml")
    assert (refused.code, "EDIT_FORBIDDEN" in refused.err or "does not allow" in refused.err) == (1, True)
    assert "STOP" in (await run("stop", "Hello")).out
    assert (await run("stop", "Nobody")).err == "Nobody: there is no journey 'Nobody'\n"
    schema = await run("schema")
    Draft202012Validator.check_schema(json.loads(schema.out))


async def test_texts_that_name_something_wait_for_the_gateway(site: Site) -> None:
    made = (await site.call("CreateJourney", definition=definition_of(say(LINE, str(new_id()))))).journey
    await site.stack.aclose()
    for call in (apply(site), site.call("ExportJourney", journey_id=made.journey_id, format=YAML)):
        assert (await refusal(call)).code is grpc.StatusCode.UNAVAILABLE
