"""Secrets at rest: sealed, bound to their rows, sealed anew under another key, and lost with their key alone."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import pytest
from pydantic import SecretStr, ValidationError

from libs.common.app import ConfigurationFault
from libs.common.db.pool import open_pool
from libs.common.ids import new_id
from libs.common.sealing import key_ring
from libs.testing.fixtures import SECRET_KEY
from omnijourney.channel_gateway.v1 import account_pb2, secret_key_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from services.channel_gateway.config import Settings
from services.channel_gateway.domain.signing import decode_secret
from services.channel_gateway.store.resealing import BEGINNING, ResealStore
from services.channel_gateway.store.vault import Vault
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, WHATSAPP, Gateway, GatewayMaker
from tests.integration.channel_gateway.test_webhooks import Shop, order

NEW_KEY = secrets.token_hex(32)
OLD_ID, NEW_ID = (key_ring(key).present_id.hex() for key in (SECRET_KEY, NEW_KEY))
NOWHERE = "secret_that_nothing_may_hold"


async def _rows(gateway: Gateway, query: str, *arguments: Any) -> list[Any]:
    connection = await asyncpg.connect(gateway.database.admin_dsn)
    try:
        return await connection.fetch(query, *arguments)
    finally:
        await connection.close()


async def _keys(gateway: Gateway) -> dict[str, int]:
    answer = await gateway.stub.ListSecretKeys(pb.ListSecretKeysRequest(), timeout=TIMEOUT_S)
    return {key.secret_key_id: key.secret_count for key in answer.secret_keys}


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not await condition():
            await asyncio.sleep(0.02)


async def _account(gateway: Gateway, account_id: str) -> account_pb2.ChannelAccount:
    request = pb.GetChannelAccountRequest(team_id=str(gateway.team_id), channel_account_id=account_id)
    return (await gateway.stub.GetChannelAccount(request, timeout=TIMEOUT_S)).account


async def _is_usable(gateway: Gateway, account_id: str) -> bool:
    """Whether the channel takes the account's token."""
    request = pb.CheckChannelAccountRequest(team_id=str(gateway.team_id), channel_account_id=account_id)
    return (await gateway.stub.CheckChannelAccount(request, timeout=TIMEOUT_S)).usable


async def test_what_is_sealed_under_the_first_key_is_rotated_to_the_second(maker: GatewayMaker) -> None:
    async with maker.start() as gateway:
        team_id = gateway.team_id
        account_id, key = await gateway.account(LINE), await gateway.shop()
        assert await _keys(gateway) == {OLD_ID: 2}
    async with maker.start(secret_keys=SecretStr(f"{SECRET_KEY},{NEW_KEY}")) as gateway:
        assert await _keys(gateway) == {OLD_ID: 2, NEW_ID: 0}, "a key that only opens changes nothing"
    async with maker.start(secret_keys=SecretStr(f"{NEW_KEY},{SECRET_KEY}")) as gateway:
        gateway.team_id = team_id
        await _until(lambda: _are(gateway, {NEW_ID: 2, OLD_ID: 0}))
    async with maker.start(secret_keys=SecretStr(NEW_KEY)) as gateway:
        gateway.team_id = team_id
        assert await _is_usable(gateway, account_id)
        assert (await Shop(gateway, key).post(order(1)))[0] == 202


async def _are(gateway: Gateway, wanted: dict[str, int]) -> bool:
    return await _keys(gateway) == wanted


async def test_a_rotation_that_is_asked_for_shows_its_progress(gateway: Gateway) -> None:
    account_id = await gateway.account(LINE)
    await _in_clear(gateway, account_id, "emulator-token")
    assert await _keys(gateway) == {OLD_ID: 0, "": 1}
    request = pb.RotateSecretsRequest(request_id="r1")
    answer = await gateway.stub.RotateSecrets(request, timeout=TIMEOUT_S)
    in_clear = secret_key_pb2.SecretKey(configured=True, secret_count=1)
    assert in_clear in answer.secret_keys
    await _until(lambda: _are(gateway, {OLD_ID: 1}))
    assert await gateway.stub.RotateSecrets(request, timeout=TIMEOUT_S) == answer
    assert await _is_usable(gateway, account_id)


async def _in_clear(gateway: Gateway, account_id: str, token: str) -> None:
    """Writes an account as the release before did."""
    await _rows(
        gateway,
        "UPDATE channel_gateway.account SET sealed = NULL,"
        " connection = connection || jsonb_build_object('access_token', $2::text) WHERE account_id = $1",
        UUID(account_id),
        token,
    )


