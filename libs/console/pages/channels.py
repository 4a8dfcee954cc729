"""Channels: the team's accounts, whether they work, and what is left of their plans."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from libs.console.labels import CHANNELS
from libs.console.languages import noted
from libs.console.navigation import Area
from libs.console.pages.customers import id_of
from libs.console.partial import Part, part
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.channel_gateway.v1 import account_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.common.v1 import channel_pb2

routes = web.RouteTableDef()
AREAS = (Area(noted("Channels"), "/channels", 80),)

STATES: Final[Mapping[int, tuple[str, str]]] = {
    account_pb2.ACCOUNT_STATE_ACTIVE: ("good", noted("Works")),
    account_pb2.ACCOUNT_STATE_DISABLED: ("stopped", noted("Disabled")),
    account_pb2.ACCOUNT_STATE_UNUSABLE: ("bad", noted("Does not work")),
}


@routes.get("/channels")
async def listing(request: web.Request) -> web.Response:
    """Accounts, with the plan of each that has one."""
    visit = Visit.of(request)
    page = await visit.call(
        visit.client.channel_gateway.ListChannelAccounts,
        gateway.ListChannelAccountsRequest(
            team_id=visit.team_id, page_size=PAGE_SIZE, page_token=request.query.get("page_token", "")
        ),
    )
    quotas = await asyncio.gather(*(quota_of(visit, each) for each in page.accounts))
    return visit.render(
        "channels/list.html",
        accounts=list(zip(page.accounts, quotas, strict=True)),
        channels=CHANNELS,
        states=STATES,
        next_link=visit.page_link(page.next_page_token),
    )


@routes.post("/channels/{account_id}/check")
async def check(request: web.Request) -> web.Response:
    """Asks the channel whether an account works."""
    visit = Visit.of(request)
    answer = await visit.call(
        visit.client.channel_gateway.CheckChannelAccount,
        gateway.CheckChannelAccountRequest(
            team_id=visit.team_id, channel_account_id=id_of(request.match_info["account_id"])
        ),
    )
    path = f"/channels/{request.match_info['account_id']}"
    if answer.usable:
        return visit.go(path, noted("The channel says that the account works."))
    visit.session.note("fault", f"{visit.say(noted('The account does not work.'))} {answer.detail}")
    return visit.go(path)


async def quota_of(visit: Visit, account: account_pb2.ChannelAccount) -> Any:
    """Of a LINE account; None for the others, which have none."""
    if account.channel != channel_pb2.CHANNEL_LINE:
        return None
    request = gateway.GetPlanQuotaRequest(team_id=visit.team_id, account_id=account.channel_account_id)
    read: Part = await part(visit, visit.call(visit.client.channel_gateway.GetPlanQuota, request))
    return None if read.fault else read.answer.quota
