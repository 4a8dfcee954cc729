"""Coupons: what there is to claim, what it costs in points, who has claimed it, and what was used in the shop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from google.protobuf.field_mask_pb2 import FieldMask

from libs.console.faults import Faults
from libs.console.forms import number_of, refusal, status_of, texts_of
from libs.console.languages import noted
from libs.console.navigation import Area
from libs.console.pages.customers import id_of
from libs.console.partial import part
from libs.console.used_by import journeys_using
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.client import CallError
from omnijourney.points.v1 import coupon_pb2
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.segment.v1 import segment_service_pb2 as segment

routes = web.RouteTableDef()
AREAS = (Area(noted("Coupons"), "/coupons", 60),)

TYPES: Final[Mapping[int, str]] = {
    coupon_pb2.COUPON_TYPE_MARKETING: noted("Marketing"),
    coupon_pb2.COUPON_TYPE_SERVICE: noted("Service case"),
}
_FIELDS: Final = {
    "coupon.name": "name",
    "coupon.type": "type",
    "coupon.points_redemption.cost": "cost",
    "coupon.points_redemption.insufficient_text": "insufficient_text",
    "coupon.points_redemption": "redeems",
    "coupon.claims_per_customer_max": "claims_per_customer_max",
    "coupon.claims_max": "claims_max",
    "coupon.start_time": "start",
    "coupon.expire_time": "expire",
}
_CHANGEABLE: Final = (
    "name",
    "points_redemption",
    "claims_per_customer_max",
    "claims_max",
    "start_time",
    "expire_time",
)
_NO_MOMENT: Final = noted("Choose a day and a time.")
_NO_CODE: Final = noted("No claim has this code. Look at it once more.")


@routes.get("/coupons")
async def listing(request: web.Request) -> web.Response:
    """All coupons, newest first."""
    visit = Visit.of(request)
    with_archived = request.query.get("archived") == "1"
    page = await visit.call(
        visit.client.points.ListCoupons,
        points.ListCouponsRequest(
            team_id=visit.team_id,
            include_archived=with_archived,
            page_size=PAGE_SIZE,
            page_token=request.query.get("page_token", ""),
        ),
    )
    return visit.render(
        "coupons/list.html",
        coupons=page.coupons,
        with_archived=with_archived,
        types=TYPES,
        next_link=visit.page_link(page.next_page_token),
        code="",
    )


@routes.get("/coupons/new")
async def new(request: web.Request) -> web.Response:
    """Asks what the coupon is."""
    return _form_page(Visit.of(request), None, {})


@routes.post("/coupons/new")
async def create(request: web.Request) -> web.Response:
    """Makes it."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    coupon, faults = _coupon(visit, given)
    if faults:
        return _form_page(visit, None, given, faults, 422)
    try:
        made = await visit.call(
            visit.client.points.CreateCoupon,
            points.CreateCouponRequest(team_id=visit.team_id, request_id=given["request_id"], coupon=coupon),
        )
    except CallError as error:
        return _form_page(visit, None, given, refusal(visit, error, _FIELDS), status_of(error))
    return visit.go(f"/coupons/{made.coupon.coupon_id}", noted("The coupon is there."))


@routes.get("/coupons/{coupon_id}")
async def shown(request: web.Request) -> web.Response:
    """One, with its claims and the journeys that offer it."""
    visit = Visit.of(request)
    return await _show_page(visit, await _read(visit))


@routes.get("/coupons/{coupon_id}/edit")
async def edit(request: web.Request) -> web.Response:
    """Asks what is to be different."""
    visit = Visit.of(request)
    coupon = await _read(visit)
    return _form_page(visit, coupon, _given_of(visit, coupon))


