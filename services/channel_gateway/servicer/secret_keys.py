# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: the keys that secrets are sealed with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import secret_key_pb2
from services.channel_gateway.servicer.base import Part
from services.channel_gateway.usecases.call import Call
from services.channel_gateway.usecases.secret_keys import KeyUse

_INSTALLATION: Final = UUID(int=0)
"""The scope of request ids of what belongs to no team."""


class SecretKeyRpcs(Part):
    """Operators: which key seals what, and rotation."""

    async def ListSecretKeys(
        self, request: pb.ListSecretKeysRequest, context: Any
    ) -> pb.ListSecretKeysResponse:
        """Lists keys."""
        return pb.ListSecretKeysResponse(secret_keys=_messages(await self._deps.secret_keys.uses()))

    async def RotateSecrets(self, request: pb.RotateSecretsRequest, context: Any) -> pb.RotateSecretsResponse:
        """Starts to seal everything with the present key."""

        def reply(uses: list[KeyUse]) -> pb.RotateSecretsResponse:
            return pb.RotateSecretsResponse(secret_keys=_messages(uses))

        call = Call(_INSTALLATION, request, pb.RotateSecretsResponse, reply)
        return await self._deps.secret_keys.rotate(call)


def _messages(uses: Iterable[KeyUse]) -> list[secret_key_pb2.SecretKey]:
    return [
        secret_key_pb2.SecretKey(
            secret_key_id=use.key_id.hex() if use.key_id is not None else "",
            configured=use.configured,
            present=use.present,
            secret_count=use.row_count,
        )
        for use in uses
    ]
