"""What happened with one customer, newest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from google.protobuf.timestamp_pb2 import Timestamp

from libs.console.labels import CHANNELS
from libs.console.languages import noted
from libs.console.paging import PAGE
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.history_pb2 import Fact

routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class Happening:
    """A line of it."""

    at: Timestamp
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of it."""

    lines: list[Happening]
    next_page_token: str


def _channel(key: Any) -> str:
    return f"{CHANNELS.get(key.channel, '')} {key.external_id}".strip()


def _order(visit: Visit, order: Any) -> str:
    items = [item.name for item in order.items[:3]]
    return " · ".join((order.order_number or order.order_id, visit.formats.money(order.amount), *items))


def _refund(visit: Visit, refund: Any) -> str:
    return f"{refund.order_id} · {visit.formats.money(refund.amount)}"


def _attribute(visit: Visit, change: Any) -> str:
    del visit
    return f"{change.key}: {change.old_value or '–'} → {change.new_value or '–'}"


Detail = Callable[[Visit, Any], str]
KINDS: Final[Mapping[str, tuple[str, Detail]]] = {
    "checkout_completed": (noted("Completed a checkout"), _order),
    "order_stored": (noted("An order that does not count was stored"), _order),
    "order_amended": (noted("An order was amended"), _order),
    "order_refunded": (noted("An order was refunded"), _refund),
    "refund_stored": (noted("A refund that does not count was stored"), _refund),
    "contact_added": (noted("Joined a channel"), lambda _, key: _channel(key)),
    "contact_removed": (noted("Left a channel"), lambda _, key: _channel(key)),
    "contact_blocked": (noted("Blocked the account"), lambda _, key: _channel(key)),
    "contact_unblocked": (noted("Came back to the account"), lambda _, key: _channel(key)),
    "message_received": (noted("Wrote a message"), lambda _, key: _channel(key)),
    "tag_applied": (noted("Got a tag"), lambda _, tag: tag.tag),
    "tag_removed": (noted("Lost a tag"), lambda _, tag: tag.tag),
    "attribute_changed": (noted("An attribute changed"), _attribute),
    "customer_created": (noted("Became known"), lambda _, who: who.member_id),
    "customer_merged": (noted("Was merged into another customer"), lambda _, merge: merge.survivor_id),
    "customer_changed": (noted("Basic data changed"), lambda _, change: ", ".join(change.fields)),
}


async def timeline(visit: Visit, customer_id: str, most: int, page_token: str = "") -> Timeline:
    """The newest `most` of what happened, or those behind a page."""
    request = segment.ListFactsRequest(
        team_id=visit.team_id,
        customer_id=customer_id,
        page_size=most,
        page_token=page_token,
        newest_first=True,
    )
    page = await visit.call(visit.client.segment.ListFacts, request)
    lines = (_line(visit, fact) for fact in page.facts)
    return Timeline([line for line in lines if line is not None], page.next_page_token)


def _line(visit: Visit, fact: Fact) -> Happening | None:
    kind = fact.WhichOneof("fact")
    if kind is None or kind not in KINDS:
        return None
    sentence, detail = KINDS[kind]
    return Happening(fact.occur_time, visit.say(sentence), detail(visit, getattr(fact, kind)))


@routes.get("/customers/{customer_id}/timeline")
async def shown_timeline(request: web.Request) -> web.Response:
    """All that happened, a page at a time."""
    visit = Visit.of(request)
    customer_id = request.match_info["customer_id"]
    customer = (
        await visit.call(
            visit.client.segment.GetCustomer,
            segment.GetCustomerRequest(team_id=visit.team_id, customer_id=customer_id),
        )
    ).customer
    page = await timeline(visit, customer.customer_id, PAGE_SIZE, request.query.get(PAGE, ""))
    return visit.render(
        "customers/timeline.html",
        customer=customer,
        timeline=page,
        next_link=visit.page_link(page.next_page_token),
    )
