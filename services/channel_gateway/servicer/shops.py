# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: shops, their signing keys, and the inbox of webhooks."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from libs.common.db.pool import Connection
from libs.common.db.requests import answer_once
from libs.common.errors import AlreadyExists
from libs.common.ids import epoch_ms, new_id
from libs.common.paging import page_key, page_size
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import webhook_pb2
from services.channel_gateway.domain.signing import decode_secret, encode_secret
from services.channel_gateway.servicer.base import Edge, check_etag, fields_of, next_token, team_of
from services.channel_gateway.store import shops as store

NAME_MAX: Final = 100
SECRET_BYTES: Final = 32
"""Length of the keys that the server makes."""
_SHOP_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class ShopRpcs(Edge):
    """Webhooks in."""

    async def CreateShop(self, request: pb.CreateShopRequest, context: Any) -> pb.CreateShopResponse:
        """Creates a shop."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        shop_id = _shop_id(check, "shop.shop_id", request.shop.shop_id)
        name = check.text("shop.display_name", request.shop.display_name, length_max=NAME_MAX)
        check.done()

        async def work(connection: Connection) -> pb.CreateShopResponse:
            # A new shop takes webhooks: `enabled` cannot tell "no" from "not given".
            shop = await store.create_shop(
                connection, team_id, shop_id, name=name, enabled=True, now=self._clock.now()
            )
            return pb.CreateShopResponse(shop=_shop_message(shop))

        try:
            return await answer_once(self._pool, team_id, request, pb.CreateShopResponse, work)
        except asyncpg.UniqueViolationError as error:
            raise AlreadyExists.value_taken("shop_id") from error

    async def GetShop(self, request: pb.GetShopRequest, context: Any) -> pb.GetShopResponse:
        """Reads a shop."""
        shop = await self._parts.shops.shop(*_team_and_shop(request.team_id, request.shop_id))
        return pb.GetShopResponse(shop=_shop_message(shop))

    async def ListShops(self, request: pb.ListShopsRequest, context: Any) -> pb.ListShopsResponse:
        """Lists shops."""
        team_id = team_of(request.team_id)
        arguments = ("shops", team_id)
        size = page_size(request.page_size)
        after = page_key(request.page_token, tuple[datetime, str], *arguments)
        shops = await self._parts.shops.list_shops(team_id, after, size + 1)
        shown = shops[:size]
        last = (shown[-1].created_at, shown[-1].shop_id) if len(shops) > size else None
        return pb.ListShopsResponse(
            shops=map(_shop_message, shown), next_page_token=next_token(last, arguments)
        )

    async def UpdateShop(self, request: pb.UpdateShopRequest, context: Any) -> pb.UpdateShopResponse:
        """Changes a shop."""
        team_id, shop_id = _team_and_shop(request.team_id, request.shop.shop_id)
        fields = fields_of(request.update_mask.paths, ("display_name", "enabled"), request.shop)
        check = FieldCheck()
        if "display_name" in fields:
            check.text("shop.display_name", request.shop.display_name, length_max=NAME_MAX)
        check.done()

        async def work(connection: Connection) -> pb.UpdateShopResponse:
            shop = await store.hold_shop(connection, team_id, shop_id)
            check_etag(request.shop.etag, shop.version)
            if "display_name" in fields:
                shop = shop._replace(display_name=request.shop.display_name)
            if "enabled" in fields:
                shop = shop._replace(enabled=request.shop.enabled)
            updated = await store.update_shop(connection, shop, self._clock.now())
            return pb.UpdateShopResponse(shop=_shop_message(updated))

        reply = await answer_once(self._pool, team_id, request, pb.UpdateShopResponse, work)
        self._parts.keys.forget(team_id, shop_id)
        return reply

    async def DeleteShop(self, request: pb.DeleteShopRequest, context: Any) -> pb.DeleteShopResponse:
        """Deletes a shop and its keys."""
        team_id, shop_id = _team_and_shop(request.team_id, request.shop_id)

        async def work(connection: Connection) -> pb.DeleteShopResponse:
            await store.delete_shop(connection, team_id, shop_id, self._clock.now())
            return pb.DeleteShopResponse()

        reply = await answer_once(self._pool, team_id, request, pb.DeleteShopResponse, work)
        self._parts.keys.forget(team_id, shop_id)
        return reply

    async def CreateShopKey(self, request: pb.CreateShopKeyRequest, context: Any) -> pb.CreateShopKeyResponse:
        """Makes a signing key."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        shop_id = _shop_id(check, "shop_id", request.shop_id)
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
        key = store.ShopKey(team_id, shop_id, new_id(epoch_ms(now)), secret, now, expires_at)

        async def work(connection: Connection) -> pb.CreateShopKeyResponse:
            await store.create_key(connection, key, now)
            message = _key_message(key)
            message.secret = encode_secret(secret)
            return pb.CreateShopKeyResponse(key=message)

        reply = await answer_once(self._pool, team_id, request, pb.CreateShopKeyResponse, work)
        self._parts.keys.forget(team_id, shop_id)
        return reply

    async def ListShopKeys(self, request: pb.ListShopKeysRequest, context: Any) -> pb.ListShopKeysResponse:
        """Lists keys without their secrets."""
        team_id, shop_id = _team_and_shop(request.team_id, request.shop_id)
        arguments = ("shop keys", team_id, shop_id)
        size = page_size(request.page_size)
        after = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        keys = await self._parts.shops.list_keys(team_id, shop_id, after, size + 1)
        shown = keys[:size]
        last = (shown[-1].created_at, shown[-1].key_id) if len(keys) > size else None
        return pb.ListShopKeysResponse(
            keys=map(_key_message, shown), next_page_token=next_token(last, arguments)
        )

    async def RevokeShopKey(self, request: pb.RevokeShopKeyRequest, context: Any) -> pb.RevokeShopKeyResponse:
        """Ends a key."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        shop_id = _shop_id(check, "shop_id", request.shop_id)
        key_id = check.uuid("key_id", request.key_id)
        at = check.time("expire_time", request, "expire_time") if request.HasField("expire_time") else None
        check.done()

        async def work(connection: Connection) -> pb.RevokeShopKeyResponse:
            await store.expire_key(connection, team_id, shop_id, key_id, at or self._clock.now())
            return pb.RevokeShopKeyResponse()

        reply = await answer_once(self._pool, team_id, request, pb.RevokeShopKeyResponse, work)
        self._parts.keys.forget(team_id, shop_id)
        return reply

    # ---- inbox ----

    async def ListInboxRecords(
        self, request: pb.ListInboxRecordsRequest, context: Any
    ) -> pb.ListInboxRecordsResponse:
        """Lists webhooks that came in."""
        team_id = team_of(request.team_id)
        arguments = ("inbox", team_id, request.state, request.origin)
        size = page_size(request.page_size)
        before = page_key(request.page_token, int, *arguments)
        rows = await self._parts.shops.list_inbox(team_id, request.state, request.origin, before, size + 1)
        shown = rows[:size]
        last = shown[-1].sequence if len(rows) > size else None
        return pb.ListInboxRecordsResponse(
            records=map(_record_message, shown), next_page_token=next_token(last, arguments)
        )

    async def GetInboxRecord(
        self, request: pb.GetInboxRecordRequest, context: Any
    ) -> pb.GetInboxRecordResponse:
        """Reads one webhook with its body."""
        row = await self._parts.shops.inbox_row(team_of(request.team_id), request.sequence)
        return pb.GetInboxRecordResponse(record=_record_message(row))

    async def RetryInboxRecord(
        self, request: pb.RetryInboxRecordRequest, context: Any
    ) -> pb.RetryInboxRecordResponse:
        """Hands a refused record on once more; what segment has already is a duplicate there."""
        team_id = team_of(request.team_id)

        async def work(connection: Connection) -> pb.RetryInboxRecordResponse:
            row = await store.restore(connection, team_id, request.sequence)
            return pb.RetryInboxRecordResponse(record=_record_message(row._replace(body=b"")))

        reply = await answer_once(self._pool, team_id, request, pb.RetryInboxRecordResponse, work)
        self._parts.worker.stir()
        return reply


def _shop_id(check: FieldCheck, field: str, text: str) -> str:
    if not _SHOP_ID.fullmatch(text):
        check.fault(field, "must be 1 to 64 letters, digits, '.', '_' and '-'")
    return text


def _team_and_shop(team: str, shop: str) -> tuple[UUID, str]:
    check = FieldCheck()
    found = check.uuid("team_id", team), _shop_id(check, "shop_id", shop)
    check.done()
    return found


def _shop_message(shop: store.Shop) -> webhook_pb2.Shop:
    return webhook_pb2.Shop(
        shop_id=shop.shop_id,
        team_id=str(shop.team_id),
        display_name=shop.display_name,
        enabled=shop.enabled,
        create_time=timestamp(shop.created_at),
        update_time=timestamp(shop.updated_at),
        etag=str(shop.version),
    )


def _key_message(key: store.ShopKey) -> webhook_pb2.ShopKey:
    return webhook_pb2.ShopKey(
        id=str(key.key_id),
        shop_id=key.shop_id,
        team_id=str(key.team_id),
        hint=encode_secret(key.secret)[-4:],
        expire_time=timestamp(key.expires_at) if key.expires_at else None,
        create_time=timestamp(key.created_at),
    )


def _record_message(row: store.InboxRow) -> webhook_pb2.InboxRecord:
    return webhook_pb2.InboxRecord(
        sequence=row.sequence,
        source=int(row.source),  # type: ignore[arg-type]  # the enums have the same numbers
        team_id=str(row.team_id),
        origin=row.origin,
        webhook_id=row.webhook_id,
        body=row.body,
        receive_time=timestamp(row.received_at),
        state=int(row.state),  # type: ignore[arg-type]  # the enums have the same numbers
        event_count=row.event_count,
        refusals=[webhook_pb2.InboxRefusal(index=r.place, reason=r.reason) for r in row.refusals],
    )
