"""Clients of the API: domain → messages."""

from __future__ import annotations

from libs.common.rpc.values import timestamp
from omnijourney.segment.v1 import api_client_pb2
from services.segment.domain.api_clients import ApiClient


def client_message(client: ApiClient) -> api_client_pb2.ApiClient:
    """A client; its token is nowhere."""
    return api_client_pb2.ApiClient(
        api_client_id=str(client.api_client_id),
        team_id=str(client.team_id or ""),
        name=client.name,
        scopes=list(client.scopes),  # type: ignore[arg-type]  # the numbers are those of the contract
        expire_time=timestamp(client.expire_at) if client.expire_at else None,
        create_time=timestamp(client.created_at),
        last_use_time=timestamp(client.last_used) if client.last_used else None,
        revoked=client.revoked_at is not None,
        configured=client.configured,
        etag=str(client.version),
    )
