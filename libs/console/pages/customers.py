"""Customers: who there is, how to find them, and all that is known of one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from aiohttp import web
from multidict import MultiMapping

from libs.console.downloads import JSON_LINES, download
from libs.console.journeys.words import BEGUN
from libs.console.labels import CHANNELS, options
from libs.console.languages import noted
from libs.console.navigation import Area
from libs.console.pages.customers_timeline import timeline
from libs.console.partial import Part, part
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.segment.v1 import audience_pb2, consent_pb2, team_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.customer_pb2 import Customer
from omnijourney.segment.v1.order_pb2 import Order

routes = web.RouteTableDef()
AREAS = (Area(noted("Customers"), "/customers", 30),)

SOME: Final = 10
"""How many orders, journeys and point changes a customer's page shows; the rest is a click away."""
CHOICES_MAX: Final = 500
ENROLMENT_STATES: Final[Mapping[int, tuple[str, str]]] = {
    enrolment_pb2.ENROLMENT_STATE_LIVE: ("live", noted("In the journey")),
    enrolment_pb2.ENROLMENT_STATE_COMPLETED: ("good", noted("Completed")),
    enrolment_pb2.ENROLMENT_STATE_HALTED: ("stopped", noted("Stopped")),
    enrolment_pb2.ENROLMENT_STATE_PARKED: ("warn", noted("Set aside")),
    enrolment_pb2.ENROLMENT_STATE_CONVERTED: ("good", noted("Goal reached")),
}
CONSENT_STATES: Final[Mapping[int, tuple[str, str]]] = {
    consent_pb2.CONSENT_STATE_GIVEN: ("good", noted("Wants marketing messages")),
    consent_pb2.CONSENT_STATE_WITHDRAWN: ("bad", noted("Wants no marketing messages")),
}
CONSENT_SOURCES: Final[Mapping[int, str]] = {
    consent_pb2.CONSENT_SOURCE_API: noted("By a program or the console"),
    consent_pb2.CONSENT_SOURCE_CHAT: noted("By a word in the chat"),
    consent_pb2.CONSENT_SOURCE_CHANNEL: noted("At the channel"),
    consent_pb2.CONSENT_SOURCE_IMPORT: noted("By an import"),
}
_BASIC_FIELDS: Final = (
    audience_pb2.BASIC_FIELD_MEMBER_ID,
    audience_pb2.BASIC_FIELD_PHONE,
    audience_pb2.BASIC_FIELD_EMAIL,
)


@routes.get("/customers")
async def listing(request: web.Request) -> web.Response:
    """Customers by a keyword, a tag, a saved audience and a channel."""
    visit = Visit.of(request)
    wanted = filter_of(request.query, await number_in(visit, _keyword(request.query)))
    page, tags, audiences = await asyncio.gather(
        _customers(visit, wanted), part(visit, _tags(visit)), part(visit, _audiences(visit))
    )
    return visit.render(
        "customers/list.html",
        customers=page.customers,
        balances=await _balances(visit, page.customers),
        next_link=visit.page_link(page.next_page_token),
        query=request.query,
        is_filtered=wanted is not None or bool(_keyword(request.query)),
        looks_in_names=wanted is None,
        tags=[] if tags.fault else [(tag, tag) for tag in tags.answer],
        audiences=[] if audiences.fault else audiences.answer,
        channels=CHANNELS,
        channel_options=options(CHANNELS),
    )


@routes.get("/customers/{customer_id}")
async def shown(request: web.Request) -> web.Response:
    """All that is known of one."""
    visit = Visit.of(request)
    customer = await customer_of(visit, request.match_info["customer_id"])
    if customer.merged_into:
        return visit.go(
            f"/customers/{customer.merged_into}",
            noted("This customer was merged into the one who is shown now."),
        )
    return await render_customer(visit, customer)


async def render_customer(
    visit: Visit, customer: Customer, *, status: int = 200, **context: Any
) -> web.Response:
    """The page of a customer; `context` says what a form on it was refused for."""
    ids: dict[str, Any] = {"team_id": visit.team_id, "customer_id": customer.customer_id}
    client = visit.client
    (
        consents,
        attributes,
        tags,
        audiences,
        orders,
        enrolments,
        balance,
        facts,
        conflicts,
        begun,
    ) = await asyncio.gather(
        part(visit, visit.call(client.segment.ListConsents, segment.ListConsentsRequest(**ids))),
        part(visit, _attributes(visit)),
        part(visit, _tags(visit)),
        part(
            visit,
            visit.call(client.segment.ListCustomerAudiences, segment.ListCustomerAudiencesRequest(**ids)),
        ),
        part(visit, _orders(visit, customer.customer_id)),
        part(visit, _enrolments(visit, customer.customer_id)),
        part(visit, _points(visit, customer.customer_id)),
        part(visit, timeline(visit, customer.customer_id, SOME)),
        part(visit, _duplicates(visit, customer.customer_id)),
        part(visit, _begun(visit)),
    )
    return visit.render(
        "customers/show.html",
        status=status,
        **{
            "customer": customer,
            "consents": consents,
            "attributes": attributes,
            "tags": tags,
            "audiences": audiences,
            "orders": orders,
            "enrolments": enrolments,
            "balance": balance,
            "facts": facts,
            "conflicts": conflicts,
            "begun": begun,
            "channels": CHANNELS,
            "channel_options": options(CHANNELS),
            "consent_options": [(str(state), visit.say(said)) for state, (_, said) in CONSENT_STATES.items()],
            "consent_states": CONSENT_STATES,
            "consent_sources": CONSENT_SOURCES,
            "enrolment_states": ENROLMENT_STATES,
            "has_points": _has_points(visit),
            "asked": {},
            **context,
        },
    )


