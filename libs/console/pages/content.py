"""Content: bot modules, as a phone shows them, with what uses them and a message to try them."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from google.protobuf.field_mask_pb2 import FieldMask

from libs.console.faults import Faults
from libs.console.forms import number_of, refusal, status_of, texts_of
from libs.console.labels import CHANNELS, options
from libs.console.languages import noted
from libs.console.navigation import Area
from libs.console.pages.content_cards import COMPARISONS, FIGURES, Cards
from libs.console.pages.content_tests import send_test
from libs.console.pages.customers import CHOICES_MAX, id_of
from libs.console.pages.points import has_points
from libs.console.partial import part
from libs.console.previews import chosen_sample, module_preview, samples_of
from libs.console.used_by import journeys_using
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1 import content_pb2
from omnijourney.client import CallError
from omnijourney.points.v1 import points_service_pb2 as points

routes = web.RouteTableDef()
_NOT_LISTED = noted("A coupon that can no longer be claimed")
AREAS = (Area(noted("Content"), "/content", 70),)


@routes.get("/content")
async def listing(request: web.Request) -> web.Response:
    """Bot modules, newest first."""
    visit = Visit.of(request)
    page = await visit.call(
        visit.client.channel_gateway.ListBotModules,
        gateway.ListBotModulesRequest(
            team_id=visit.team_id, page_size=PAGE_SIZE, page_token=request.query.get("page_token", "")
        ),
    )
    return visit.render(
        "content/list.html", modules=page.modules, next_link=visit.page_link(page.next_page_token)
    )


@routes.get("/content/new")
async def new(request: web.Request) -> web.Response:
    """Asks for a name and for cards."""
    return await _form_page(
        Visit.of(request), None, "", Cards.of([content_pb2.Card(text=content_pb2.TextCard())])
    )


@routes.post("/content/new")
async def create(request: web.Request) -> web.Response:
    """Makes a module, or adds a card to the form."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    cards = Cards.read(given)
    if cards.is_changed_by(given.get("do", "")):
        return await _form_page(visit, None, given.get("name", ""), cards)
    module = content_pb2.BotModule(name=given.get("name", "").strip(), cards=cards.messages())
    try:
        made = await visit.call(
            visit.client.channel_gateway.CreateBotModule,
            gateway.CreateBotModuleRequest(
                team_id=visit.team_id, request_id=given["request_id"], module=module
            ),
        )
    except CallError as error:
        faults = refusal(visit, error, cards.names())
        return await _form_page(visit, None, given.get("name", ""), cards, (faults, status_of(error)))
    return visit.go(f"/content/{made.module.bot_module_id}", noted("The module is there."))


@routes.get("/content/{module_id}")
async def shown(request: web.Request) -> web.Response:
    """A module as a phone shows it."""
    return await _show_page(Visit.of(request))


@routes.get("/content/{module_id}/edit")
async def edit(request: web.Request) -> web.Response:
    """Asks what is to be different."""
    visit = Visit.of(request)
    module = (await _read(visit)).module
    return await _form_page(visit, module, module.name, Cards.of(module.cards))


@routes.post("/content/{module_id}/edit")
async def update(request: web.Request) -> web.Response:
    """Changes a module, or the form."""
    visit = Visit.of(request)
    module = (await _read(visit)).module
    given = await texts_of(visit)
    cards = Cards.read(given)
    if cards.is_changed_by(given.get("do", "")):
        return await _form_page(visit, module, given.get("name", ""), cards)
    changed = content_pb2.BotModule(
        bot_module_id=module.bot_module_id, name=given.get("name", "").strip(), cards=cards.messages()
    )
    try:
        await visit.call(
            visit.client.channel_gateway.UpdateBotModule,
            gateway.UpdateBotModuleRequest(
                team_id=visit.team_id,
                request_id=given["request_id"],
                module=changed,
                update_mask=FieldMask(paths=["name", "cards"]),
                etag=given.get("etag", ""),
            ),
        )
    except CallError as error:
        faults = refusal(visit, error, cards.names())
        return await _form_page(visit, module, given.get("name", ""), cards, (faults, status_of(error)))
    return visit.go(f"/content/{module.bot_module_id}", noted("The module is changed."))


