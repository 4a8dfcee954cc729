# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: templates as WhatsApp has them, taken over and shown."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.common.errors import FieldViolation, InvalidArgument, NotFound
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import ids_of
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from services.channel_gateway.clients.channels.whatsapp import WhatsappAdapter
from services.channel_gateway.clients.channels.whatsapp_templates import filled
from services.channel_gateway.convert.templates import note_misfits, template_content_of
from services.channel_gateway.domain.prepare import ContentRefusedError, send_to_nobody
from services.channel_gateway.domain.templates import TemplateChanges
from services.channel_gateway.servicer.base import Part
from services.channel_gateway.usecases.call import Call


class TemplateSyncRpcs(Part):
    """Templates are brought up to date, and filled in for one customer."""

    async def SyncMessageTemplates(
        self, request: pb.SyncMessageTemplatesRequest, context: Any
    ) -> pb.SyncMessageTemplatesResponse:
        """Takes over what WhatsApp has."""
        team_id, account_id = ids_of(request.team_id, "account_id", request.account_id)
        account = await self._deps.account_store.account(team_id, account_id)
        adapter = self._deps.adapters.get(account.connection.kind)
        if not isinstance(adapter, WhatsappAdapter) or not account.connection.owner_id:
            raise InvalidArgument.of(FieldViolation("account_id", "names no business account of WhatsApp"))
        found = await adapter.templates(account)

        def reply(changes: TemplateChanges) -> pb.SyncMessageTemplatesResponse:
            return pb.SyncMessageTemplatesResponse(
                added=len(changes.added), changed=len(changes.changed), gone=len(changes.gone)
            )

        call = Call(team_id, request, pb.SyncMessageTemplatesResponse, reply)
        return await self._deps.template_sync.sync(call, account_id, found)

    async def PreviewMessageTemplate(
        self, request: pb.PreviewMessageTemplateRequest, context: Any
    ) -> pb.PreviewMessageTemplateResponse:
        """Shows a template as it is at WhatsApp, with a customer's values."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        customer_id = check.uuid("customer_id", request.customer_id)
        content = template_content_of(check, "", "message_template_id", request.message_template_id, request)
        check.done()
        template = await self._deps.content_store.template(team_id, content.template_id)
        note_misfits(check, template, content)
        account = await self._deps.account_store.account(team_id, template.account_id)
        adapter = self._deps.adapters.get(account.connection.kind)
        if not isinstance(adapter, WhatsappAdapter) or not account.connection.owner_id:
            check.fault("message_template_id", "is of an account without a business account of WhatsApp")
            check.done()
            raise AssertionError
        check.done()
        send = send_to_nobody(team_id, account.channel, content, account.account_id)
        send = msgspec.structs.replace(send, customer_id=customer_id, trigger_data=dict(request.trigger_data))
        try:
            said = await self._deps.reservation.filled(send, content)
        except ContentRefusedError as refused:
            check.fault(refused.field or "parameters", str(refused))
            check.done()
            raise
        parts = await adapter.parts_of(account, template)
        if parts is None:
            raise NotFound.of("template", template.template_id)
        return pb.PreviewMessageTemplateResponse(text=filled(parts, template, said))
