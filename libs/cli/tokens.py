"""`omnijourney token …`: who may call, as operators see to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from libs.cli.answers import tell
from libs.cli.console import err, refused
from libs.cli.listings import at_most
from libs.client import Client, ClientSettings
from libs.client.paging import items
from libs.common.clock import SystemClock
from libs.common.ids import new_id
from omnijourney.common.v1.scope_pb2 import Scope
from omnijourney.segment.v1 import api_client_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb

_TIMEOUT_S: Final = 10.0


Command = Callable[[Client], Awaitable[None]]


async def run(settings: ClientSettings, command: Command) -> int:
    """Does a command below; returns the exit code: 1, with the refusal on stderr, when it was refused."""
    async with Client(settings.targets(), settings.api_token(), tls=settings.tls_of_calls()) as client:
        try:
            await command(client)
        except grpc.aio.AioRpcError as error:
            return refused(error)
    return 0


def create(
    team_id: str, name: str, scopes: Sequence[str], days: float | None, *, as_json: bool = False
) -> Command:
    """Makes a client and prints its token, alone on stdout."""
    numbers = [Scope.Value(f"SCOPE_{scope.upper()}") for scope in scopes]

    async def command(client: Client) -> None:
        wanted = api_client_pb2.ApiClient(name=name, scopes=numbers, expire_time=_in_days(days))
        request = pb.CreateApiClientRequest(team_id=team_id, request_id=str(new_id()), api_client=wanted)
        _show_token(await client.segment.CreateApiClient(request, timeout=_TIMEOUT_S), as_json=as_json)

    return command


def rotate(team_id: str, client_id: str, overlap_hours: float, *, as_json: bool = False) -> Command:
    """Gives a client a new token and prints it; the old one works `overlap_hours` longer, 0: no more."""

    async def command(client: Client) -> None:
        request = pb.RotateApiClientTokenRequest(
            team_id=team_id,
            request_id=str(new_id()),
            api_client_id=client_id,
            old_token_expire_time=_in_days(overlap_hours / 24) if overlap_hours else None,
        )
        _show_token(await client.segment.RotateApiClientToken(request, timeout=_TIMEOUT_S), as_json=as_json)

    return command


def revoke(team_id: str, client_id: str, *, as_json: bool = False) -> Command:
    """Refuses a client's tokens from now on."""

    async def command(client: Client) -> None:
        request = pb.RevokeApiClientRequest(
            team_id=team_id, request_id=str(new_id()), api_client_id=client_id
        )
        answer = await client.segment.RevokeApiClient(request, timeout=_TIMEOUT_S)
        tell(answer.api_client, f"revoked: {answer.api_client.name}", as_json=as_json)

    return command


def show(team_id: str, limit: int = 0, *, as_json: bool = False) -> Command:
    """Lists the clients of a team, or the installation's, at most `limit` (0: all); `as_json` as the contract has
    them, one a line."""

    async def command(client: Client) -> None:
        async for each in at_most(limit, _clients(client, team_id)):
            tell(each, _lines(each), as_json=as_json)

    return command


def _lines(client: api_client_pb2.ApiClient) -> str:
    """Two lines that fit into 80 columns, but for a long name, which stands last: nothing is cut off."""
    state = "revoked" if client.revoked else "configured" if client.configured else "active"
    scopes = " ".join(Scope.Name(scope).removeprefix("SCOPE_") for scope in client.scopes)
    expires = _time(client.expire_time) if client.HasField("expire_time") else "never"
    used = _time(client.last_use_time) if client.HasField("last_use_time") else "never"
    return (
        f"{client.api_client_id:36}  {state:10}  {scopes}\n"
        f"  expires {expires:17}  last used {used:17}  {client.name}"
    )


def _clients(client: Client, team_id: str) -> AsyncIterator[api_client_pb2.ApiClient]:
    request = pb.ListApiClientsRequest(team_id=team_id, page_size=500)
    return items(client.segment.ListApiClients, request, "api_clients", timeout_s=_TIMEOUT_S)


def _show_token(
    answer: pb.CreateApiClientResponse | pb.RotateApiClientTokenResponse, *, as_json: bool
) -> None:
    made = answer.api_client
    err.print(
        f"client {made.api_client_id} ({made.name}); its token, shown this once:",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    tell(answer, answer.token, as_json=as_json)


def _in_days(days: float | None) -> Timestamp | None:
    if days is None:
        return None
    at = Timestamp()
    at.FromDatetime(SystemClock().now() + timedelta(days=days))
    return at


def _time(at: Timestamp) -> str:
    when: datetime = at.ToDatetime(UTC)
    return f"{when:%Y-%m-%d %H:%M}Z"