@routes.post("/content/{module_id}/delete")
async def delete(request: web.Request) -> web.Response:
    """Deletes a module; while journeys send it only where that was said."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    try:
        await visit.call(
            visit.client.channel_gateway.DeleteBotModule,
            gateway.DeleteBotModuleRequest(
                team_id=visit.team_id,
                request_id=given["request_id"],
                bot_module_id=id_of(request.match_info["module_id"]),
                unless_used=given.get("force") != "1",
            ),
        )
    except CallError as error:
        return await _show_page(visit, status=status_of(error), faults=refusal(visit, error, {}))
    return visit.go("/content", noted("The module is deleted."))


@routes.post("/content/{module_id}/test")
async def test_message(request: web.Request) -> web.Response:
    """Sends a module to one customer, marked as a test."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    module_id = id_of(request.match_info["module_id"])
    tested = await send_test(visit, given, bot_module_id=module_id)
    if tested.faults:
        return await _show_page(visit, status=tested.status, faults=tested.faults, given=given)
    return tested.shown(visit, f"/content/{module_id}")


async def _read(visit: Visit) -> gateway.GetBotModuleResponse:
    request = gateway.GetBotModuleRequest(
        team_id=visit.team_id, bot_module_id=id_of(visit.request.match_info["module_id"])
    )
    answer: gateway.GetBotModuleResponse = await visit.call(
        visit.client.channel_gateway.GetBotModule, request
    )
    return answer


async def _show_page(visit: Visit, status: int = 200, **context: Any) -> web.Response:
    """As it is written, or, where the address names a channel, as that gets it for a customer."""
    query = visit.request.query
    channel = number_of(query.get("channel", ""))
    channel = channel if channel in CHANNELS else 0
    module_id = id_of(visit.request.match_info["module_id"])
    found, users, accounts, samples = await asyncio.gather(
        _read(visit),
        journeys_using(visit, bot_module_id=module_id),
        visit.call(
            visit.client.channel_gateway.ListChannelAccounts,
            gateway.ListChannelAccountsRequest(team_id=visit.team_id, page_size=CHOICES_MAX),
        ),
        part(visit, samples_of(visit, channel)),
    )
    sample = chosen_sample(query, samples.answer or [])
    return visit.render(
        "content/show.html",
        status=status,
        **{
            "module": found.module,
            "misfits": found.misfits,
            "notices": found.notices,
            "users": users,
            "channels": CHANNELS,
            "channel": channel,
            "channel_options": options(CHANNELS),
            "samples": samples.answer or [],
            "sample": sample,
            "preview": await module_preview(visit, module_id, channel, sample) if channel else None,
            "accounts": [
                (each.channel_account_id, f"{CHANNELS.get(each.channel, '')} · {each.display_name}")
                for each in accounts.accounts
            ],
            "given": {},
            **context,
        },
    )


async def _form_page(
    visit: Visit,
    module: content_pb2.BotModule | None,
    name: str,
    cards: Cards,
    refused: tuple[Faults, int] | None = None,
) -> web.Response:
    faults, status = refused or (Faults(), 200)
    return visit.render(
        "content/edit.html",
        status=status,
        module=module,
        name=name,
        cards=cards,
        faults=faults,
        has_points=has_points(visit),
        coupons=await _coupons(
            visit, {row.get("coupon_id", "") for row in cards.rows if row["kind"] == "coupon"}
        ),
        figures=[(str(value), visit.say(name)) for value, name in FIGURES.items()],
        comparisons=[(str(value), visit.say(name)) for value, name in COMPARISONS.items()],
    )


async def _coupons(visit: Visit, chosen: set[str]) -> list[tuple[str, str]]:
    """Those that can be claimed, and what is `chosen` already (empty: on a card that has none yet); none where no card
    asks for them."""
    if not chosen:
        return []
    asked = points.ListCouponsRequest(team_id=visit.team_id, page_size=CHOICES_MAX)
    found = await part(visit, visit.call(visit.client.points.ListCoupons, asked))
    known = {} if found.fault else {each.coupon_id: each.name for each in found.answer.coupons}
    others = {each: visit.say(_NOT_LISTED) for each in sorted(chosen - {""}) if each not in known}
    return list((known | others).items())