async def _orders(visit: Visit, customer_id: str) -> list[Order]:
    """The newest orders of a customer, each with its items, which a listing leaves out."""
    stub, team_id = visit.client.segment, visit.team_id
    listed = segment.ListOrdersRequest(team_id=team_id, customer_id=customer_id, page_size=SOME)
    found = (await visit.call(stub.ListOrders, listed)).orders
    asked = [
        segment.GetOrderRequest(team_id=team_id, shop_id=each.shop_id, order_id=each.order_id)
        for each in found
    ]
    read = await asyncio.gather(*(part(visit, visit.call(stub.GetOrder, each)) for each in asked))
    return [each if one.fault else one.answer.order for each, one in zip(found, read, strict=True)]


async def customer_of(visit: Visit, customer_id: str) -> Customer:
    """One of the team's. Raises CallError, HTTPNotFound for what is no id."""
    answer = await visit.call(
        visit.client.segment.GetCustomer,
        segment.GetCustomerRequest(team_id=visit.team_id, customer_id=id_of(customer_id)),
    )
    found: Customer = answer.customer
    return found


def id_of(text: str) -> str:
    """An id of an address. Raises HTTPNotFound for what is none: there is no page of that."""
    try:
        return str(UUID(text))
    except ValueError:
        raise web.HTTPNotFound from None


async def number_in(visit: Visit, keyword: str) -> str:
    """The phone number that a keyword is, in E.164, as people of the team's country write it; empty for none."""
    if not any(each.isdigit() for each in keyword):
        return ""
    request = segment.NormalizePhonesRequest(team_id=visit.team_id, phones=[keyword])
    read = await part(visit, visit.call(visit.client.segment.NormalizePhones, request))
    return "" if read.fault else str(read.answer.phones[0].phone)


def _keyword(query: MultiMapping[str]) -> str:
    return query.get("keyword", "").strip()[:100]


def filter_of(query: MultiMapping[str], phone: str = "") -> audience_pb2.Audience | None:
    """What the filters besides the keyword ask for, with the keyword; None without any. `phone` is the number that the
    keyword is, empty for none."""
    parts: list[audience_pb2.Audience] = []
    if tag := query.get("tag", "").strip():
        parts.append(
            audience_pb2.Audience(
                tags=audience_pb2.TagPredicate(operator=audience_pb2.TAG_OPERATOR_ANY_OF, tags=[tag])
            )
        )
    if audience_id := query.get("audience", ""):
        parts.append(
            audience_pb2.Audience(
                saved_audience=audience_pb2.SavedAudiencePredicate(
                    operator=audience_pb2.MEMBERSHIP_OPERATOR_IN, saved_audience_id=id_of(audience_id)
                )
            )
        )
    if (channel := query.get("channel", "")) in map(str, CHANNELS):
        parts.append(
            audience_pb2.Audience(
                binding=audience_pb2.BindingPredicate(
                    operator=audience_pb2.BINDING_OPERATOR_BOUND,
                    channel=int(channel),  # type: ignore[arg-type]  # one of CHANNELS
                )
            )
        )
    if not parts:
        return None
    if keyword := _keyword(query):
        test = audience_pb2.TextTest(
            operator=audience_pb2.TEXT_OPERATOR_CONTAINS, values=[keyword, *([phone] if phone else [])]
        )
        fields = (audience_pb2.BasicPredicate(field=field, text=test) for field in _BASIC_FIELDS)
        items = [audience_pb2.Audience(basic=field) for field in fields]
        parts.append(audience_pb2.Audience(any_of=audience_pb2.AudienceList(items=items)))
    return audience_pb2.Audience(all_of=audience_pb2.AudienceList(items=parts))


