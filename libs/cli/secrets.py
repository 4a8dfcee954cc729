"""`omnijourney secrets`: which key seals what, and the change to the present one, until it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import grpc

from libs.cli.answers import tell
from libs.cli.console import EXIT_FAULT, complain, refused
from libs.client import Client, ClientSettings
from libs.common.ids import new_id
from omnijourney.channel_gateway.v1.channel_gateway_service_pb2 import (
    ListSecretKeysRequest,
    RotateSecretsRequest,
)
from omnijourney.channel_gateway.v1.secret_key_pb2 import SecretKey

_TIMEOUT_S: Final = 30.0
_LOOK_AGAIN_S: Final = 0.5
_PATIENCE: Final = 20
"""Looks at which nothing has changed before what is left counts as not to be opened."""


async def show_secrets(settings: ClientSettings, *, as_json: bool = False) -> int:
    """Prints the keys. Returns the exit code."""
    async with Client(settings.targets(), settings.api_token(), tls=settings.tls_of_calls()) as client:
        try:
            keys = await _keys(client)
        except grpc.aio.AioRpcError as error:
            return refused(error)
    _print(keys, as_json=as_json)
    return 0


async def rotate_secrets(settings: ClientSettings, *, as_json: bool = False) -> int:
    """Starts a rotation and shows its progress. Returns the exit code: 1 when secrets are left under another key."""
    async with Client(settings.targets(), settings.api_token(), tls=settings.tls_of_calls()) as client:
        try:
            request = RotateSecretsRequest(request_id=f"omnijourney secrets rotate {new_id()}")
            await client.channel_gateway.RotateSecrets(request, timeout=_TIMEOUT_S)
            keys = await _until_settled(client)
        except grpc.aio.AioRpcError as error:
            return refused(error)
    _print(keys, as_json=as_json)
    return EXIT_FAULT if _left(keys) else 0


async def _until_settled(client: Client) -> Sequence[SecretKey]:
    keys = await _keys(client)
    left, unchanged = _left(keys), 0
    while left and unchanged < _PATIENCE:
        complain(f"{left:,} secrets are under another key")
        await asyncio.sleep(_LOOK_AGAIN_S)
        keys = await _keys(client)
        unchanged = unchanged + 1 if _left(keys) == left else 0
        left = _left(keys)
    return keys


async def _keys(client: Client) -> Sequence[SecretKey]:
    answer = await client.channel_gateway.ListSecretKeys(ListSecretKeysRequest(), timeout=_TIMEOUT_S)
    return answer.secret_keys


def _left(keys: Sequence[SecretKey]) -> int:
    """Secrets that the present key does not seal."""
    return sum(key.secret_count for key in keys if not key.present)


def _print(keys: Sequence[SecretKey], *, as_json: bool) -> None:
    for key in keys:
        name = key.secret_key_id or "in clear"
        state = "present" if key.present else "configured" if key.configured else "not configured"
        tell(key, f"{name:16}  {state:14}  {key.secret_count:>9,} secrets", as_json=as_json)
