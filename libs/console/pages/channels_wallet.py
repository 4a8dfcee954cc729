"""The prepaid balance: what is left, what people added or took, what messages cost, and when the team is warned."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from aiohttp import web
from google.protobuf.field_mask_pb2 import FieldMask

from libs.console.faults import Faults
from libs.console.formats import MICROS
from libs.console.forms import number_of, refusal, status_of, texts_of
from libs.console.journeys.reading import Reader
from libs.console.labels import CHANNELS, options
from libs.console.languages import noted
from libs.console.pages.journeys import read_journey
from libs.console.partial import part
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1.limits_pb2 import BalanceAlert
from omnijourney.client import CallError
from omnijourney.common.v1 import channel_pb2

routes = web.RouteTableDef()
_DELETED = noted("A deleted journey")
_NAMELESS = noted("Without a name")


@routes.get("/channels/wallet")
async def wallet(request: web.Request) -> web.Response:
    """The balance, and what people added to it or took from it."""
    return await _page(Visit.of(request))


@routes.post("/channels/wallet")
async def adjust(request: web.Request) -> web.Response:
    """Adds to it, or takes from it."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    found = await visit.call(
        visit.client.channel_gateway.GetWallet, gateway.GetWalletRequest(team_id=visit.team_id)
    )
    reader = Reader(await visit.form(), visit.say)
    amount = reader.money("amount", found.wallet.balance.currency_code)
    if reader.faults:
        return await _page(visit, given=given, faults=reader.faults, status=422)
    if amount is not None and given.get("direction") == "take":
        amount.amount_micros = -amount.amount_micros
    asked = gateway.AdjustWalletRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        amount=amount,
        note=given.get("note", ""),
    )
    try:
        await visit.call(visit.client.channel_gateway.AdjustWallet, asked)
    except CallError as error:
        faults = refusal(visit, error, {"amount": "amount", "note": "note"})
        return await _page(visit, given=given, faults=faults, status=status_of(error))
    return visit.go("/channels/wallet", noted("The balance is changed."))


@routes.post("/channels/wallet/alert")
async def set_alert(request: web.Request) -> web.Response:
    """Sets below which balance the team is warned; empty: never."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    client, reader = visit.client.channel_gateway, Reader(await visit.form(), visit.say)
    found = await visit.call(client.GetWallet, gateway.GetWalletRequest(team_id=visit.team_id))
    threshold = reader.money("threshold", found.wallet.balance.currency_code)
    if reader.faults:
        return await _page(visit, given=given, faults=reader.faults, status=422)
    asked = gateway.UpdateBalanceAlertRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        balance_alert=BalanceAlert(threshold=threshold),
        update_mask=FieldMask(paths=["threshold"]),
    )
    try:
        await visit.call(client.UpdateBalanceAlert, asked)
    except CallError as error:
        faults = refusal(visit, error, {"balance_alert.threshold": "threshold"})
        return await _page(visit, given=given, faults=faults, status=status_of(error))
    return visit.go("/channels/wallet", noted("The warning is set."))


@routes.get("/channels/charges")
async def charges(request: web.Request) -> web.Response:
    """What messages cost and what was given back, by channel."""
    visit = Visit.of(request)
    channel = number_of(request.query.get("channel", ""))
    page = await visit.call(
        visit.client.channel_gateway.ListMessageCharges,
        gateway.ListMessageChargesRequest(
            team_id=visit.team_id,
            channel=channel_pb2.Channel.ValueType(channel if channel in CHANNELS else 0),
            page_size=PAGE_SIZE,
            page_token=request.query.get("page_token", ""),
        ),
    )
    return visit.render(
        "channels/charges.html",
        charges=page.message_charges,
        names=await _names(visit, {each.journey_id for each in page.message_charges if each.journey_id}),
        channels=CHANNELS,
        channel_options=options(CHANNELS),
        query=request.query,
        next_link=visit.page_link(page.next_page_token),
    )


async def _names(visit: Visit, journey_ids: Iterable[str]) -> dict[str, str]:
    """What journeys are called, by id; of one that is not there any more, that it is one."""
    ids = sorted(journey_ids)
    read = await asyncio.gather(*(part(visit, read_journey(visit, each)) for each in ids))
    return {
        journey_id: visit.say(_DELETED)
        if found.fault
        else found.answer.definition.name or visit.say(_NAMELESS)
        for journey_id, found in zip(ids, read, strict=True)
    }


async def _page(
    visit: Visit, *, given: Mapping[str, str] | None = None, faults: Faults | None = None, status: int = 200
) -> web.Response:
    client = visit.client.channel_gateway
    ids: dict[str, Any] = {"team_id": visit.team_id}
    paging: dict[str, Any] = {"page_size": PAGE_SIZE, "page_token": visit.request.query.get("page_token", "")}
    found, page, alert = await asyncio.gather(
        visit.call(client.GetWallet, gateway.GetWalletRequest(**ids)),
        visit.call(client.ListWalletEntries, gateway.ListWalletEntriesRequest(**ids, **paging)),
        part(visit, visit.call(client.GetBalanceAlert, gateway.GetBalanceAlertRequest(**ids))),
    )
    threshold = ""
    if not alert.fault and alert.answer.balance_alert.HasField("threshold"):
        threshold = f"{Decimal(alert.answer.balance_alert.threshold.amount_micros) / MICROS:f}"
    return visit.render(
        "channels/wallet.html",
        status=status,
        wallet=found.wallet,
        is_low=not alert.fault and alert.answer.balance_alert.firing,
        threshold=threshold,
        entries=page.entries,
        next_link=visit.page_link(page.next_page_token),
        given=given or {},
        faults=faults or Faults(),
    )