@routes.post("/coupons/{coupon_id}/edit")
async def update(request: web.Request) -> web.Response:
    """Changes it; claims that were made keep what they cost."""
    visit = Visit.of(request)
    coupon = await _read(visit)
    given = await texts_of(visit)
    changed, faults = _coupon(visit, {**given, "type": str(coupon.type)})
    if faults:
        return _form_page(visit, coupon, given, faults, 422)
    changed.coupon_id = coupon.coupon_id
    try:
        await visit.call(
            visit.client.points.UpdateCoupon,
            points.UpdateCouponRequest(
                team_id=visit.team_id,
                request_id=given["request_id"],
                coupon=changed,
                update_mask=FieldMask(paths=_CHANGEABLE),
                etag=given.get("etag", ""),
            ),
        )
    except CallError as error:
        return _form_page(visit, coupon, given, refusal(visit, error, _FIELDS), status_of(error))
    return visit.go(f"/coupons/{coupon.coupon_id}", noted("The coupon is changed."))


@routes.post("/coupons/{coupon_id}/archive")
async def archive(request: web.Request) -> web.Response:
    """Ends its claims; while journeys offer it only where that was said."""
    visit = Visit.of(request)
    coupon = await _read(visit)
    given = await texts_of(visit)
    try:
        await visit.call(
            visit.client.points.ArchiveCoupon,
            points.ArchiveCouponRequest(
                team_id=visit.team_id,
                request_id=given["request_id"],
                coupon_id=coupon.coupon_id,
                unless_used=given.get("force") != "1",
            ),
        )
    except CallError as error:
        faults = refusal(visit, error, {})
        return await _show_page(visit, coupon, status=status_of(error), faults=faults)
    return visit.go("/coupons", noted("The coupon is archived. What was claimed stays."))


@routes.post("/coupons/claims")
async def find_claim(request: web.Request) -> web.Response:
    """Finds a claim by the code that a customer shows."""
    visit = Visit.of(request)
    code = (await texts_of(visit)).get("code", "").strip()
    try:
        found = await visit.call(
            visit.client.points.GetCouponClaim,
            points.GetCouponClaimRequest(team_id=visit.team_id, code=code),
        )
    except CallError as error:
        if error.reason not in {"RESOURCE_NOT_FOUND", "INVALID_FIELDS"}:
            raise
        page = await visit.call(
            visit.client.points.ListCoupons,
            points.ListCouponsRequest(team_id=visit.team_id, page_size=PAGE_SIZE),
        )
        return visit.render(
            "coupons/list.html",
            status=422,
            coupons=page.coupons,
            with_archived=False,
            types=TYPES,
            next_link="",
            code=code,
            faults=Faults({"code": visit.say(_NO_CODE)}),
        )
    return visit.go(f"/coupons/claims/{found.claim.coupon_claim_id}")


@routes.get("/coupons/claims/{claim_id}")
async def shown_claim(request: web.Request) -> web.Response:
    """One claim."""
    return await _claim_page(Visit.of(request))


@routes.post("/coupons/claims/{claim_id}")
async def use_claim(request: web.Request) -> web.Response:
    """Notes that it was used in the shop, once."""
    visit = Visit.of(request)
    claim_id = id_of(request.match_info["claim_id"])
    given = await texts_of(visit)
    try:
        await visit.call(
            visit.client.points.UseCouponClaim,
            points.UseCouponClaimRequest(
                team_id=visit.team_id,
                request_id=given["request_id"],
                coupon_claim_id=claim_id,
                place=given.get("place", "").strip(),
            ),
        )
    except CallError as error:
        faults = refusal(visit, error, {"place": "place"})
        return await _claim_page(visit, status=status_of(error), faults=faults)
    return visit.go(f"/coupons/claims/{claim_id}", noted("The claim is used."))