async def test_what_the_release_before_wrote_in_clear_is_sealed_at_the_start(maker: GatewayMaker) -> None:
    async with maker.start() as gateway:
        team_id = gateway.team_id
        account_id, key = await gateway.account(LINE), await gateway.shop()
        gone = await gateway.account(WHATSAPP)
        await _in_clear(gateway, account_id, "emulator-token")
        await _in_clear(gateway, gone, NOWHERE)
        await _rows(
            gateway, "UPDATE channel_gateway.account SET deleted = true WHERE account_id = $1", UUID(gone)
        )
        await _rows(
            gateway, "UPDATE channel_gateway.shop_key SET sealed = NULL, secret = $1", decode_secret(key)
        )
        assert (await Shop(gateway, key).post(order(1)))[0] == 202, "it serves in clear as well"
    async with maker.start() as gateway:
        gateway.team_id = team_id
        await _until(lambda: _are(gateway, {OLD_ID: 2}))
        assert await _is_usable(gateway, account_id)
        assert (await Shop(gateway, key).post(order(2)))[0] == 202
        stored = await _rows(gateway, "SELECT a::text AS row FROM channel_gateway.account AS a")
        assert not [row for row in stored if "emulator-token" in row["row"] or NOWHERE in row["row"]]


async def test_a_token_that_an_older_process_wrote_beside_a_sealed_one_counts(gateway: Gateway) -> None:
    account_id = await gateway.account(LINE)
    token = {"access_token": "emulator-token"}
    await _rows(
        gateway,
        "UPDATE channel_gateway.account SET connection = connection || $1::jsonb",
        json.dumps(token),
    )
    await gateway.stub.RotateSecrets(pb.RotateSecretsRequest(request_id="r1"), timeout=TIMEOUT_S)
    await _until(lambda: _are(gateway, {OLD_ID: 1}))
    assert await _is_usable(gateway, account_id)


async def test_a_secret_that_was_copied_to_another_row_opens_nothing_there(gateway: Gateway) -> None:
    rich, poor = await gateway.account(LINE), await gateway.account(LINE)
    await _rows(
        gateway,
        "UPDATE channel_gateway.account AS a SET sealed = b.sealed FROM channel_gateway.account AS b"
        " WHERE a.account_id = $1 AND b.account_id = $2",
        UUID(poor),
        UUID(rich),
    )
    found = await _account(gateway, poor)
    assert (found.state, found.state_reason) == (
        account_pb2.ACCOUNT_STATE_UNUSABLE,
        "its secrets cannot be opened: give them again",
    )
    assert await _is_usable(gateway, rich), "one row's trouble is its own"
    renamed = account_pb2.ChannelAccount(channel_account_id=poor, display_name="Renamed")
    await _update(gateway, renamed)
    renamed.line.channel_id = "1"
    with pytest.raises(grpc.aio.AioRpcError, match="access_token"):
        await _update(gateway, renamed)
    renamed.line.access_token = "emulator-token"
    assert (await _update(gateway, renamed)).state == account_pb2.ACCOUNT_STATE_ACTIVE
    assert await _is_usable(gateway, poor)


async def _update(gateway: Gateway, account: account_pb2.ChannelAccount) -> account_pb2.ChannelAccount:
    request = pb.UpdateChannelAccountRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), account=account
    )
    return (await gateway.stub.UpdateChannelAccount(request, timeout=TIMEOUT_S)).account


async def test_a_change_of_an_account_that_cannot_be_opened_keeps_its_secrets(maker: GatewayMaker) -> None:
    async with maker.start() as gateway:
        account_id = await gateway.account(LINE)
        (before,) = await _rows(gateway, "SELECT sealed FROM channel_gateway.account")
        other = Vault(key_ring(NEW_KEY))
        pool = await open_pool(gateway.database.dsn_of("channel_gateway"), name="test")
        async with pool:
            store = ResealStore(pool, other)
            places = await store.next(BEGINNING, 10)
            assert [place.row_id for place in places] == [UUID(account_id)]
            assert await store.reseal(places) == 0, "nothing is written over what cannot be opened"
        assert await _rows(gateway, "SELECT sealed FROM channel_gateway.account") == [before]


async def test_a_deleted_account_keeps_no_secret(gateway: Gateway) -> None:
    account_id = await gateway.account(LINE)
    request = pb.DeleteChannelAccountRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), channel_account_id=account_id
    )
    await gateway.stub.DeleteChannelAccount(request, timeout=TIMEOUT_S)
    assert await _keys(gateway) == {OLD_ID: 0}


async def test_a_start_without_a_key_that_seals_something_names_the_variable(maker: GatewayMaker) -> None:
    async with maker.start() as gateway:
        await gateway.account(LINE)
    with pytest.raises(ConfigurationFault, match=f"OMNIJOURNEY_SECRET_KEYS: .*{OLD_ID} .1 secrets"):
        async with maker.start(secret_keys=SecretStr(NEW_KEY)):
            pass


def test_a_database_of_ones_own_needs_keys_of_ones_own() -> None:
    with pytest.raises(ValidationError, match="is required with a database of one's own"):
        Settings(postgres_dsn=SecretStr("postgresql://a:b@c/d"))
    with pytest.raises(ValidationError, match="key 1 must be 64 hexadecimal digits"):
        Settings(secret_keys=SecretStr("short"))
    assert Settings().secret_keys == SecretStr("")
