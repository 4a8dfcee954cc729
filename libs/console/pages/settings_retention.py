"""How long records are kept, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from aiohttp import web
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from libs.console.faults import Faults
from libs.console.forms import refusal, status_of, texts_of
from libs.console.journeys.reading import Reader
from libs.console.languages import noted
from libs.console.visits import Visit
from omnijourney.client import CallError
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.consent_pb2 import Retention

routes = web.RouteTableDef()
_DAY_S: Final = 86_400
_DAYS_MAX: Final = 100_000


class Kind(NamedTuple):
    """Of records."""

    name: str
    label: str
    help: str


KINDS: Final = (
    Kind(
        "webhook_bodies",
        noted("What shops and channels sent"),
        noted(
            "7 to 3,650 days; they send again for up to 7. Empty: as the installation says, 90 by default."
        ),
    ),
    Kind(
        "message_contents",
        noted("Contents of messages, and what triggers brought"),
        noted("1 to 3,650 days. Empty: as the installation says, 90 by default."),
    ),
    Kind(
        "enrolment_steps",
        noted("Steps of customers in journeys"),
        noted("30 to 3,650 days after they left it; the numbers at the nodes stay. Empty: for ever."),
    ),
    Kind(
        "histories",
        noted("What customers did"),
        noted("30 to 3,650 days; that it happened and amounts stay, what was in it goes. Empty: for ever."),
    ),
    Kind(
        "audit_entries",
        noted("The audit log"),
        noted("365 to 3,650 days. Empty: as the installation says, 730 by default."),
    ),
    Kind(
        "hourly_figures",
        noted("Figures by hour"),
        noted(
            "400 to 3,650 days; older ones are kept by day, for ever, and come back to hours no more."
            " Empty: as the installation says, for ever by default."
        ),
    ),
)


@routes.get("/settings/retention")
async def shown(request: web.Request) -> web.Response:
    """The days of each kind."""
    return await _page(Visit.of(request))


@routes.post("/settings/retention")
async def update(request: web.Request) -> web.Response:
    """Changes them; empty is as the installation says."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    reader, retention = Reader(await visit.form(), visit.say), Retention()
    for kind in KINDS:
        if reader.text(kind.name):
            days = min(reader.number(kind.name), _DAYS_MAX)
            getattr(retention, kind.name).CopyFrom(Duration(seconds=days * _DAY_S))
    if reader.faults:
        return await _page(visit, status=422, given=given, faults=reader.faults)
    asked = segment.UpdateRetentionRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        retention=retention,
        update_mask=FieldMask(paths=[kind.name for kind in KINDS]),
        etag=given.get("etag", ""),
    )
    try:
        await visit.call(visit.client.segment.UpdateRetention, asked)
    except CallError as error:
        faults = refusal(visit, error, {f"retention.{kind.name}": kind.name for kind in KINDS})
        return await _page(visit, status=status_of(error), given=given, faults=faults)
    return visit.go(request.path, noted("The periods are changed. Services go by them within 10 minutes."))


async def _page(
    visit: Visit, *, status: int = 200, given: Mapping[str, str] | None = None, faults: Faults | None = None
) -> web.Response:
    asked = segment.GetRetentionRequest(team_id=visit.team_id)
    retention = (await visit.call(visit.client.segment.GetRetention, asked)).retention
    kept = {
        kind.name: str(getattr(retention, kind.name).seconds // _DAY_S)
        for kind in KINDS
        if retention.HasField(kind.name)
    }
    return visit.render(
        "settings/retention.html",
        status=status,
        kinds=KINDS,
        given=given or {**kept, "etag": retention.etag},
        faults=faults or Faults(),
    )
