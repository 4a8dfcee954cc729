"""Who writes on WhatsApp and who orders with that number is one person (P-03b), whose points are open there (P-03c)."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import content_pb2
from omnijourney.common.v1 import channel_pb2
from omnijourney.segment.v1 import customer_pb2, event_pb2, team_pb2
from tests.integration.journey.whole_site import LINE, WHATSAPP, text
from tests.integration.whole_path.stage import Stage, says, until

pytestmark = pytest.mark.asyncio(loop_scope="package")

CLOSED = "nodes[0].message.bot_module_id"


async def _contact(stage: Stage, number: str) -> str:
    """Somebody who joins on WhatsApp, of whom no more is told; their customer id."""
    identity = customer_pb2.IdentityKey(
        channel=channel_pb2.CHANNEL_WHATSAPP, account_id=stage.accounts[WHATSAPP], external_id=number
    )
    event = event_pb2.CustomerEvent(
        team_id=stage.site.team_id,
        event_key=str(new_id()),
        occur_time=timestamp(await stage.site.now()),
        contact_added=event_pb2.ContactAdded(identity=identity),
    )
    (result,) = (await stage.call("RecordEvents", events=[event])).results
    return str(result.customer_id)


async def _until_earned(stage: Stage, customer_id: str, points: int) -> None:
    async def has_earned() -> bool:
        return int((await stage.call("GetBalance", customer_id=customer_id)).balance.balance) == points

    await until(has_earned)


async def _find(stage: Stage, phone: str) -> Any:
    selector = customer_pb2.CustomerSelector(phone=phone)
    return (await stage.call("FindCustomer", selector=selector)).customer


@pytest.mark.rule("P-03b")
@pytest.mark.rule("S-01c")
@pytest.mark.parametrize(
    ("number", "written", "phone"),
    [
        ("886912000003", "0912-000-003", "+886912000003"),
        ("5215512345678", "+52 55 1234 5678", "+525512345678"),
        ("551187654321", "+55 11 98765-4321", "+5511987654321"),
        ("5491123456789", "+54 11 15 2345-6789", "+5491123456789"),
    ],
)
@pytest.mark.parametrize("contact_first", [True, False])
async def test_a_contact_on_whatsapp_and_an_order_with_its_number_are_one_person_and_earn(
    stage: Stage, number: str, written: str, phone: str, contact_first: bool
) -> None:
    await stage.call("SetEarningFormula", amount="100", points="1")
    if contact_first:
        contact = await _contact(stage, number)
        assert (await stage.person(contact)).phone == phone
    await stage.order_by_webhook("", customer={"phone": written})
    if not contact_first:

        async def is_there() -> bool:
            return bool((await stage.call("ListCustomers", keyword=phone)).customers)

        await until(is_there)
        contact = await _contact(stage, number)
    await _until_earned(stage, contact, 5)
    person = await _find(stage, written)
    assert (person.customer_id, person.phone) == (contact, phone)
    assert [identity.key.external_id for identity in person.identities] == [number]
    await stage.order(contact, 200)
    await _until_earned(stage, contact, 7)


@pytest.mark.rule("P-03b")
async def test_who_has_another_phone_keeps_it(stage: Stage) -> None:
    made = await stage.call("CreateCustomer", customer=customer_pb2.Customer(phone="0912-000-007"))
    identity = customer_pb2.IdentityKey(
        channel=channel_pb2.CHANNEL_WHATSAPP, account_id=stage.accounts[WHATSAPP], external_id="886912000008"
    )
    customer_id = made.customer.customer_id
    bound = await stage.call("BindIdentity", customer_id=customer_id, identity=identity)
    assert bound.customer.phone == "+886912000007"
    identity.external_id = "886912000009"
    other = await stage.call("CreateCustomer", customer=customer_pb2.Customer(member_id="M"))
    bound = await stage.call("BindIdentity", customer_id=other.customer.customer_id, identity=identity)
    assert bound.customer.phone == "+886912000009"


@pytest.mark.rule("P-03c")
async def test_points_are_open_to_whatsapp_and_elsewhere_by_a_setting_and_warned_of_where_closed(
    stage: Stage,
) -> None:
    settings = team_pb2.TeamSettings(points_channels=[channel_pb2.CHANNEL_WHATSAPP])
    team = team_pb2.Team(team_id=stage.site.team_id, settings=settings)
    mask = {"paths": ["settings.points_channels"]}
    await stage.call("UpdateTeam", team=team, update_mask=mask)
    module = content_pb2.BotModule(name="P", cards=[text("You have {{points.balance}}")])
    module_id = (await stage.call("CreateBotModule", module=module)).module.bot_module_id
    says_points = says("hello", module_id)
    on_line, on_whatsapp = ({"targets": stage.targets(channel)} for channel in (LINE, WHATSAPP))

    async def warned() -> list[str]:
        return await stage.site.warnings(says_points, **on_line)

    await until(lambda: _is(warned, [CLOSED]))
    there = says("hello", module_id, channel=WHATSAPP)
    assert await stage.site.warnings(there, **on_whatsapp) == []
    team.settings.points_channels.append(channel_pb2.CHANNEL_LINE)
    await stage.call("UpdateTeam", team=team, update_mask=mask)
    await until(lambda: _is(warned, []))


async def _is(found: Any, wanted: list[str]) -> bool:
    return bool(await found() == wanted)
