"""One of each kind of thing that a team can have, beside what the demo makes."""

import hashlib
import uuid
from collections.abc import Iterator

from google.protobuf.message import Message

from libs.client import Client
from libs.demo.patience import call
from libs.demo.shopfront import Shopfront, customer_id_of
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1.webhook_pb2 import Shop
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.points.v1.coupon_pb2 import COUPON_TYPE_MARKETING, Coupon
from omnijourney.points.v1.points_import_pb2 import ImportRowInput, PointsImport
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.attribute_pb2 import ATTRIBUTE_TYPE_NUMBER, Attribute
from omnijourney.segment.v1.audience_pb2 import (
    TAG_OPERATOR_ANY_OF,
    Audience,
    SavedAudience,
    TagPredicate,
)

FIRST_MEMBER = 100
FILE = b"member_id,points\n100,5\n101,-2\n"
"""Of the imports: what is uploaded to them has to be this."""


async def furnish(client: Client, shop: Shopfront) -> None:
    """Makes them; a call may be made again."""
    team, customer = shop.team_id, customer_id_of(shop.shop_id, FIRST_MEMBER)
    coupon = Coupon(team_id=team, name="Free tea", type=COUPON_TYPE_MARKETING)
    asked = points.CreateCouponRequest(team_id=team, request_id=_key(shop, "coupon"), coupon=coupon)
    coupon_id = (await call(client.points.CreateCoupon, asked)).coupon.coupon_id
    done, _open = [await _import(client, shop, name) for name in ("done", "open")]
    for request in (*_of_segment(shop, customer), *_of_points(shop, customer, coupon_id, done)):
        stub = client.segment if ".segment." in request.DESCRIPTOR.full_name else client.points
        await call(getattr(stub, request.DESCRIPTOR.name.removesuffix("Request")), request)
    second = Shop(shop_id="second", display_name="Second", enabled=True)
    shop_asked = gateway.CreateShopRequest(team_id=team, request_id=_key(shop, "shop"), shop=second)
    await call(client.channel_gateway.CreateShop, shop_asked)
    await call(client.journey.TriggerJourneys, _trigger(shop, customer))


async def _import(client: Client, shop: Shopfront, name: str) -> str:
    digest = hashlib.sha256(FILE).digest()
    file = PointsImport(team_id=shop.team_id, file_name=name, file_sha256=digest, repeat=name == "open")
    asked = points.CreateImportRequest(team_id=shop.team_id, request_id=_key(shop, name), points_import=file)
    return (await call(client.points.CreateImport, asked)).points_import.points_import_id


def _key(shop: Shopfront, what: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{shop.shop_id}/{what}"))


def _of_segment(shop: Shopfront, customer: str) -> Iterator[Message]:
    team = shop.team_id
    yield segment.CreateAttributeRequest(
        team_id=team,
        request_id=_key(shop, "age"),
        attribute=Attribute(key="age", display_name="Age", type=ATTRIBUTE_TYPE_NUMBER),
    )
    tagged = Audience(tags=TagPredicate(operator=TAG_OPERATOR_ANY_OF, tags=["vip"]))
    yield segment.CreateSavedAudienceRequest(
        team_id=team,
        request_id=_key(shop, "saved"),
        saved_audience=SavedAudience(name="Very important", audience=tagged),
    )
    yield segment.ChangeCustomerTagsRequest(
        team_id=team, request_id=_key(shop, "tags"), customer_id=customer, add=["vip"]
    )


def _of_points(shop: Shopfront, customer: str, coupon_id: str, import_id: str) -> Iterator[Message]:
    team = shop.team_id
    yield points.AddImportRowsRequest(
        team_id=team,
        request_id=_key(shop, "rows"),
        points_import_id=import_id,
        rows=[ImportRowInput(row_number=1, customer_id=customer, points_text="5")],
    )
    yield points.ExecuteImportRequest(
        team_id=team, request_id=_key(shop, "execute"), points_import_id=import_id
    )
    yield points.AdjustBalanceRequest(
        team_id=team, request_id=_key(shop, "adjust"), customer_id=customer, points=500, note="hello"
    )
    yield points.ClaimCouponRequest(
        team_id=team, request_id=_key(shop, "claim"), coupon_id=coupon_id, customer_id=customer
    )


def _trigger(shop: Shopfront, customer: str) -> Message:
    item = journey.SystemTriggerItem(
        request_id=_key(shop, "trigger"), journey_id=next(iter(shop.journeys.values())), customer_id=customer
    )
    return journey.TriggerJourneysRequest(team_id=shop.team_id, items=[item])
