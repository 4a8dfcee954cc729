"""The customers of a journey: who is inside and where, the way of one, and why one did not enter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web

from libs.console.journeys.choices import choices_of
from libs.console.journeys.entries import entry
from libs.console.journeys.path import at_nodes, lit, step_in_words
from libs.console.journeys.summaries import Summaries
from libs.console.journeys.tree import tree_of
from libs.console.journeys.words import NODES
from libs.console.pages.customers import ENROLMENT_STATES, customer_of, id_of
from libs.console.pages.figures import WAITS
from libs.console.pages.journeys import read_journey
from libs.console.partial import part
from libs.console.visits import Visit
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.journey.v1 import journey_service_pb2 as service
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.customer_pb2 import Customer

routes = web.RouteTableDef()
_SOME: Final = 20
"""Customers, enrolments or events of a page: the name of each customer is read by itself."""
_NODE_ID_MAX: Final = 64


@routes.get("/journeys/{journey_id}/customers")
async def listing(request: web.Request) -> web.Response:
    """Whom a search finds; without one who was in the journey, newest first, or who stands at one node now, or was
    there."""
    visit = Visit.of(request)
    journey = await read_journey(visit, request.match_info["journey_id"])
    keyword = request.query.get("keyword", "").strip()[:100]
    node_id = request.query.get("node", "")[:_NODE_ID_MAX]
    node = next((each for each in journey.definition.nodes if each.node_id == node_id), None)
    if node_id and node is None:
        raise web.HTTPNotFound
    was = bool(node_id) and request.query.get("when") == "before"
    found, enrolments, choices = await asyncio.gather(
        _search(visit, keyword) if keyword else _nobody(),
        _nobody() if keyword else _inside(visit, journey.journey_id, node_id, was=was),
        choices_of(visit),
    )
    page = found if keyword else enrolments[0]
    return visit.render(
        "journeys/customers.html",
        journey=journey,
        query=request.query,
        customers=found.customers if keyword else (),
        enrolments=() if keyword else enrolments[1],
        states=ENROLMENT_STATES,
        waits=WAITS,
        node=node,
        was=was,
        summary=Summaries(visit, choices).node(node) if node is not None else "",
        next_link=visit.page_link(page.next_page_token),
    )


@routes.get("/journeys/{journey_id}/customers/{customer_id}")
async def shown(request: web.Request) -> web.Response:
    """One customer's way through the tree, and what each event that might have let them in led to."""
    visit = Visit.of(request)
    journey_id = id_of(request.match_info["journey_id"])
    customer_id = id_of(request.match_info["customer_id"])
    both: dict[str, Any] = {
        "team_id": visit.team_id,
        "journey_id": journey_id,
        "customer_id": customer_id,
        "page_size": _SOME,
    }
    token = request.query.get("page_token", "")
    journey, customer, choices, page, listed = await asyncio.gather(
        read_journey(visit, journey_id),
        customer_of(visit, customer_id),
        choices_of(visit),
        visit.call(
            visit.client.journey.ExplainCustomer, service.ExplainCustomerRequest(page_token=token, **both)
        ),
        visit.call(visit.client.journey.ListEnrolments, service.ListEnrolmentsRequest(**both)),
    )
    chosen = request.query.get("enrolment", "") or next((e.enrolment_id for e in listed.enrolments), "")
    enrolment, steps = await _way(visit, chosen, journey_id, customer_id) if chosen else (None, [])
    nodes = journey.definition.nodes
    return visit.render(
        "journeys/customer.html",
        journey=journey,
        customer=customer,
        entries=[entry(visit, each) for each in page.entries],
        next_link=visit.page_link(page.next_page_token),
        enrolments=listed.enrolments,
        enrolment=enrolment,
        steps=[step_in_words(visit, each, dict(choices.attribute_pairs)) for each in steps],
        states=ENROLMENT_STATES,
        waits=WAITS,
        tree=tree_of(journey.definition),
        summaries=Summaries(visit, choices),
        kinds=NODES,
        numbers=at_nodes(visit, steps),
        lit=lit(nodes, steps, enrolment.state) if enrolment is not None else set(),
        kind_of={node.node_id: node.WhichOneof("kind") for node in nodes},
    )


@routes.get("/customers/{customer_id}/journey")
async def chosen(request: web.Request) -> web.Response:
    """From a customer's page to what one journey had to do with them."""
    visit = Visit.of(request)
    customer_id, journey_id = request.match_info["customer_id"], request.query.get("journey", "")
    return visit.go(f"/journeys/{id_of(journey_id)}/customers/{id_of(customer_id)}")


async def _nobody() -> Any:
    return None


async def _search(visit: Visit, keyword: str) -> Any:
    token = visit.request.query.get("page_token", "")
    request = segment.ListCustomersRequest(
        team_id=visit.team_id, keyword=keyword, page_size=_SOME, page_token=token
    )
    return await visit.call(visit.client.segment.ListCustomers, request)


async def _inside(
    visit: Visit, journey_id: str, node_id: str, *, was: bool
) -> tuple[Any, list[tuple[Any, Customer]]]:
    """A page of enrolments, each with its customer: all, those at a node, or those that `was` there."""
    request = service.ListEnrolmentsRequest(
        team_id=visit.team_id,
        journey_id=journey_id,
        page_size=_SOME,
        page_token=visit.request.query.get("page_token", ""),
        node_id="" if was else node_id,
        visited_node_id=node_id if was else "",
    )
    page = await visit.call(visit.client.journey.ListEnrolments, request)
    customers = await _customers(visit, (each.customer_id for each in page.enrolments))
    return page, [(each, customers[each.customer_id]) for each in page.enrolments]


async def _customers(visit: Visit, ids: Iterable[str]) -> dict[str, Customer]:
    """By id; of one who cannot be read any more the id alone."""
    wanted = list(dict.fromkeys(ids))
    read = await asyncio.gather(*(part(visit, customer_of(visit, each)) for each in wanted))
    return {
        customer_id: found.answer or Customer(customer_id=customer_id, name=customer_id)
        for customer_id, found in zip(wanted, read, strict=True)
    }


async def _way(
    visit: Visit, enrolment_id: str, journey_id: str, customer_id: str
) -> tuple[enrolment_pb2.Enrolment, list[enrolment_pb2.Step]]:
    """An enrolment of this customer in this journey, and its steps. Raises HTTPNotFound for another one."""
    request = service.ExplainEnrolmentRequest(team_id=visit.team_id, enrolment_id=id_of(enrolment_id))
    found = await visit.call(visit.client.journey.ExplainEnrolment, request)
    if (found.enrolment.journey_id, found.enrolment.customer_id) != (journey_id, customer_id):
        raise web.HTTPNotFound
    return found.enrolment, list(found.steps)
