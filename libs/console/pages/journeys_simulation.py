"""What a journey would have done with what customers did: a page of its own, and a part of publishing."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import web

from libs.console.faults import Faults
from libs.console.forms import refusal, status_of, texts_of
from libs.console.journeys.choices import choices_of
from libs.console.journeys.findings import findings_of
from libs.console.journeys.found_faults import FoundFaults
from libs.console.journeys.summaries import Summaries
from libs.console.journeys.tree import tree_of
from libs.console.journeys.words import DRAFT, NODES
from libs.console.labels import ENDED, OPERATION_STATES
from libs.console.languages import noted
from libs.console.pages.customers import id_of
from libs.console.pages.journeys import read_journey
from libs.console.partial import part
from libs.console.periods import Period, period_asked
from libs.console.visits import Visit
from omnijourney.client import CallError
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.common.v1.error_reason_pb2 import (
    ERROR_REASON_DEPENDENCY_UNAVAILABLE,
    ERROR_REASON_UNSPECIFIED,
)
from omnijourney.journey.v1 import journey_service_pb2 as service
from omnijourney.journey.v1.journey_pb2 import Journey

routes = web.RouteTableDef()
_FIELDS: Final = {"start_time": "first", "end_time": "last"}
_BY_SYSTEM: Final = noted("No recorded event would start it: it is triggered by the system only.")
_FAULTY: Final = noted("It cannot be simulated yet: mend the faults first.")
_FAILURES: Final = {
    ERROR_REASON_UNSPECIFIED: noted(
        "It failed by a fault of its own: simulate again, or tell whoever runs the product."
    ),
    ERROR_REASON_DEPENDENCY_UNAVAILABLE: noted(
        "A service that it has to ask did not answer: simulate again later."
    ),
}
"""Why one failed; the first is of all other reasons."""
_CANCELLED: Final = noted("The simulation is cancelled.")


@routes.get("/journeys/{journey_id}/simulate")
async def asked(request: web.Request) -> web.Response:
    """The form: over which time."""
    visit = Visit.of(request)
    journey = await read_journey(visit, request.match_info["journey_id"])
    return visit.render(
        "journeys/simulate.html",
        journey=journey,
        period=period_asked(visit, request.query),
        operation=None,
        found=None,
    )


@routes.post("/journeys/{journey_id}/simulations")
async def start(request: web.Request) -> web.Response:
    """Begins one, and shows it."""
    visit = Visit.of(request)
    journey = await read_journey(visit, request.match_info["journey_id"])
    given = await texts_of(visit)
    period = period_asked(visit, given)
    try:
        operation_id = await _started(visit, journey, period, given["request_id"])
    except CallError as error:
        faults, found = await why_not(visit, journey, error)
        return visit.render(
            "journeys/simulate.html",
            status=status_of(error),
            journey=journey,
            period=period,
            operation=None,
            found=found,
            faults=faults,
        )
    return visit.go(_address(journey, operation_id, period))


@routes.get("/journeys/{journey_id}/simulations/{operation_id}")
async def shown(request: web.Request) -> web.Response:
    """How far one is, and what it found; the part alone for a script."""
    visit = Visit.of(request)
    journey = await read_journey(visit, request.match_info["journey_id"])
    context = await simulation(visit, journey, request.match_info["operation_id"])
    template = "journeys/simulation_part.html" if visit.is_part else "journeys/simulate.html"
    return visit.render(
        template,
        journey=journey,
        period=period_asked(visit, request.query),
        found=None,
        **context,
    )


@routes.post("/journeys/{journey_id}/simulations/{operation_id}/cancel")
async def cancel(request: web.Request) -> web.Response:
    """Ends one early."""
    visit = Visit.of(request)
    operation_id = id_of(request.match_info["operation_id"])
    given = await texts_of(visit)
    await visit.call(
        visit.client.operations("journey").CancelOperation,
        operations.CancelOperationRequest(
            team_id=visit.team_id, request_id=given["request_id"], operation_id=operation_id
        ),
    )
    return visit.go(f"/journeys/{id_of(request.match_info['journey_id'])}/simulate", _CANCELLED)


@routes.post("/journeys/{journey_id}/review")
async def review(request: web.Request) -> web.Response:
    """Looks over a draft before it is published: simulates the last month, and shows what is said of it."""
    visit = Visit.of(request)
    journey = await read_journey(visit, request.match_info["journey_id"])
    address = f"/journeys/{journey.journey_id}"
    if journey.status != DRAFT:
        return visit.go(address)
    given = await texts_of(visit)
    period = period_asked(visit, {})
    begun = await part(visit, _started(visit, journey, period, given["request_id"]))
    if begun.fault:
        # Whatever keeps it from being simulated is said on the page, or keeps nobody from publishing.
        return visit.go(f"{address}/publish")
    return visit.go(f"{address}/publish?simulation={begun.answer}&revision={journey.revision}")


@routes.get("/journeys/{journey_id}/publish")
async def reviewed(request: web.Request) -> web.Response:
    """What there is to know before a draft is published."""
    visit = Visit.of(request)
    journey = await read_journey(visit, request.match_info["journey_id"])
    if journey.status != DRAFT or not visit.session.may_write:
        return visit.go(f"/journeys/{journey.journey_id}")
    return await render_review(visit, journey)


async def render_review(visit: Visit, journey: Journey, *, refused: Faults | None = None) -> web.Response:
    """That page; `refused` is why it was not published."""
    operation_id = visit.request.query.get("simulation", "")
    found, context = await asyncio.gather(
        _found(visit, journey),
        part(visit, simulation(visit, journey, operation_id)) if operation_id else _nothing(),
    )
    return visit.render(
        "journeys/publish.html",
        status=422 if refused else 200,
        journey=journey,
        found=found,
        address=f"/journeys/{journey.journey_id}",
        faults=refused or Faults(),
        by_system=journey.definition.trigger.HasField("system"),
        **(context.answer if context is not None and not context.fault else {"operation": None}),
    )


async def _nothing() -> None:
    return None


async def simulation(visit: Visit, journey: Journey, operation_id: str) -> dict[str, Any]:
    """What the part of a page about one simulation needs. Raises CallError."""
    ids = {"team_id": visit.team_id, "operation_id": id_of(operation_id)}
    answer, choices = await asyncio.gather(
        visit.call(visit.client.journey.GetSimulation, service.GetSimulationRequest(**ids, so_far=True)),
        choices_of(visit),
    )
    operation = answer.operation
    context: dict[str, Any] = {
        "operation": operation,
        "has_ended": operation.state in ENDED,
        "states": OPERATION_STATES,
        "failures": _FAILURES,
        "findings": None,
        "here": f"/journeys/{journey.journey_id}/simulations/{operation.operation_id}",
        "revision": visit.request.query.get("revision", ""),
    }
    if not answer.HasField("simulation"):
        return context
    return context | {
        "findings": findings_of(
            visit, answer.simulation, journey.definition, so_far=not context["has_ended"]
        ),
        "tree": tree_of(journey.definition),
        "summaries": Summaries(visit, choices),
        "kinds": NODES,
    }


async def _started(visit: Visit, journey: Journey, period: Period, request_id: str) -> str:
    begun = await visit.call(
        visit.client.journey.StartSimulation,
        service.StartSimulationRequest(
            team_id=visit.team_id,
            request_id=request_id,
            journey_id=journey.journey_id,
            start_time=period.start,
            end_time=period.end,
        ),
    )
    return str(begun.operation.operation_id)


async def why_not(visit: Visit, journey: Journey, error: CallError) -> tuple[Faults, FoundFaults | None]:
    """What to say about a simulation that was refused: at its fields, or what is wrong with the journey."""
    if journey.definition.trigger.HasField("system"):
        return Faults({"": visit.say(_BY_SYSTEM)}), None
    if any(each.field not in _FIELDS for each in error.violations):
        return Faults({"": visit.say(_FAULTY)}), await _found(visit, journey)
    return refusal(visit, error, _FIELDS), None


async def _found(visit: Visit, journey: Journey) -> FoundFaults:
    asked = service.ValidateJourneyRequest(
        team_id=visit.team_id, journey_id=journey.journey_id, language_code=visit.language
    )
    answer = await visit.call(visit.client.journey.ValidateJourney, asked)
    return FoundFaults(journey.definition, list(answer.faults), list(answer.warnings), visit.say)


def _address(journey: Journey, operation_id: str, period: Period) -> str:
    asked = f"first={period.first.isoformat()}&last={period.last.isoformat()}&revision={journey.revision}"
    return f"/journeys/{journey.journey_id}/simulations/{operation_id}?{asked}"
