"""Requests that services once fell over, over gRPC: each is refused for what it is, and every service goes on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.json_format import ParseDict

from libs.client import is_serving
from libs.demo.shopfront import customer_id_of
from tests.fuzz.calls import Answer, make
from tests.fuzz.watch import ORDER_GIVEN_UP_S, Bystander
from tests.fuzz.world import MEMBERS, World, world

REQUEST_ID: Final = {"request_id": "attack"}
NUL: Final = "a\0b"
YEAR_1: Final = "0001-01-01T00:00:00Z"
END_OF_9999: Final = "9999-12-31T23:59:59.999999Z"
SPAN_MAX: Final = "315576000000s"
ORDER: Final = {
    "shop_id": "s",
    "order_id": "o",
    "amount": {"currency_code": "HKD", "amount_micros": "1000000"},
}

REFUSED: Final[tuple[tuple[str, Mapping[str, Any]], ...]] = (
    ("ChannelGatewayService/ListChannelAccounts", {"channel": 999}),
    ("ChannelGatewayService/ListChannelAccounts", {"channel": -1}),
    ("ChannelGatewayService/ListDeliveries", {"state": 2147483647}),
    ("ChannelGatewayService/ListInboxRecords", {"state": 2147483647}),
    ("ChannelGatewayService/CreateMessageTemplate", {**REQUEST_ID, "template": {"name": "a", "state": 999}}),
    (
        "ChannelGatewayService/CreateBotModule",
        {**REQUEST_ID, "module": {"name": "a", "cards": [{"condition": {"figure": 999}}]}},
    ),
    (
        "ChannelGatewayService/CreateBotModule",
        {**REQUEST_ID, "module": {"name": "a", "cards": [{"condition": {"figure": 1, "comparison": -1}}]}},
    ),
    ("ChannelGatewayService/CreateShop", {**REQUEST_ID, "shop": {"shop_id": "a", "display_name": NUL}}),
    ("ChannelGatewayService/CreateShopKey", {**REQUEST_ID, "shop_id": "second", "expire_time": END_OF_9999}),
    ("ChannelGatewayService/RetryInboxRecord", {"request_id": NUL, "sequence": "1"}),
    ("JourneyService/ListJourneys", {"statuses": [999]}),
    ("JourneyService/ListEnrolments", {"states": [999]}),
    ("JourneyService/ResumeWorker", {**REQUEST_ID, "worker_id": "\0"}),
    (
        "JourneyService/CreateJourney",
        {
            **REQUEST_ID,
            "definition": {"name": "a", "nodes": [{"node_id": "d", "delay": {"delay": SPAN_MAX}}]},
        },
    ),
    ("PointsService/CreateCoupon", {**REQUEST_ID, "coupon": {"name": "a", "type": 999}}),
    ("PointsService/CreateCoupon", {**REQUEST_ID, "coupon": {"name": "a", "type": 2, "start_time": YEAR_1}}),
    ("SegmentService/CreateAttribute", {"request_id": NUL, "attribute": {"key": "a", "type": 1}}),
    ("SegmentService/RestoreAttribute", {**REQUEST_ID, "key": NUL}),
    ("SegmentService/SetCustomerAttributes", {**REQUEST_ID, "values": {NUL: "a"}}),
    ("MailService/ListMail", {"partition": {"partition": 1, "after_position": "-2147483648"}}),
)
"""Name and request; ids of the team and of a customer of it are added where the request has a field for them."""

ITEM_BY_ITEM: Final[tuple[tuple[str, Mapping[str, Any]], ...]] = (
    (
        "SegmentService/RecordEvents",
        {"events": [{"event_key": "a", "occur_time": YEAR_1, "order_completed": ORDER}]},
    ),
    (
        "SegmentService/RecordEvents",
        {"events": [{"event_key": "b", "occur_time": END_OF_9999, "order_completed": ORDER}]},
    ),
    (
        "CustomersService/ApplyChanges",
        {"changes": [{"effect_key": "a", "mark_marketed": {"at": END_OF_9999}}]},
    ),
    (
        "LedgerService/PostEntries",
        {"postings": [{"key": "a", "occur_time": YEAR_1, "manual": {"points": "1"}}]},
    ),
)
"""Batches: answered OK, with the item refused."""


async def _ask(place: World, name: str, given: Mapping[str, Any]) -> Answer:
    rpc = next(rpc for rpc in place.rpcs if f"{rpc.method.containing_service.name}/{rpc.method.name}" == name)
    request: Any = rpc.asked()
    try:
        ParseDict(dict(given), request)
    except Exception as error:
        raise AssertionError(f"{name} {given}: {error}") from error
    for named in (request, *getattr(request, "events", ()), *getattr(request, "changes", ())):
        for field, value in (
            ("team_id", place.foreign_shop.team_id),
            ("customer_id", customer_id_of(place.foreign_shop.shop_id, MEMBERS[0])),
        ):
            if field in named.DESCRIPTOR.fields_by_name and not getattr(named, field):
                setattr(named, field, value)
    return await make(place.channel(rpc), rpc, [request.SerializeToString()])


@pytest.mark.timeout(480)
async def test_what_services_once_fell_over_is_refused_and_they_go_on(tmp_path: Path) -> None:
    async with world(tmp_path) as place:
        bystander = Bystander(place, seed=1)
        for name, given in REFUSED:
            answer = await _ask(place, name, given)
            assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS"), (
                name,
                given,
                answer,
            )
        for name, given in ITEM_BY_ITEM:
            answer = await _ask(place, name, given)
            assert answer.code == "OK", (name, given, answer)
            assert "REFUSED" in str(answer.answers) or "INVALID" in str(answer.answers), (name, answer)
        assert await bystander.order() < ORDER_GIVEN_UP_S
        assert all([await is_serving(target) for target in place.installation.targets.values()])
        assert not place.deaths
        assert not await place.until_calm()
