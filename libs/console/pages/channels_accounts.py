"""One channel account: made, changed, switched off, deleted; its credentials are written and never shown."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from aiohttp import web
from google.protobuf.field_mask_pb2 import FieldMask

from libs.console.faults import Faults
from libs.console.forms import number_of, refusal, status_of, texts_of
from libs.console.labels import CHANNELS
from libs.console.languages import noted
from libs.console.pages.channels import STATES, quota_of
from libs.console.pages.customers import id_of
from libs.console.used_by import journeys_using
from libs.console.visits import Visit
from omnijourney.channel_gateway.v1 import account_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1.account_pb2 import ChannelAccount
from omnijourney.client import CallError
from omnijourney.common.v1 import channel_pb2

routes = web.RouteTableDef()


class Field(NamedTuple):
    """Of a connection."""

    name: str
    label: str
    help: str = ""
    is_secret: bool = False
    """Written and never shown: empty keeps what is there."""
    is_list: bool = False
    """One a line."""


_TOKEN: Final = Field("access_token", noted("Access token"), is_secret=True)
_SECRETS_HELP: Final = noted("They sign what the channel sends here. One a line, the present one first.")
_META: Final = (
    _TOKEN,
    Field("app_secrets", noted("App secrets"), _SECRETS_HELP, is_secret=True, is_list=True),
    Field(
        "verify_token",
        noted("Verify token"),
        noted("The channel shows it when it looks whether the webhook address is yours."),
        is_secret=True,
    ),
)
CONNECTIONS: Final[Mapping[int, tuple[str, tuple[Field, ...]]]] = {
    channel_pb2.CHANNEL_LINE: (
        "line",
        (
            Field(
                "channel_id", noted("Channel ID"), noted("Digits, in LINE Developers under Basic settings.")
            ),
            Field(
                "bot_user_id", noted("Your user ID"), noted("Of the bot, with U in front; may stay empty.")
            ),
            _TOKEN,
            Field("channel_secrets", noted("Channel secrets"), _SECRETS_HELP, is_secret=True, is_list=True),
        ),
    ),
    channel_pb2.CHANNEL_WHATSAPP: (
        "whatsapp",
        (
            Field("phone_number_id", noted("Phone number ID"), noted("Digits, in WhatsApp Manager.")),
            Field(
                "waba_id",
                noted("WhatsApp Business account ID"),
                noted("Digits; message templates need it."),
            ),
            *_META,
        ),
    ),
    channel_pb2.CHANNEL_MESSENGER: (
        "messenger",
        (Field("page_id", noted("Page ID"), noted("Digits; it cannot be changed later.")), *_META),
    ),
    channel_pb2.CHANNEL_INSTAGRAM: (
        "instagram",
        (
            Field(
                "instagram_id",
                noted("Instagram account ID"),
                noted("Digits; it cannot be changed later."),
            ),
            Field(
                "page_id",
                noted("ID of the linked page"),
                noted("Only where the account is reached through its page."),
            ),
            *_META,
        ),
    ),
}
"""Fields of a connection in the order of the form, by channel, with the contract's name of it."""


@routes.get("/channels/new")
async def new(request: web.Request) -> web.Response:
    """Asks for a channel, then for its credentials."""
    visit = Visit.of(request)
    return _form_page(visit, _channel_of(request.query.get("channel", "")))