async def _customers(visit: Visit, wanted: audience_pb2.Audience | None) -> Any:
    query = visit.request.query
    paging: dict[str, Any] = {
        "team_id": visit.team_id,
        "page_size": PAGE_SIZE,
        "page_token": query.get("page_token", ""),
    }
    if wanted is not None:
        return await visit.call(
            visit.client.segment.ListAudienceCustomers,
            segment.ListAudienceCustomersRequest(audience=wanted, **paging),
        )
    return await visit.call(
        visit.client.segment.ListCustomers, segment.ListCustomersRequest(keyword=_keyword(query), **paging)
    )


async def _tags(visit: Visit) -> list[str]:
    answer = await visit.call(
        visit.client.segment.ListTags, segment.ListTagsRequest(team_id=visit.team_id, page_size=CHOICES_MAX)
    )
    return [use.tag for use in answer.tags]


async def _audiences(visit: Visit) -> list[tuple[str, str]]:
    request = segment.ListSavedAudiencesRequest(team_id=visit.team_id, page_size=CHOICES_MAX)
    answer = await visit.call(visit.client.segment.ListSavedAudiences, request)
    return [(each.saved_audience_id, each.name) for each in answer.saved_audiences]


async def _attributes(visit: Visit) -> Any:
    request = segment.ListAttributesRequest(team_id=visit.team_id, page_size=CHOICES_MAX)
    return (await visit.call(visit.client.segment.ListAttributes, request)).attributes


def _has_points(visit: Visit) -> bool:
    return visit.team is not None and team_pb2.MODULE_POINTS in visit.team.settings.modules


async def _balances(visit: Visit, customers: Iterable[Customer]) -> dict[str, Any] | None:
    """Points by customer; None where they are not shown: without the module, or while they cannot be read."""
    items = [points.BalanceQuery(team_id=visit.team_id, customer_id=each.customer_id) for each in customers]
    if not items or not _has_points(visit):
        return None
    read = await part(
        visit,
        visit.call(visit.client.points.BatchGetBalances, points.BatchGetBalancesRequest(items=items)),
    )
    return None if read.fault else {each.customer_id: each for each in read.answer.balances}


async def _points(visit: Visit, customer_id: str) -> Any:
    """Balance and last changes; None without the module."""
    if not _has_points(visit):
        return None
    return (
        await visit.call(
            visit.client.points.GetBalance,
            points.GetBalanceRequest(team_id=visit.team_id, customer_id=customer_id),
        )
    ).balance


async def _enrolments(visit: Visit, customer_id: str) -> list[tuple[Any, str]]:
    """The customer's last ones, each with the name of its journey."""
    request = journey.ListEnrolmentsRequest(team_id=visit.team_id, customer_id=customer_id, page_size=SOME)
    found = (await visit.call(visit.client.journey.ListEnrolments, request)).enrolments
    ids = list(dict.fromkeys(each.journey_id for each in found))
    read = await asyncio.gather(*(part(visit, _journey(visit, journey_id)) for journey_id in ids))
    names = dict(zip(ids, map(_name, read), strict=True))
    return [(each, names[each.journey_id]) for each in found]


async def _begun(visit: Visit) -> list[tuple[str, str]]:
    """Journeys that somebody may have entered, with their names."""
    request = journey.ListJourneysRequest(
        team_id=visit.team_id, page_size=CHOICES_MAX, statuses=sorted(BEGUN)
    )
    found = (await visit.call(visit.client.journey.ListJourneys, request)).journeys
    return [(each.journey_id, each.definition.name) for each in found]


async def _journey(visit: Visit, journey_id: str) -> Any:
    request = journey.GetJourneyRequest(team_id=visit.team_id, journey_id=journey_id)
    return (await visit.call(visit.client.journey.GetJourney, request)).journey


def _name(read: Part) -> str:
    """Of a journey; empty of one that was deleted."""
    return "" if read.fault else str(read.answer.definition.name)


async def _duplicates(visit: Visit, customer_id: str) -> list[str]:
    """Others whom events named together with this customer: who may be the same person."""
    request = segment.ListIdentityConflictsRequest(team_id=visit.team_id, page_size=CHOICES_MAX)
    answer = await visit.call(visit.client.segment.ListIdentityConflicts, request)
    pairs = (
        {each.customer_id, each.other_customer_id} for each in answer.identity_conflicts if not each.resolved
    )
    return sorted({other for pair in pairs if customer_id in pair for other in pair - {customer_id}})


@routes.get("/customers/{customer_id}/data.jsonl")
async def exported(request: web.Request) -> web.StreamResponse:
    """Everything that all services hold of one, for whoever asks for their data."""
    visit = Visit.of(request)
    customer_id = id_of(request.match_info["customer_id"])
    rows = visit.client.segment.ExportPerson(
        segment.ExportPersonRequest(team_id=visit.team_id, customer_id=customer_id)
    )
    contents = (row.content.encode() async for row in rows)
    return await download(visit, f"customer-{customer_id}.jsonl", JSON_LINES, contents)
