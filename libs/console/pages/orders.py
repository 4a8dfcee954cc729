"""Whose an order is: which journey it is counted for, and why, or why for none."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from libs.console.faults import Faults
from libs.console.languages import noted
from libs.console.pages.figures import Shown
from libs.console.pages.journeys import read_journey
from libs.console.partial import part
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.client import CallError
from omnijourney.stats.v1 import attribution_pb2 as pb
from omnijourney.stats.v1 import stats_service_pb2 as stats

routes = web.RouteTableDef()
REASONS: Final = {
    pb.ATTRIBUTION_REASON_LAST_CLICK: noted(
        "The customer opened a link of this journey last before the order."
    ),
    pb.ATTRIBUTION_REASON_NO_CLICK: noted("The customer opened no link before the order."),
    pb.ATTRIBUTION_REASON_CLICK_TOO_OLD: noted(
        "The last link was opened too long before the order for the team's attribution window."
    ),
    pb.ATTRIBUTION_REASON_ANONYMOUS: noted("Nobody knows which customer the order is of."),
    pb.ATTRIBUTION_REASON_NOT_COUNTED: noted("The order does not count, since the shop did not sign it."),
}
"""Why an order is a journey's, or none's."""
_NO_ORDER: Final = noted("No order of this shop with this id has been counted.")
_ID_MAX: Final = 200


@routes.get("/overview/order")
async def whose(request: web.Request) -> web.Response:
    """Asks for a shop and an order, and says which journey it is of."""
    visit = Visit.of(request)
    shop_id, order_id = (request.query.get(name, "").strip() for name in ("shop_id", "order_id"))
    listed = gateway.ListShopsRequest(team_id=visit.team_id, page_size=PAGE_SIZE)
    shops = await part(visit, visit.call(visit.client.channel_gateway.ListShops, listed))
    context: dict[str, Any] = {
        "shops": []
        if shops.fault
        else [(each.shop_id, each.display_name or each.shop_id) for each in shops.answer.shops],
        "shops_fault": shops.fault,
        "shop_id": shop_id,
        "order_id": order_id,
        "id_max": _ID_MAX,
        "found": None,
    }
    if not (shop_id and order_id):
        return visit.render("orders/whose.html", **context)
    asked = stats.ExplainOrderRequest(team_id=visit.team_id, shop_id=shop_id, order_id=order_id)
    try:
        found = (await visit.call(visit.client.stats.ExplainOrder, asked)).explanation
    except CallError as error:
        if error.reason not in {"RESOURCE_NOT_FOUND", "INVALID_FIELDS"}:
            raise
        faults = Faults({"order_id": visit.say(_NO_ORDER)})
        return visit.render("orders/whose.html", status=422, faults=faults, **context)
    name = ""
    if found.journey_id:
        journey = await part(visit, read_journey(visit, found.journey_id))
        name = "" if journey.fault else journey.answer.definition.name
    return visit.render(
        "orders/whose.html",
        **context
        | {
            "found": found,
            "why": visit.say(REASONS[found.reason]) if found.reason in REASONS else "",
            "journey_name": name,
            "revenue": Shown(visit).amounts(found.revenue),
        },
    )