async def _claim_page(visit: Visit, **context: Any) -> web.Response:
    claim_id = id_of(visit.request.match_info["claim_id"])
    claim = (
        await visit.call(
            visit.client.points.GetCouponClaim,
            points.GetCouponClaimRequest(team_id=visit.team_id, coupon_claim_id=claim_id),
        )
    ).claim
    coupon, customer = await asyncio.gather(
        visit.call(
            visit.client.points.GetCoupon,
            points.GetCouponRequest(team_id=visit.team_id, coupon_id=claim.coupon_id),
        ),
        part(
            visit,
            visit.call(
                visit.client.segment.GetCustomer,
                segment.GetCustomerRequest(team_id=visit.team_id, customer_id=claim.customer_id),
            ),
        ),
    )
    name = "" if customer.fault else customer.answer.customer.name
    return visit.render(
        "coupons/claim.html", claim=claim, coupon=coupon.coupon, customer_name=name, **context
    )


async def _read(visit: Visit) -> coupon_pb2.Coupon:
    answer = await visit.call(
        visit.client.points.GetCoupon,
        points.GetCouponRequest(
            team_id=visit.team_id, coupon_id=id_of(visit.request.match_info["coupon_id"])
        ),
    )
    found: coupon_pb2.Coupon = answer.coupon
    return found


async def _show_page(visit: Visit, coupon: coupon_pb2.Coupon, **context: Any) -> web.Response:
    claims, users = await asyncio.gather(
        visit.call(
            visit.client.points.ListCouponClaims,
            points.ListCouponClaimsRequest(
                team_id=visit.team_id,
                coupon_id=coupon.coupon_id,
                page_size=PAGE_SIZE,
                page_token=visit.request.query.get("page_token", ""),
            ),
        ),
        journeys_using(visit, coupon_id=coupon.coupon_id),
    )
    return visit.render(
        "coupons/show.html",
        coupon=coupon,
        claims=claims.claims,
        users=users,
        types=TYPES,
        next_link=visit.page_link(claims.next_page_token),
        **context,
    )


def _form_page(
    visit: Visit,
    coupon: coupon_pb2.Coupon | None,
    given: Mapping[str, str],
    faults: Faults | None = None,
    status: int = 200,
) -> web.Response:
    return visit.render(
        "coupons/edit.html",
        status=status,
        coupon=coupon,
        given=given,
        faults=faults or Faults(),
        types=[(str(number), visit.say(name)) for number, name in TYPES.items()],
        variable="{{points.balance}}",
    )


def _given_of(visit: Visit, coupon: coupon_pb2.Coupon) -> dict[str, str]:
    """A coupon as the fields of the form have it."""
    formats = visit.formats
    redemption = coupon.points_redemption
    given = {
        "name": coupon.name,
        "type": str(coupon.type),
        "cost": str(redemption.cost or ""),
        "insufficient_text": redemption.insufficient_text,
        "claims_per_customer_max": str(coupon.claims_per_customer_max or ""),
        "claims_max": str(coupon.claims_max or ""),
        "start": formats.field(coupon.start_time),
        "expire": formats.field(coupon.expire_time),
        "etag": coupon.etag,
    }
    return {**given, "redeems": "1"} if coupon.HasField("points_redemption") else given


def _coupon(visit: Visit, given: Mapping[str, str]) -> tuple[coupon_pb2.Coupon, Faults]:
    """What the form says, and what of it is no value at all."""
    faults = Faults()
    coupon = coupon_pb2.Coupon(
        name=given.get("name", "").strip(),
        type=coupon_pb2.CouponType.ValueType(number_of(given.get("type", ""))),
        claims_per_customer_max=min(number_of(given.get("claims_per_customer_max", "")), 2**31 - 1),
        claims_max=number_of(given.get("claims_max", "")),
    )
    if given.get("redeems"):
        coupon.points_redemption.cost = number_of(given.get("cost", ""))
        coupon.points_redemption.insufficient_text = given.get("insufficient_text", "").strip()
    for name, field in (("start", "start_time"), ("expire", "expire_time")):
        try:
            at = visit.formats.read_field(given.get(name, ""))
        except ValueError:
            faults.add(name, visit.say(_NO_MOMENT))
            continue
        if at is not None:
            getattr(coupon, field).CopyFrom(at)
    return coupon, faults
