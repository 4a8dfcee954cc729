# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: shops, their signing keys, and the inbox of webhooks."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.ids import epoch_ms, new_id
from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import changed_fields, team_of
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from services.channel_gateway.convert.shops import key_message, record_message, shop_message
from services.channel_gateway.domain.inbox import InboxRow
from services.channel_gateway.domain.signing import decode_secret, encode_secret
from services.channel_gateway.domain.views import Shop, ShopKey
from services.channel_gateway.servicer.base import Part
from services.channel_gateway.usecases.call import Call
from services.channel_gateway.usecases.shops import Showing

NAME_MAX: Final = 100
SECRET_BYTES: Final = 32
"""Length of the keys that the server makes."""
_SHOP_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class ShopRpcs(Part):
    """Webhooks in."""

    async def CreateShop(self, request: pb.CreateShopRequest, context: Any) -> pb.CreateShopResponse:
        """Creates a shop."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        shop_id = shop_of(check, "shop.shop_id", request.shop.shop_id)
        name = check.name("shop.display_name", request.shop.display_name, length_max=NAME_MAX)
        check.done()

        def reply(shop: Shop) -> pb.CreateShopResponse:
            return pb.CreateShopResponse(shop=shop_message(shop))

        # A new shop takes webhooks: `enabled` cannot tell "no" from "not given".
        return await self._deps.shops.create(
            Call(team_id, request, pb.CreateShopResponse, reply), shop_id, name
        )

    async def GetShop(self, request: pb.GetShopRequest, context: Any) -> pb.GetShopResponse:
        """Reads a shop."""
        shop = await self._deps.shop_store.shop(*team_and_shop(request.team_id, request.shop_id))
        return pb.GetShopResponse(shop=shop_message(shop))

    async def ListShops(self, request: pb.ListShopsRequest, context: Any) -> pb.ListShopsResponse:
        """Lists shops."""
        team_id = team_of(request.team_id)
        arguments = ("shops", team_id)
        size = page_size(request.page_size)
        after = page_key(request.page_token, tuple[datetime, str], *arguments)
        shops = await self._deps.shop_store.list_shops(team_id, after, size + 1)
        page = page_of(shops, size, lambda last: (last.created_at, last.shop_id), *arguments)
        return pb.ListShopsResponse(shops=map(shop_message, page.rows), next_page_token=page.next_token)

    async def UpdateShop(self, request: pb.UpdateShopRequest, context: Any) -> pb.UpdateShopResponse:
        """Changes a shop."""
        team_id, shop_id = team_and_shop(request.team_id, request.shop.shop_id)
        check = FieldCheck()
        fields = changed_fields(check, request.update_mask.paths, ("display_name", "enabled"), request.shop)
        changes = {field: getattr(request.shop, field) for field in fields}
        if (name := changes.get("display_name")) is not None:
            changes["display_name"] = check.name("shop.display_name", name, length_max=NAME_MAX)
        check.done()

        def change(shop: Shop) -> Shop:
            return shop._replace(**changes)

        def reply(shop: Shop) -> pb.UpdateShopResponse:
            return pb.UpdateShopResponse(shop=shop_message(shop))

        call = Call(team_id, request, pb.UpdateShopResponse, reply)
        return await self._deps.shops.update(call, shop_id, request.etag, change)

    async def DeleteShop(self, request: pb.DeleteShopRequest, context: Any) -> pb.DeleteShopResponse:
        """Deletes a shop and its keys."""
        team_id, shop_id = team_and_shop(request.team_id, request.shop_id)

        call: Call[None, pb.DeleteShopResponse] = Call(
            team_id, request, pb.DeleteShopResponse, lambda _: pb.DeleteShopResponse(), shop_message
        )
        return await self._deps.shops.delete(call, shop_id)

    async def CreateShopKey(self, request: pb.CreateShopKeyRequest, context: Any) -> pb.CreateShopKeyResponse:
        """Makes a signing key."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        shop_id = shop_of(check, "shop_id", request.shop_id)
        expires_at = (
            check.time("expire_time", request, "expire_time") if request.HasField("expire_time") else None
        )
        secret = secrets.token_bytes(SECRET_BYTES)
        if request.secret:
            try:
                secret = decode_secret(request.secret)
            except ValueError as error:
                check.fault("secret", str(error))
        check.done()
        now = self._clock.now()
        key = ShopKey(team_id, shop_id, new_id(epoch_ms(now)), secret, now, expires_at)

        call = Call(team_id, request, pb.CreateShopKeyResponse, _made_key)
        return await self._deps.shops.create_key(call, key, _SHOWING)

    async def ListShopKeys(self, request: pb.ListShopKeysRequest, context: Any) -> pb.ListShopKeysResponse:
        """Lists keys without their secrets."""
        team_id, shop_id = team_and_shop(request.team_id, request.shop_id)
        arguments = ("shop keys", team_id, shop_id)
        size = page_size(request.page_size)
        after = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        keys = await self._deps.shop_store.list_keys(team_id, shop_id, after, size + 1)
        page = page_of(keys, size, lambda last: (last.created_at, last.key_id), *arguments)
        return pb.ListShopKeysResponse(keys=map(key_message, page.rows), next_page_token=page.next_token)

    async def RevokeShopKey(self, request: pb.RevokeShopKeyRequest, context: Any) -> pb.RevokeShopKeyResponse:
        """Ends a key."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        shop_id = shop_of(check, "shop_id", request.shop_id)
        key_id = check.uuid("shop_key_id", request.shop_key_id)
        at = check.time("expire_time", request, "expire_time") if request.HasField("expire_time") else None
        check.done()

        call: Call[None, pb.RevokeShopKeyResponse] = Call(
            team_id, request, pb.RevokeShopKeyResponse, lambda _: pb.RevokeShopKeyResponse(), key_message
        )
        return await self._deps.shops.expire_key(call, shop_id, key_id, at)

    # ---- inbox ----

    async def ListInboxRecords(
        self, request: pb.ListInboxRecordsRequest, context: Any
    ) -> pb.ListInboxRecordsResponse:
        """Lists webhooks that came in."""
        team_id = team_of(request.team_id)
        arguments = ("inbox", team_id, request.state, request.origin)
        size = page_size(request.page_size)
        before = page_key(request.page_token, int, *arguments)
        rows = await self._deps.shop_store.list_inbox(
            team_id, request.state, request.origin, before, size + 1
        )
        page = page_of(rows, size, lambda last: last.sequence, *arguments)
        return pb.ListInboxRecordsResponse(
            records=map(record_message, page.rows), next_page_token=page.next_token
        )

    async def GetInboxRecord(
        self, request: pb.GetInboxRecordRequest, context: Any
    ) -> pb.GetInboxRecordResponse:
        """Reads one webhook with its body."""
        row = await self._deps.shop_store.inbox_row(team_of(request.team_id), request.sequence)
        return pb.GetInboxRecordResponse(record=record_message(row))

    async def RetryInboxRecord(
        self, request: pb.RetryInboxRecordRequest, context: Any
    ) -> pb.RetryInboxRecordResponse:
        """Hands a refused record on once more; what segment has already is a duplicate there."""
        team_id = team_of(request.team_id)

        def reply(row: InboxRow) -> pb.RetryInboxRecordResponse:
            return pb.RetryInboxRecordResponse(record=record_message(row._replace(body=b"")))

        call = Call(team_id, request, pb.RetryInboxRecordResponse, reply)
        return await self._deps.shops.retry_record(call, request.sequence)


def _made_key(key: ShopKey) -> pb.CreateShopKeyResponse:
    return _shown(pb.CreateShopKeyResponse(key=key_message(key)), key)


def _shown(reply: pb.CreateShopKeyResponse, key: ShopKey) -> pb.CreateShopKeyResponse:
    reply.key.secret = encode_secret(key.secret)
    return reply


_SHOWING: Final = Showing(lambda reply: UUID(reply.key.shop_key_id), _shown)


def shop_of(check: FieldCheck, field: str, text: str) -> str:
    """A shop's id, or a fault."""
    if not _SHOP_ID.fullmatch(text):
        check.fault(field, "must be 1 to 64 letters, digits, '.', '_' and '-'")
    elif not text.strip("."):
        check.fault(field, "must hold more than dots, which no address can end a step with")
    return text


def team_and_shop(team: str, shop: str) -> tuple[UUID, str]:
    """The ids of a request. Raises InvalidArgument."""
    check = FieldCheck()
    found = check.uuid("team_id", team), shop_of(check, "shop_id", shop)
    check.done()
    return found