@routes.post("/channels/new")
async def create(request: web.Request) -> web.Response:
    """Makes an account."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    channel = _channel_of(given.get("channel", ""))
    account = _account(channel, given)
    asked = gateway.CreateChannelAccountRequest(
        team_id=visit.team_id, request_id=given["request_id"], account=account
    )
    try:
        made = await visit.call(visit.client.channel_gateway.CreateChannelAccount, asked)
    except CallError as error:
        faults = refusal(visit, error, _names(channel))
        return _form_page(visit, channel, given=given, faults=faults, status=status_of(error))
    return visit.go(
        f"/channels/{made.account.channel_account_id}", noted("The account is there. Check whether it works.")
    )


@routes.get("/channels/{account_id}")
async def shown(request: web.Request) -> web.Response:
    """Its state, its plan, and what uses it."""
    return await _show_page(Visit.of(request))


@routes.get("/channels/{account_id}/edit")
async def edit(request: web.Request) -> web.Response:
    """Asks what is to be different."""
    visit = Visit.of(request)
    account = await _read(visit)
    kind = account.WhichOneof("connection") or "sink"
    connection = getattr(account, kind)
    _, fields = CONNECTIONS[account.channel]
    given = {each.name: getattr(connection, each.name, "") for each in fields if not each.is_secret}
    given |= {
        "display_name": account.display_name,
        "etag": account.etag,
        "rate_per_second": str(account.rate_per_second or ""),
        "concurrency_max": str(account.concurrency_max or ""),
    }
    return _form_page(visit, account.channel, account, given=given)


@routes.post("/channels/{account_id}/edit")
async def update(request: web.Request) -> web.Response:
    """Changes it; credentials that are left empty stay."""
    visit = Visit.of(request)
    account, given = await _read(visit), await texts_of(visit)
    kind, fields = CONNECTIONS[account.channel]
    changed = _account(account.channel, given, account.channel_account_id)
    paths = ["display_name", "rate_per_second", "concurrency_max"]
    if account.HasField("sink"):
        changed.ClearField("connection")
    elif _is_renewed(getattr(account, kind), fields, given):
        paths.append("connection")
    asked = gateway.UpdateChannelAccountRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        account=changed,
        update_mask=FieldMask(paths=paths),
        etag=given.get("etag", ""),
    )
    try:
        await visit.call(visit.client.channel_gateway.UpdateChannelAccount, asked)
    except CallError as error:
        faults = refusal(visit, error, _names(account.channel))
        return _form_page(
            visit, account.channel, account, given=given, faults=faults, status=status_of(error)
        )
    return visit.go(f"/channels/{account.channel_account_id}", noted("The account is changed."))


@routes.post("/channels/{account_id}/state")
async def switch(request: web.Request) -> web.Response:
    """Switches it off, or on again."""
    visit = Visit.of(request)
    given, account_id = await texts_of(visit), id_of(request.match_info["account_id"])
    on = given.get("on") == "1"
    state = account_pb2.ACCOUNT_STATE_ACTIVE if on else account_pb2.ACCOUNT_STATE_DISABLED
    await visit.call(
        visit.client.channel_gateway.UpdateChannelAccount,
        gateway.UpdateChannelAccountRequest(
            team_id=visit.team_id,
            request_id=given["request_id"],
            account=ChannelAccount(channel_account_id=account_id, state=state),
            update_mask=FieldMask(paths=["state"]),
        ),
    )
    done = (
        noted("The account is switched on.") if on else noted("The account is switched off: nothing is sent.")
    )
    return visit.go(f"/channels/{account_id}", done)


@routes.post("/channels/{account_id}/delete")
async def delete(request: web.Request) -> web.Response:
    """Deletes it; while journeys use it only where that was said."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    asked = gateway.DeleteChannelAccountRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        channel_account_id=id_of(request.match_info["account_id"]),
        unless_used=given.get("force") != "1",
    )
    try:
        await visit.call(visit.client.channel_gateway.DeleteChannelAccount, asked)
    except CallError as error:
        return await _show_page(visit, status=status_of(error), faults=refusal(visit, error, {}))
    return visit.go("/channels", noted("The account is deleted."))


