# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: content that is shown with a customer's values, or sent to them as a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from libs.common.ids import derived_id
from libs.common.rpc.fields import FieldCheck
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from services.channel_gateway.convert import content as content_convert
from services.channel_gateway.convert import deliveries as convert
from services.channel_gateway.convert.templates import note_misfits, template_content_of
from services.channel_gateway.domain.content import ModuleContent, TemplateContent
from services.channel_gateway.domain.errors import ChannelUnsupported
from services.channel_gateway.domain.model import KIND_OF, NO_JOURNEY, TEST_NODE, Profile, Send
from services.channel_gateway.domain.prepare import ContentRefusedError, send_to_nobody
from services.channel_gateway.domain.render import Values, flatten
from services.channel_gateway.servicer.base import Part


class ContentTestRpcs(Part):
    """Previews and tests of what is sent."""

    async def PreviewBotModule(
        self, request: pb.PreviewBotModuleRequest, context: Any
    ) -> pb.PreviewBotModuleResponse:
        """Shows a module with a customer's values, or with the defaults of its variables."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        module_id = check.uuid("bot_module_id", request.bot_module_id)
        channel = convert.channel_of(check, "channel", request.channel)
        customer_id = check.optional_uuid("customer_id", request.customer_id)
        check.done()
        module = await self._deps.content_store.module(team_id, module_id)
        adapter = self._deps.adapters.get(KIND_OF[channel])
        if adapter is None:
            raise ChannelUnsupported(channel)
        send = send_to_nobody(team_id, channel, ModuleContent(module_id))
        data = dict(request.trigger_data)
        try:
            if customer_id is None:
                cards = flatten(module.cards, Values(Profile(), None, trigger_data=data))
                parts = adapter.writer.write_cards(send, "", cards)
            else:
                parts = await self._deps.reservation.written(
                    msgspec.structs.replace(send, customer_id=customer_id, trigger_data=data)
                )
        except ContentRefusedError as refused:
            check.fault("bot_module_id", str(refused))
            check.done()
            raise
        closed = {channel}.intersection(await self._deps.open_points.closed_to_points(team_id))
        return pb.PreviewBotModuleResponse(
            requests=[part.decode() for part in parts],
            messages=len(parts),
            notices=content_convert.notice_messages(module, closed),
        )

    async def SendTestMessage(
        self, request: pb.SendTestMessageRequest, context: Any
    ) -> pb.SendTestMessageResponse:
        """Sends content to one person."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        customer_id = check.uuid("customer_id", request.customer_id)
        account_id = check.uuid("channel_account_id", request.channel_account_id)
        content = _content_of(check, request)
        check.done()
        account = await self._deps.account_store.account(team_id, account_id)
        await self._look_for(check, team_id, account_id, content)
        send = Send(
            effect_key=derived_id(team_id, "test message", request.request_id),
            team_id=team_id,
            customer_id=customer_id,
            enrolment_id=NO_JOURNEY,
            journey_id=NO_JOURNEY,
            node_id=TEST_NODE,
            channel=account.channel,
            account_id=account_id,
            content=content,
            cap=None,
            not_after=None,
            stop_epoch=0,
            depth=0,
            trigger_data=dict(request.trigger_data) or None,
        )
        try:
            return await self._deps.content_tests.send(request, send, pb.SendTestMessageResponse, _reply)
        except ContentRefusedError as refused:
            field = "bot_module_id" if request.bot_module_id else refused.field or "parameters"
            check.fault(field, str(refused))
            check.done()
            raise

    async def _look_for(
        self, check: FieldCheck, team_id: UUID, account_id: UUID, content: ModuleContent | TemplateContent
    ) -> None:
        """Raises NotFound, InvalidArgument for a template of another account or one that takes something else."""
        if isinstance(content, ModuleContent):
            await self._deps.content_store.module(team_id, content.bot_module_id)
            return
        template = await self._deps.content_store.template(team_id, content.template_id)
        if template.account_id != account_id:
            check.fault("message_template_id", "is a template of another account: send it through its own")
            check.done()
        note_misfits(check, template, content)
        check.done()


def _content_of(check: FieldCheck, request: pb.SendTestMessageRequest) -> ModuleContent | TemplateContent:
    if bool(request.bot_module_id) == bool(request.message_template_id):
        check.fault("bot_module_id", "is required, or message_template_id, and not both")
    if not request.message_template_id:
        return ModuleContent(check.uuid("bot_module_id", request.bot_module_id))
    return template_content_of(check, "", "message_template_id", request.message_template_id, request)


def _reply(row: Mapping[str, Any]) -> pb.SendTestMessageResponse:
    return pb.SendTestMessageResponse(delivery=convert.delivery_of(row))
