"""What a message costs on each channel, and how many messages one customer gets at most over all journeys."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from aiohttp import web
from google.protobuf.field_mask_pb2 import FieldMask

from libs.console.faults import Faults
from libs.console.formats import MICROS, parts_of
from libs.console.forms import number_of, refusal, status_of, texts_of
from libs.console.journeys.reading import Reader
from libs.console.labels import CHANNELS, options
from libs.console.languages import noted
from libs.console.visits import Visit
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1.limits_pb2 import FrequencyCap, FrequencyRule
from omnijourney.client import CallError
from omnijourney.common.v1 import channel_pb2

routes = web.RouteTableDef()
RULES_MAX: Final = 10
_COUNT_MAX: Final = 10**9


@routes.get("/channels/limits")
async def shown(request: web.Request) -> web.Response:
    """Prices and the frequency cap."""
    return await _page(Visit.of(request))


@routes.post("/channels/limits/price")
async def set_price(request: web.Request) -> web.Response:
    """Sets what a message costs on a channel; empty: the usual price again."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    reader, channel = Reader(await visit.form(), visit.say), number_of(given.get("channel", ""))
    price = reader.money("price", reader.text("currency").upper())
    if reader.faults:
        return await _page(visit, given=given, faults=reader.faults, status=422)
    asked = gateway.SetMessagePriceRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        channel=channel_pb2.Channel.ValueType(channel if channel in CHANNELS else 0),
        price=price,
    )
    try:
        await visit.call(visit.client.channel_gateway.SetMessagePrice, asked)
    except CallError as error:
        names = {"channel": "channel", "price": "price", "price.currency_code": "currency"}
        return await _page(visit, given=given, faults=refusal(visit, error, names), status=status_of(error))
    return visit.go("/channels/limits", noted("The price is set for messages from now on."))


@routes.post("/channels/limits/frequency")
async def set_frequency(request: web.Request) -> web.Response:
    """Sets the rules of the frequency cap; a row without a number is none."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    reader, rules, names = Reader(await visit.form(), visit.say), FrequencyCap(), dict[str, str]()
    for row in range(RULES_MAX):
        if not reader.text(f"max_{row}"):
            continue
        channel = reader.number(f"channel_{row}")
        place = len(rules.rules)  # where the row stands when the form is shown again
        names[f"frequency_cap.rules[{place}]"] = f"max_{place}"
        names[f"frequency_cap.rules[{place}].period"] = f"period_{place}_days"
        rule = FrequencyRule(
            channel=channel_pb2.Channel.ValueType(channel if channel in CHANNELS else 0),
            message_max=min(reader.number(f"max_{row}"), _COUNT_MAX),
            period=reader.span(f"period_{row}"),
        )
        rules.rules.append(rule)
    if reader.faults:
        return await _page(visit, given=given, cap=rules, faults=reader.faults, status=422)
    asked = gateway.UpdateFrequencyCapRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        frequency_cap=rules,
        update_mask=FieldMask(paths=["rules"]),
        etag=given.get("etag", ""),
    )
    try:
        await visit.call(visit.client.channel_gateway.UpdateFrequencyCap, asked)
    except CallError as error:
        faults = refusal(visit, error, names)
        return await _page(visit, given=given, cap=rules, faults=faults, status=status_of(error))
    return visit.go("/channels/limits", noted("The frequency cap is set."))


async def _page(
    visit: Visit,
    *,
    given: Mapping[str, str] | None = None,
    cap: FrequencyCap | None = None,
    faults: Faults | None = None,
    status: int = 200,
) -> web.Response:
    """`cap` stands in the form instead of what is set."""
    client = visit.client.channel_gateway
    ids: dict[str, Any] = {"team_id": visit.team_id}
    prices, found = await asyncio.gather(
        visit.call(client.ListMessagePrices, gateway.ListMessagePricesRequest(**ids)),
        visit.call(client.GetFrequencyCap, gateway.GetFrequencyCapRequest(**ids)),
    )
    rules = list((cap or found.frequency_cap).rules)
    rows = [(rule.channel, rule.message_max, *parts_of(rule.period)[:2]) for rule in rules]
    return visit.render(
        "channels/limits.html",
        status=status,
        prices=prices.prices,
        rows=[*rows, (0, "", "", "")][:RULES_MAX],
        etag=found.frequency_cap.etag,
        channels=CHANNELS,
        channel_options=options(CHANNELS),
        plain=lambda amount: f"{Decimal(amount.amount_micros) / MICROS:f}",
        given=given or {},
        faults=faults or Faults(),
    )
