"""Who uses a thing is told by the call that lets it go, and the call can be asked to leave it then."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from omnijourney.channel_gateway.v1 import content_pb2
from omnijourney.journey.v1 import node_pb2
from omnijourney.points.v1 import coupon_pb2
from omnijourney.segment.v1 import attribute_pb2, audience_pb2
from tests.integration.journey.house import LINE, WHATSAPP
from tests.integration.journey.whole_site import refusal
from tests.integration.whole_path.stage import STATUS, Stage, node, says, waits
from tests.integration.whole_path.test_effects import sends

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("J-07k")]


async def _refused(stage: Stage, name: str, *users: str, **thing: str) -> None:
    """The call leaves the thing, and names all who use it."""
    refused = await refusal(stage.call(name, unless_used=True, **thing))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "IN_USE")
    assert set(refused.metadata["used_by"].split(", ")) == set(users)


async def _unused(stage: Stage, name: str, **thing: str) -> None:
    answer = await stage.call(name, unless_used=True, **thing)
    assert not [field for field, _ in answer.ListFields() if field.name in {"journeys", "users"}]


async def test_modules_templates_and_accounts_tell_the_journeys_that_send_them(stage: Stage) -> None:
    module, template = await stage.module("Hello"), await stage.template("uses")
    live = await stage.live(says("a", module), name="live")
    draft = await stage.draft(says("a", module), waits("b"), name="draft")
    with_template = await stage.live(
        sends("a", template, "Mei"), targets=stage.targets(WHATSAPP), name="template"
    )
    await _refused(stage, "DeleteBotModule", f"journey {live}", f"journey {draft}", bot_module_id=module)
    await _refused(stage, "DeleteMessageTemplate", f"journey {with_template}", message_template_id=template)
    line, whatsapp = stage.accounts[LINE], stage.accounts[WHATSAPP]
    await _refused(
        stage, "DeleteChannelAccount", f"journey {live}", f"journey {draft}", channel_account_id=line
    )
    for journey_id in (live, with_template):
        assert (await stage.seen(journey_id)).status == STATUS.Value("JOURNEY_STATUS_ACTIVE")
    gone: dict[str, Any] = {
        name: await stage.call(name, **thing)
        for name, thing in {
            "DeleteBotModule": {"bot_module_id": module},
            "DeleteMessageTemplate": {"message_template_id": template},
        }.items()
    }
    named = {
        name: {(each.journey_id, each.name) for each in answer.journeys} for name, answer in gone.items()
    }
    assert named == {
        "DeleteBotModule": {(live, "live"), (draft, "draft")},
        "DeleteMessageTemplate": {(with_template, "template")},
    }
    await _unused(stage, "DeleteBotModule", bot_module_id=await stage.module("Nobody sends it"))
    # A journey that has stopped uses nothing any more.
    await stage.until_status(with_template, STATUS.Value("JOURNEY_STATUS_STOPPED"))
    await _unused(stage, "DeleteChannelAccount", channel_account_id=whatsapp)


async def test_attributes_and_coupons_tell_who_names_them(stage: Stage) -> None:
    for key in ("tier", "other"):
        attribute = attribute_pb2.Attribute(key=key, type=attribute_pb2.ATTRIBUTE_TYPE_TEXT)
        await stage.call("CreateAttribute", attribute=attribute)
    gold = audience_pb2.AttributePredicate(key="tier", is_set=audience_pb2.IsSet())
    saved = audience_pb2.SavedAudience(name="gold", audience=audience_pb2.Audience(attribute=gold))
    made = (await stage.call("CreateSavedAudience", saved_audience=saved)).saved_audience
    coupon = coupon_pb2.Coupon(name="Mug", type=coupon_pb2.COUPON_TYPE_MARKETING)
    coupon_id = (await stage.call("CreateCoupon", coupon=coupon)).coupon.coupon_id
    offered = content_pb2.BotModule(name="offer")
    offered.cards.add().coupon.CopyFrom(
        content_pb2.CouponCard(coupon_id=coupon_id, text="A mug", button_label="Claim")
    )
    offered.cards.add().text.text = "{{attribute.tier}}"
    module = (await stage.call("CreateBotModule", module=offered)).module.bot_module_id
    offers = await stage.live(says("a", module), name="offers")
    tier = node_pb2.AttributeNode(key="tier", text="gold")
    sets = await stage.live(node("a", attribute=tier), name="sets")
    await _refused(
        stage,
        "ArchiveAttribute",
        *(f"journey {offers}", f"journey {sets}", f"saved audience {made.saved_audience_id}"),
        key="tier",
    )
    await _refused(stage, "ArchiveCoupon", f"journey {offers}", coupon_id=coupon_id)
    archived = await stage.call("ArchiveCoupon", coupon_id=coupon_id)
    assert (archived.coupon.archived, [each.name for each in archived.journeys]) == (True, ["offers"])
    users = (await stage.call("ArchiveAttribute", key="tier")).users
    assert {each.name for each in users} == {"offers", "sets", "gold"}
    await _unused(stage, "ArchiveAttribute", key="other")
