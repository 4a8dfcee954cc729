"""Journeys: what there is, and what can be done with each."""

from __future__ import annotations

import asyncio

from aiohttp import web

from libs.console.faults import Faults
from libs.console.forms import refusal, texts_of
from libs.console.journeys.choices import choices_of
from libs.console.journeys.summaries import Summaries, active_time
from libs.console.journeys.tree import tree_of
from libs.console.journeys.words import ACTIONS, DRAFT, EDITABLE, NODES, STATUSES, TRIGGERS
from libs.console.languages import noted
from libs.console.navigation import Area
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.client import CallError
from omnijourney.journey.v1 import journey_service_pb2 as service
from omnijourney.journey.v1.journey_pb2 import Definition, Journey

routes = web.RouteTableDef()
AREAS = (Area(noted("Journeys"), "/journeys", 10),)

_STARTING = [name for name in TRIGGERS if name != "CUSTOMER_REPLIED"]
_COPY = noted("Copy of %(name)s")
_CHANGES_SHOWN = 20


@routes.get("/journeys")
async def listing(request: web.Request) -> web.Response:
    """All journeys of the team, by the filters that are chosen."""
    return await _list(Visit.of(request))


@routes.post("/journeys")
async def create(request: web.Request) -> web.Response:
    """A new draft, which is then edited."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    name = given.get("journey_name", "").strip()
    try:
        made = await visit.call(
            visit.client.journey.CreateJourney,
            service.CreateJourneyRequest(
                team_id=visit.team_id, request_id=given["request_id"], definition=Definition(name=name)
            ),
        )
    except CallError as error:
        return await _list(visit, refusal(visit, error, {"definition.name": "journey_name"}))
    return visit.go(f"/journeys/{made.journey.journey_id}/edit")


async def _list(visit: Visit, faults: Faults | None = None) -> web.Response:
    query = visit.request.query
    chosen = [number for number in STATUSES if str(int(number)) == query.get("status", "")]
    trigger = query.get("trigger", "")
    page = await visit.call(
        visit.client.journey.ListJourneys,
        service.ListJourneysRequest(
            team_id=visit.team_id,
            page_size=PAGE_SIZE,
            page_token=query.get("page_token", ""),
            statuses=chosen,
            trigger_type=trigger if trigger in TRIGGERS else "",
            name_contains=query.get("name", "")[:200],
            language_code=visit.language,
        ),
    )
    formats, always = visit.formats, visit.say(noted("Always"))
    return visit.render(
        "journeys/list.html",
        status=422 if faults else 200,
        faults=faults or Faults(),
        journeys=page.journeys,
        next_link=visit.page_link(page.next_page_token),
        filtered=any(query.get(name) for name in ("name", "status", "trigger")),
        query=query,
        statuses=STATUSES,
        triggers=[(name, visit.say(TRIGGERS[name])) for name in _STARTING],
        trigger_words=TRIGGERS,
        active_time=lambda each: active_time(each, formats, always),
        actions=ACTIONS,
        editable=EDITABLE,
        draft=DRAFT,
    )


@routes.get("/journeys/{journey_id}")
async def shown(request: web.Request) -> web.Response:
    """One journey: its tree, what it is at, and how it came there."""
    visit = Visit.of(request)
    journey_id = request.match_info["journey_id"]
    changes_asked = service.ListStatusChangesRequest(
        team_id=visit.team_id, journey_id=journey_id, page_size=_CHANGES_SHOWN, language_code=visit.language
    )
    journey, changes, choices = await asyncio.gather(
        read_journey(visit, journey_id),
        visit.call(visit.client.journey.ListStatusChanges, changes_asked),
        choices_of(visit),
    )
    formats, always = visit.formats, visit.say(noted("Always"))
    return visit.render(
        "journeys/show.html",
        journey=journey,
        changes=changes.status_changes,
        tree=tree_of(journey.definition),
        summaries=Summaries(visit, choices),
        kinds=NODES,
        statuses=STATUSES,
        actions=ACTIONS,
        editable=EDITABLE,
        active_time=active_time(journey, formats, always),
        draft=DRAFT,
    )


@routes.post("/journeys/{journey_id}/{action:close|stop|copy|delete}")
async def act(request: web.Request) -> web.Response:
    """Does one of the actions that a status allows."""
    visit = Visit.of(request)
    journey_id, name = request.match_info["journey_id"], request.match_info["action"]
    action = next(each for each in ACTIONS if each.name == name)
    stub, both = visit.client.journey, {"team_id": visit.team_id, "journey_id": journey_id}
    if name == "close":
        await visit.call(stub.CloseTrigger, service.CloseTriggerRequest(**both))
    elif name == "stop":
        await visit.call(stub.StopJourney, service.StopJourneyRequest(**both))
    elif name == "delete":
        await visit.call(stub.DeleteJourney, service.DeleteJourneyRequest(**both))
        return visit.go("/journeys", action.done)
    else:
        before, given = await read_journey(visit, journey_id), await texts_of(visit)
        called = visit.say(_COPY, name=before.definition.name)[:200]
        made = await visit.call(
            stub.CopyJourney, service.CopyJourneyRequest(name=called, request_id=given["request_id"], **both)
        )
        journey_id = made.journey.journey_id
    return visit.go(f"/journeys/{journey_id}", action.done)


async def read_journey(visit: Visit, journey_id: str) -> Journey:
    """One journey with its definition. Raises CallError."""
    request = service.GetJourneyRequest(
        team_id=visit.team_id, journey_id=journey_id, language_code=visit.language
    )
    found: Journey = (await visit.call(visit.client.journey.GetJourney, request)).journey
    return found
