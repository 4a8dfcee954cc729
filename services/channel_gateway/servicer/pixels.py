# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: keys of pixels."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.ids import epoch_ms, new_id
from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import limits_pb2
from services.channel_gateway.domain.views import PixelKey
from services.channel_gateway.servicer.base import Part
from services.channel_gateway.servicer.shops import shop_of, team_and_shop
from services.channel_gateway.usecases.call import Call

_ORIGIN: Final = re.compile(
    r"https://[a-z0-9.-]{1,253}(:[0-9]{1,5})?|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?|null",
    re.ASCII,
)
_ORIGINS_MAX: Final = 20


class PixelRpcs(Part):
    """Pages that report orders."""

    async def CreatePixelKey(
        self, request: pb.CreatePixelKeyRequest, context: Any
    ) -> pb.CreatePixelKeyResponse:
        """Makes a key."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        shop_id = shop_of(check, "shop_id", request.shop_id)
        origins = tuple(dict.fromkeys(request.origins))
        if not 1 <= len(request.origins) <= _ORIGINS_MAX:
            check.fault("origins", f"must have 1 to {_ORIGINS_MAX} items")
        for index, origin in enumerate(request.origins):
            if origin.endswith(":443"):
                check.fault(f"origins[{index}]", "must be as browsers send it, without :443")
            elif not _ORIGIN.fullmatch(origin):
                check.fault(f"origins[{index}]", "must be an origin such as https://shop.example, or null")
        check.done()
        now = self._clock.now()
        key = PixelKey(team_id, shop_id, new_id(epoch_ms(now)), origins, now, None)

        def reply(made: PixelKey) -> pb.CreatePixelKeyResponse:
            return pb.CreatePixelKeyResponse(pixel_key=_message(made))

        call = Call(team_id, request, pb.CreatePixelKeyResponse, reply)
        return await self._deps.pixels.create_key(call, key)

    async def ListPixelKeys(self, request: pb.ListPixelKeysRequest, context: Any) -> pb.ListPixelKeysResponse:
        """Lists a shop's keys."""
        team_id, shop_id = team_and_shop(request.team_id, request.shop_id)
        arguments = ("pixel keys", team_id, shop_id)
        size = page_size(request.page_size)
        before = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        keys = await self._deps.pixel_store.list_keys(team_id, shop_id, before, size + 1)
        page = page_of(keys, size, lambda last: (last.created_at, last.key_id), *arguments)
        return pb.ListPixelKeysResponse(pixel_keys=map(_message, page.rows), next_page_token=page.next_token)

    async def RevokePixelKey(
        self, request: pb.RevokePixelKeyRequest, context: Any
    ) -> pb.RevokePixelKeyResponse:
        """Ends a key."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        key_id = check.uuid("pixel_key_id", request.pixel_key_id)
        check.done()

        def reply(ended: PixelKey) -> pb.RevokePixelKeyResponse:
            return pb.RevokePixelKeyResponse(pixel_key=_message(ended))

        call = Call(team_id, request, pb.RevokePixelKeyResponse, reply)
        return await self._deps.pixels.revoke_key(call, key_id)


def _message(key: PixelKey) -> limits_pb2.PixelKey:
    return limits_pb2.PixelKey(
        pixel_key_id=str(key.key_id),
        shop_id=key.shop_id,
        origins=key.origins,
        create_time=timestamp(key.created_at),
        revoke_time=timestamp(key.revoked_at) if key.revoked_at else None,
    )
