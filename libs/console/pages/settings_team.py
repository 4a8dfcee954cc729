"""The team itself: its name, where it lives, and what journeys, points and figures go by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import available_timezones

from aiohttp import web
from google.protobuf.field_mask_pb2 import FieldMask

from libs.console.faults import Faults
from libs.console.forms import refusal, status_of, texts_of
from libs.console.journeys.reading import Reader
from libs.console.labels import CHANNELS, options
from libs.console.languages import noted
from libs.console.visits import Visit
from omnijourney.client import CallError
from omnijourney.common.v1 import channel_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1 import team_pb2

routes = web.RouteTableDef()

MODULES: Final[Mapping[int, str]] = {
    team_pb2.MODULE_JOURNEYS: noted("Journeys"),
    team_pb2.MODULE_POINTS: noted("Points"),
    team_pb2.MODULE_CUSTOM_ATTRIBUTES: noted("Custom attributes"),
    team_pb2.MODULE_SOCIAL_CDP: noted("Social customer data"),
}
_SETTINGS: Final = (
    "time_zone",
    "country_code",
    "currency_code",
    "attribution_window",
    "unsigned_orders_count",
    "points_channels",
    "consent_words",
    "currency_rates",
)
_FIELDS: Final = {
    "team.name": "name",
    "team.settings.time_zone": "time_zone",
    "team.settings.country_code": "country_code",
    "team.settings.currency_code": "currency_code",
    "team.settings.attribution_window": "window_days",
    "team.settings.points_channels": "points_channels",
    "team.settings.currency_rates": "currency_rates",
    "team.settings.consent_words.stop_words": "stop_words",
    "team.settings.consent_words.start_words": "start_words",
}
_RATE: Final = re.compile(r"([A-Za-z]{3})[\s:=＝：]+([^\s:=＝：]+)")
_NO_RATE: Final = noted("Line %(line)s: write a currency and what one of it is worth, such as USD 31.5.")


@routes.get("/settings/team")
async def shown(request: web.Request) -> web.Response:
    """The settings as they are."""
    return await _page(Visit.of(request))


@routes.post("/settings/team")
async def update(request: web.Request) -> web.Response:
    """Changes them."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    reader = Reader(await visit.form(), visit.say)
    channels = [int(each) for each in reader.all("points_channels") if each in map(str, CHANNELS)]
    settings = team_pb2.TeamSettings(
        time_zone=reader.text("time_zone"),
        country_code=reader.text("country_code").upper(),
        currency_code=reader.text("currency_code").upper(),
        attribution_window=reader.span("window"),
        unsigned_orders_count=reader.flag("unsigned_orders_count"),
        points_channels=map(channel_pb2.Channel.ValueType, channels),
        consent_words=team_pb2.ConsentWords(
            stop_words=reader.texts("stop_words"), start_words=reader.texts("start_words")
        ),
        currency_rates=_rates(visit, reader),
    )
    if reader.faults:
        return await _page(visit, status=422, settings=settings, given=given, faults=reader.faults)
    asked = segment.UpdateTeamRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        team=team_pb2.Team(name=given.get("name", "").strip(), settings=settings),
        update_mask=FieldMask(paths=["name", *(f"settings.{each}" for each in _SETTINGS)]),
        etag=given.get("etag", ""),
    )
    try:
        await visit.call(visit.client.segment.UpdateTeam, asked)
    except CallError as error:
        faults = refusal(visit, error, _FIELDS)
        return await _page(visit, status=status_of(error), settings=settings, given=given, faults=faults)
    return visit.go(
        request.path, noted("The settings are changed. Every service goes by them within 5 seconds.")
    )


def _rates(visit: Visit, reader: Reader) -> list[team_pb2.CurrencyRate]:
    """A currency and its rate a line; a line that is none is a fault of the field."""
    rates = []
    for number, line in enumerate(str(reader.fields.get("currency_rates", "")).splitlines(), 1):
        if found := _RATE.fullmatch(line.strip()):
            rates.append(team_pb2.CurrencyRate(currency_code=found[1].upper(), rate=found[2]))
        elif line.strip():
            reader.faults.add("currency_rates", visit.say(_NO_RATE, line=number))
    return rates


async def _page(
    visit: Visit,
    *,
    status: int = 200,
    settings: team_pb2.TeamSettings | None = None,
    given: Mapping[str, Any] | None = None,
    faults: Faults | None = None,
) -> web.Response:
    asked = segment.GetTeamRequest(team_id=visit.team_id)
    found = (await visit.call(visit.client.segment.GetTeam, asked)).team
    shown = settings or found.settings
    days, rest = divmod(shown.attribution_window.seconds, 86_400)
    return visit.render(
        "settings/team.html",
        status=status,
        settings=shown,
        window_days=days,
        window_hours=rest // 3600,
        modules=[visit.say(MODULES[each]) for each in found.settings.modules if each in MODULES],
        plan=found.settings.plan,
        zones=sorted(available_timezones()),
        channel_options=options(CHANNELS),
        rates="\n".join(f"{each.currency_code} {each.rate}" for each in shown.currency_rates),
        given={"name": found.name, "etag": found.etag, **(given or {})},
        faults=faults or Faults(),
    )