@routes.post("/channels/{account_id}/quota")
async def set_quota(request: web.Request) -> web.Response:
    """Sets how many messages the plan of a LINE account has, or asks LINE."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    ids: dict[str, Any] = {
        "team_id": visit.team_id,
        "request_id": given["request_id"],
        "account_id": id_of(request.match_info["account_id"]),
    }
    client, limit = visit.client.channel_gateway, given.get("limit", "").strip()
    if given.get("do") != "refresh" and limit and not number_of(limit) and limit != "0":
        faults = Faults({"limit": visit.say(noted("Enter a whole number, or nothing for no limit."))})
        return await _show_page(visit, status=422, given=given, faults=faults)
    try:
        if given.get("do") == "refresh":
            await visit.call(client.RefreshPlanQuota, gateway.RefreshPlanQuotaRequest(**ids))
        else:
            asked = gateway.SetPlanQuotaRequest(unlimited=not limit, message_limit=number_of(limit), **ids)
            await visit.call(client.SetPlanQuota, asked)
    except CallError as error:
        faults = refusal(visit, error, {"message_limit": "limit"})
        return await _show_page(visit, status=status_of(error), given=given, faults=faults)
    return visit.go(f"/channels/{ids['account_id']}", noted("The plan is set."))


async def _read(visit: Visit) -> ChannelAccount:
    asked = gateway.GetChannelAccountRequest(
        team_id=visit.team_id, channel_account_id=id_of(visit.request.match_info["account_id"])
    )
    found: ChannelAccount = (await visit.call(visit.client.channel_gateway.GetChannelAccount, asked)).account
    return found


async def _show_page(
    visit: Visit,
    *,
    status: int = 200,
    given: Mapping[str, str] | None = None,
    faults: Faults | None = None,
) -> web.Response:
    account = await _read(visit)
    quota, users = await asyncio.gather(
        quota_of(visit, account), journeys_using(visit, channel_account_id=account.channel_account_id)
    )
    return visit.render(
        "channels/show.html",
        status=status,
        account=account,
        state=STATES.get(account.state),
        is_off=account.state == account_pb2.ACCOUNT_STATE_DISABLED,
        is_unusable=account.state == account_pb2.ACCOUNT_STATE_UNUSABLE,
        channel_name=CHANNELS.get(account.channel, ""),
        quota=quota,
        users=users,
        given=given or {},
        faults=faults or Faults(),
    )


def _form_page(
    visit: Visit,
    channel: int,
    account: ChannelAccount | None = None,
    *,
    given: Mapping[str, Any] | None = None,
    faults: Faults | None = None,
    status: int = 200,
) -> web.Response:
    fields = CONNECTIONS[channel][1] if channel else ()
    is_sink = account is not None and account.HasField("sink")
    return visit.render(
        "channels/edit.html",
        status=status,
        account=account,
        channel=channel,
        channels=CHANNELS,
        fields=() if is_sink else fields,
        given=given or {},
        faults=faults or Faults(),
    )


def _account(channel: int, given: Mapping[str, str], account_id: str = "") -> ChannelAccount:
    account = ChannelAccount(
        channel_account_id=account_id,
        channel=channel_pb2.Channel.ValueType(channel),
        display_name=given.get("display_name", "").strip(),
        rate_per_second=min(number_of(given.get("rate_per_second", "")), 10**6),
        concurrency_max=min(number_of(given.get("concurrency_max", "")), 10**6),
    )
    if not channel:
        return account
    kind, fields = CONNECTIONS[channel]
    connection = getattr(account, kind)
    connection.SetInParent()
    for each in fields:
        text = given.get(each.name, "").strip()
        if each.is_list:
            getattr(connection, each.name).extend(line.strip() for line in text.splitlines() if line.strip())
        else:
            setattr(connection, each.name, text)
    return account


def _is_renewed(before: Any, fields: tuple[Field, ...], given: Mapping[str, str]) -> bool:
    """Whether a form says something else about the connection: that makes an account usable again."""
    return any(
        given.get(each.name, "").strip() != ("" if each.is_secret else getattr(before, each.name))
        for each in fields
    )


def _names(channel: int) -> dict[str, str]:
    names = {"account.display_name": "display_name", "account.channel": "channel"}
    names |= {f"account.{each}": each for each in ("rate_per_second", "concurrency_max")}
    if channel:
        kind, fields = CONNECTIONS[channel]
        names |= {f"account.{kind}.{each.name}": each.name for each in fields}
    return names


def _channel_of(text: str) -> int:
    """0 for what is no channel."""
    return number_of(text) if number_of(text) in CONNECTIONS else 0
