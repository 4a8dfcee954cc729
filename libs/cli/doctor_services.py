"""What the doctor finds at the services: whether they serve, the token, what is late, and the channel accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import grpc

from libs.cli.findings import Finding, fault, warning, well
from libs.client import Client, ServiceName, is_serving
from libs.client.paging import items
from omnijourney.channel_gateway.v1 import account_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.common.v1 import channel_pb2
from omnijourney.common.v1.installation_service_pb2 import GetClockRequest, GetLagRequest
from omnijourney.segment.v1 import segment_service_pb2 as segment

_TIMEOUT_S: Final = 5.0
_CHECK_TIMEOUT_S: Final = 15.0
LATE_S: Final = 300.0
"""What is pending for longer does not settle by itself."""
ACCOUNTS_MAX: Final = 200


async def look(client: Client, *, accounts: bool) -> AsyncIterator[Finding]:
    """Looks at each service; with `accounts` asks the channels whether they take each account's credentials."""
    serving = True
    for service in client.known:
        if not await is_serving(client.targets[service], _TIMEOUT_S, client.tls):
            serving = False
            yield _away(service, client.targets[service])
            continue
        try:
            yield await _lag(client, service)
        except grpc.aio.AioRpcError as error:
            serving = False
            yield _refusal(service, error)
    if serving and accounts:
        async for finding in _accounts(client):
            yield finding


def _away(service: ServiceName, target: str) -> Finding:
    variable = f"OMNIJOURNEY_{service.upper()}_TARGET"
    remedy = f"`omnijourney up` starts it; elsewhere look at its log, or correct {variable}"
    return fault(service, f"nothing serves at {target}", remedy)


async def _lag(client: Client, service: ServiceName) -> Finding:
    stub = client.installation(service)
    lag = await stub.GetLag(GetLagRequest(), timeout=_TIMEOUT_S)
    if lag.HasField("oldest_pending_time"):
        now = (await stub.GetClock(GetClockRequest(), timeout=_TIMEOUT_S)).now
        late_s = now.ToSeconds() - lag.oldest_pending_time.ToSeconds()
        if late_s > LATE_S:
            found = f"{lag.pending:,} are pending, the oldest for {late_s / 60:,.0f} minutes"
            return warning(service, found, "look at its log, and at `omnijourney mailbox parked`")
    return well(service, f"serves at {client.targets[service]}, {lag.pending:,} pending")


def _refusal(service: str, error: grpc.aio.AioRpcError) -> Finding:
    found = f"{error.code().name}: {error.details()}"
    if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        remedy = "correct OMNIJOURNEY_TOKEN, or OMNIJOURNEY_DATA_DIR, where the token is: it needs the scope operate"
        return fault(service, found, remedy)
    return fault(service, found, "look at its log")


async def _accounts(client: Client) -> AsyncIterator[Finding]:
    usable = asked = 0
    teams = items(client.segment.ListTeams, segment.ListTeamsRequest(), "teams", timeout_s=_TIMEOUT_S)
    try:
        async for team in teams:
            request = gateway.ListChannelAccountsRequest(team_id=team.team_id, page_size=100)
            stub = client.channel_gateway
            async for account in items(stub.ListChannelAccounts, request, "accounts", timeout_s=_TIMEOUT_S):
                if asked == ACCOUNTS_MAX:
                    yield warning(
                        "accounts", f"only {asked} were asked for", "ask for others: CheckChannelAccount"
                    )
                    return
                asked += 1
                finding = await _account(client, account)
                if finding is None:
                    usable += 1
                else:
                    yield finding
    except grpc.aio.AioRpcError as error:
        yield warning(
            "accounts", f"cannot be asked for ({error.code().name}: {error.details()})", "look at the log"
        )
        return
    yield well("accounts", f"the channels take the credentials of {usable} of {asked}")


async def _account(client: Client, account: account_pb2.ChannelAccount) -> Finding | None:
    """Why a channel does not take an account's credentials; None where it does."""
    request = gateway.CheckChannelAccountRequest(
        team_id=account.team_id, channel_account_id=account.channel_account_id
    )
    answer = await client.channel_gateway.CheckChannelAccount(request, timeout=_CHECK_TIMEOUT_S)
    if answer.usable:
        return None
    channel = channel_pb2.Channel.Name(account.channel).removeprefix("CHANNEL_")
    where = f"{channel} account {account.display_name!r} of team {account.team_id}"
    return fault(
        "accounts", f"{where}: {answer.detail}", "renew its token (UpdateChannelAccount), or delete it"
    )
