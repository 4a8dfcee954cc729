# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Clients of the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from google.protobuf.message import Message

from libs.common.callers import caller
from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.servicing import changed_fields
from omnijourney.common.v1 import scope_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.api_clients import client_message
from services.segment.convert.checks import Check
from services.segment.domain.api_clients import ApiClient, Changes
from services.segment.servicer.base import NO_TEAM, Base
from services.segment.usecases.api_clients import Minted
from services.segment.usecases.edits import Once

NAME_LENGTH_MAX: Final = 100


class ApiClientRpcs(Base):
    """See the contract."""

    async def GetCaller(self, request: pb.GetCallerRequest, context: Any) -> pb.GetCallerResponse:
        """Who calls, as the guard found it: nothing is read for it."""
        found = caller()
        return pb.GetCallerResponse(
            api_client_id=str(found.client_id),
            team_id=str(found.team_id or ""),
            name=found.name,
            scopes=sorted(
                scope_pb2.Scope.ValueType(scope) for scope in found.scopes - {scope_pb2.SCOPE_INTERNAL}
            ),
        )

    async def CreateApiClient(
        self, request: pb.CreateApiClientRequest, context: Any
    ) -> pb.CreateApiClientResponse:
        """The client and its token."""
        check, wanted = Check(), request.api_client
        team_id = check.optional_uuid("team_id", request.team_id)
        name = check.name("api_client.name", wanted.name, length_max=NAME_LENGTH_MAX)
        scopes = _scopes(check, wanted.scopes)
        expire_at = _time(check, "api_client.expire_time", wanted, "expire_time")
        check.done()
        once = Once(team_id or NO_TEAM, request, pb.CreateApiClientResponse, _created)
        return await self._deps.api_clients.create(once, team_id, name, scopes, expire_at)

    async def ListApiClients(
        self, request: pb.ListApiClientsRequest, context: Any
    ) -> pb.ListApiClientsResponse:
        """Clients in order of their names."""
        check = Check()
        team_id = check.optional_uuid("team_id", request.team_id)
        check.done()
        size = page_size(request.page_size)
        arguments = ("api clients", team_id or NO_TEAM)
        after = page_key(request.page_token, tuple[str, UUID], *arguments)
        found = await self._deps.api_clients.page(team_id, after, size + 1)
        page = page_of(found, size, lambda last: (last.name_folded, last.api_client_id), *arguments)
        return pb.ListApiClientsResponse(
            api_clients=map(client_message, page.rows), next_page_token=page.next_token
        )

    async def UpdateApiClient(
        self, request: pb.UpdateApiClientRequest, context: Any
    ) -> pb.UpdateApiClientResponse:
        """The changed client."""
        check, wanted = Check(), request.api_client
        team_id = check.optional_uuid("team_id", request.team_id)
        client_id = check.uuid("api_client.api_client_id", wanted.api_client_id)
        fields = changed_fields(check, request.update_mask.paths, ("name", "scopes", "expire_time"), wanted)
        changes = Changes(
            name=check.name("api_client.name", wanted.name, length_max=NAME_LENGTH_MAX)
            if "name" in fields
            else None,
            scopes=_scopes(check, wanted.scopes) if "scopes" in fields else None,
            ends="expire_time" in fields,
            expire_at=_time(check, "api_client.expire_time", wanted, "expire_time")
            if "expire_time" in fields
            else None,
        )
        check.done()
        once = Once(team_id or NO_TEAM, request, pb.UpdateApiClientResponse, _updated)
        return await self._deps.api_clients.update(once, team_id, client_id, request.etag, changes)

    async def RotateApiClientToken(
        self, request: pb.RotateApiClientTokenRequest, context: Any
    ) -> pb.RotateApiClientTokenResponse:
        """The new token."""
        check = Check()
        team_id = check.optional_uuid("team_id", request.team_id)
        client_id = check.uuid("api_client_id", request.api_client_id)
        old_until = _time(check, "old_token_expire_time", request, "old_token_expire_time")
        check.done()
        once = Once(team_id or NO_TEAM, request, pb.RotateApiClientTokenResponse, _rotated, client_message)
        return await self._deps.api_clients.rotate(once, team_id, client_id, old_until)

    async def RevokeApiClient(
        self, request: pb.RevokeApiClientRequest, context: Any
    ) -> pb.RevokeApiClientResponse:
        """The revoked client."""
        check = Check()
        team_id = check.optional_uuid("team_id", request.team_id)
        client_id = check.uuid("api_client_id", request.api_client_id)
        check.done()
        once = Once(team_id or NO_TEAM, request, pb.RevokeApiClientResponse, _revoked)
        return await self._deps.api_clients.revoke(once, team_id, client_id)


def _scopes(check: Check, given: Any) -> tuple[int, ...]:
    check.count("api_client.scopes", given, least=1, most=4)
    return tuple(sorted(given))


def _time(check: Check, field: str, message: Message, name: str) -> datetime | None:
    return check.time(field, message, name) if message.HasField(name) else None


def _created(minted: Minted) -> pb.CreateApiClientResponse:
    return pb.CreateApiClientResponse(api_client=client_message(minted.client), token=minted.token)


def _rotated(minted: Minted) -> pb.RotateApiClientTokenResponse:
    return pb.RotateApiClientTokenResponse(api_client=client_message(minted.client), token=minted.token)


def _updated(client: ApiClient) -> pb.UpdateApiClientResponse:
    return pb.UpdateApiClientResponse(api_client=client_message(client))


def _revoked(client: ApiClient) -> pb.RevokeApiClientResponse:
    return pb.RevokeApiClientResponse(api_client=client_message(client))
