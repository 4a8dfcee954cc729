# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: templates as WhatsApp has them."""

from __future__ import annotations

from typing import Any

from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.rpc.servicing import ids_of
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from services.channel_gateway.clients.channels.whatsapp import WhatsappAdapter
from services.channel_gateway.domain.templates import TemplateChanges
from services.channel_gateway.servicer.base import Part
from services.channel_gateway.usecases.call import Call


class TemplateSyncRpcs(Part):
    """Templates are brought up to date."""

    async def SyncMessageTemplates(
        self, request: pb.SyncMessageTemplatesRequest, context: Any
    ) -> pb.SyncMessageTemplatesResponse:
        """Takes over what WhatsApp has."""
        team_id, account_id = ids_of(request.team_id, "account_id", request.account_id)
        account = await self._deps.account_store.account(team_id, account_id)
        adapter = self._deps.adapters.get(account.connection.kind)
        if not isinstance(adapter, WhatsappAdapter) or not account.connection.owner_id:
            raise InvalidArgument.of(FieldViolation("account_id", "names no business account of WhatsApp"))
        told = await adapter.templates(account)

        def reply(changes: TemplateChanges) -> pb.SyncMessageTemplatesResponse:
            return pb.SyncMessageTemplatesResponse(
                added=len(changes.added), changed=len(changes.changed), gone=len(changes.gone)
            )

        call = Call(team_id, request, pb.SyncMessageTemplatesResponse, reply)
        return await self._deps.template_sync.sync(call, account_id, told)
