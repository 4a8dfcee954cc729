"""Secrets on the whole path: in no table, in no log, in no answer but the one that shows them."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import pytest

from libs.client import Client
from libs.common.ids import new_id
from libs.supervisor import Installation, InstallationOptions, InstallationSettings
from omnijourney.channel_gateway.v1 import account_pb2, webhook_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.common.v1 import channel_pb2
from omnijourney.segment.v1 import segment_service_pb2, team_pb2

TIMEOUT_S = 30.0
TEAM = str(UUID(int=7))
OWN_KEY = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class Planted:
    """Secrets that were given or shown, and where they must not be."""

    def __init__(self) -> None:
        self.secrets: list[str] = []

    def new(self) -> str:
        """A token as a channel gives it, with what JSON escapes."""
        self.secrets.append(f'EAAG/{secrets.token_urlsafe(24)}"é')
        return self.secrets[-1]

    def found_in(self, text: str) -> list[str]:
        """Forms of the secrets that a text holds."""
        lower = text.lower()
        return [form for secret in self.secrets for form in _forms(secret) if form in text or form in lower]


def _forms(secret: str) -> Iterator[str]:
    """A secret as text, escaped, hexadecimal, and in base64 wherever it may begin."""
    raws = [secret.encode()]
    if secret.startswith("whsec_"):
        raws.append(base64.b64decode(secret.removeprefix("whsec_")))
    yield secret
    # Whatever is done to quotes and accents, and however often, this part stays as it is.
    yield from re.findall(r"[A-Za-z0-9_-]{24,}", secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    for raw in raws:
        yield raw.hex()
        yield raw.hex().upper()
        yield str(raw)[2:-1]
        for shift in range(3):
            encoded = base64.b64encode(b"x" * shift + raw).decode()
            # Characters at both ends depend on what stands beside it.
            yield encoded[4 if shift else 0 : -4]


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    """A gateway that logs all there is, and segment, which knows the team."""
    options = InstallationOptions(
        settings=InstallationSettings(data_dir=tmp_path / "data"),
        free_ports=True,
        emulators=True,
        services=("segment", "channel_gateway"),
        environment={"OMNIJOURNEY_LOG_LEVEL": "debug"},
    )
    made = Installation(options)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


async def _dump(dsn: str) -> str:
    """Every row of every table, as text."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables"
            " WHERE table_schema NOT IN ('information_schema', 'pg_catalog') AND table_type = 'BASE TABLE'"
        )
        assert len(tables) > 20
        rows: list[str] = []
        for table in tables:
            query = "SELECT t::text FROM {} AS t".format(table["name"])
            rows += [row[0] for row in await connection.fetch(query)]
        return "\n".join(rows)
    finally:
        await connection.close()


async def _write(gateway: Any, planted: Planted) -> list[str]:
    """Every write that takes or shows a secret, its repetition, and writes that fail; what was answered, as text."""
    line = account_pb2.ChannelAccount(channel=channel_pb2.CHANNEL_LINE, display_name="Shop")
    line.line.MergeFrom(account_pb2.LineConnection(channel_id="1", access_token=planted.new()))
    line.line.channel_secrets.extend([planted.new(), planted.new()])
    whatsapp = account_pb2.ChannelAccount(channel=channel_pb2.CHANNEL_WHATSAPP, display_name="Shop")
    whatsapp.whatsapp.MergeFrom(
        account_pb2.WhatsappConnection(
            phone_number_id="1", access_token=planted.new(), verify_token=planted.new()
        )
    )
    whatsapp.whatsapp.app_secrets.append(planted.new())
    answers: list[str] = []

    async def call(name: str, request: Any) -> Any:
        for _ in range(2):  # the second is a repetition
            try:
                answer = await getattr(gateway, name)(request, timeout=TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                answers.append(f"{error.details()} {error.trailing_metadata()}")
                return None
            answers.append(str(answer))
        return answer

    for account in (line, whatsapp):
        made = await call(
            "CreateChannelAccount",
            pb.CreateChannelAccountRequest(team_id=TEAM, request_id=str(new_id()), account=account),
        )
        changed = account_pb2.ChannelAccount(channel_account_id=made.account.channel_account_id)
        changed.CopyFrom(account)
        changed.channel_account_id = made.account.channel_account_id
        getattr(changed, str(account.WhichOneof("connection"))).access_token = planted.new()
        update = pb.UpdateChannelAccountRequest(team_id=TEAM, request_id=str(new_id()), account=changed)
        await call("UpdateChannelAccount", update)
        update.request_id, update.etag = str(new_id()), "another"
        await call("UpdateChannelAccount", update)
        update.request_id, changed.display_name = str(new_id()), "x" * 1_000
        update.account.CopyFrom(changed)
        await call("UpdateChannelAccount", update)
        await call(
            "CheckChannelAccount",
            pb.CheckChannelAccountRequest(team_id=TEAM, channel_account_id=changed.channel_account_id),
        )
    await call("ListChannelAccounts", pb.ListChannelAccountsRequest(team_id=TEAM))
    shop = webhook_pb2.Shop(shop_id="demo", display_name="Shop")
    await call("CreateShop", pb.CreateShopRequest(team_id=TEAM, request_id=str(new_id()), shop=shop))
    planted.secrets.append(OWN_KEY)
    for given in ("", OWN_KEY):
        request = pb.CreateShopKeyRequest(
            team_id=TEAM, request_id=str(new_id()), shop_id="demo", secret=given
        )
        first = await gateway.CreateShopKey(request, timeout=TIMEOUT_S)
        planted.secrets.append(first.key.secret)
        assert (await gateway.CreateShopKey(request, timeout=TIMEOUT_S)) == first
    request.request_id, request.secret = str(new_id()), OWN_KEY[:-1] + "!"
    await call("CreateShopKey", request)
    await call("ListShopKeys", pb.ListShopKeysRequest(team_id=TEAM, shop_id="demo"))
    return answers


@pytest.mark.rule("X-04c")
@pytest.mark.timeout(120)
async def test_no_table_no_log_and_no_answer_holds_a_secret(installation: Installation) -> None:
    planted = Planted()
    async with Client(installation.targets, installation.token) as client:
        team = team_pb2.Team(
            team_id=TEAM,
            name="Team",
            settings=team_pb2.TeamSettings(time_zone="Asia/Taipei", currency_code="TWD"),
        )
        request = segment_service_pb2.CreateTeamRequest(request_id="team", team=team)
        await client.segment.CreateTeam(request, timeout=TIMEOUT_S)
        answers = await _write(client.channel_gateway, planted)
    assert len(planted.secrets) == 11
    for answer in answers:
        assert not planted.found_in(answer)
    rows = await _dump(installation.postgres_dsn)
    assert "demo" in rows
    assert not planted.found_in(rows)
    await installation.stop()
    logs = {path.name: path.read_text(errors="replace") for path in installation.data_dir.rglob("*.log")}
    assert any("channel_gateway" in name for name in logs)
    for name, text in logs.items():
        assert not planted.found_in(text), name


async def test_the_key_is_private_and_given_to_the_gateway_alone(installation: Installation) -> None:
    key_file = installation.data_dir / "secret_key"
    assert key_file.stat().st_mode & 0o777 == 0o600
    key = key_file.read_text().strip()
    assert key not in str(installation.environment)
    for name, has in (("channel_gateway", True), ("emulators", False)):
        environment = Path(f"/proc/{installation.pid_of(name)}/environ").read_bytes()
        assert (f"OMNIJOURNEY_SECRET_KEYS={key}".encode() in environment.split(b"\0")) is has
