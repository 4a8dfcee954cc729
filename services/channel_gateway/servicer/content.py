# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: bot modules and templates."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from libs.common.db.pool import Connection
from libs.common.db.requests import answer_once
from libs.common.errors import AlreadyExists, FailedPrecondition
from libs.common.ids import epoch_ms, new_id
from libs.common.paging import page_key, page_size
from libs.common.rpc.fields import FieldCheck
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from services.channel_gateway.convert import content as convert
from services.channel_gateway.convert.deliveries import channel_of
from services.channel_gateway.domain.errors import ChannelUnsupported
from services.channel_gateway.domain.model import (
    BotModule,
    Channel,
    ModuleContent,
    Profile,
    Reason,
    Send,
    Template,
    TemplateState,
)
from services.channel_gateway.domain.prepare import ContentRefusedError
from services.channel_gateway.domain.render import Values, flatten
from services.channel_gateway.servicer.base import (
    KIND_OF,
    Edge,
    check_etag,
    fields_of,
    ids_of,
    next_token,
    team_of,
)
from services.channel_gateway.store import content as store
from services.channel_gateway.store.facts import Written

_NIL: Final = UUID(int=0)
_TEMPLATE_FIELDS: Final = ("state", "category", "parameter_names", "parameter_count")


class ContentRpcs(Edge):
    """What is sent."""

    # ---- bot modules ----

    async def CreateBotModule(
        self, request: pb.CreateBotModuleRequest, context: Any
    ) -> pb.CreateBotModuleResponse:
        """Creates a bot module."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        now = self._clock.now()
        name = check.text("module.name", request.module.name, length_max=convert.NAME_MAX)
        cards = convert.cards_of(check, "module.cards", request.module.cards, least=1, most=convert.CARDS_MAX)
        check.done()
        module = BotModule(team_id, new_id(epoch_ms(now)), name, cards, now, now, 1)

        async def work(connection: Connection) -> pb.CreateBotModuleResponse:
            created = await store.create_module(connection, module)
            return pb.CreateBotModuleResponse(module=convert.module_message(created))

        return await answer_once(self._pool, team_id, request, pb.CreateBotModuleResponse, work)

    async def GetBotModule(self, request: pb.GetBotModuleRequest, context: Any) -> pb.GetBotModuleResponse:
        """Reads a bot module."""
        team_id, module_id = ids_of(request.team_id, "bot_module_id", request.bot_module_id)
        module = await self._parts.content.module(team_id, module_id)
        return pb.GetBotModuleResponse(module=convert.module_message(module))

    async def ListBotModules(
        self, request: pb.ListBotModulesRequest, context: Any
    ) -> pb.ListBotModulesResponse:
        """Lists bot modules."""
        team_id = team_of(request.team_id)
        arguments = ("modules", team_id)
        size = page_size(request.page_size)
        after = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        modules = await self._parts.content.list_modules(team_id, after, size + 1)
        shown = modules[:size]
        last = (shown[-1].created_at, shown[-1].bot_module_id) if len(modules) > size else None
        return pb.ListBotModulesResponse(
            modules=map(convert.module_message, shown), next_page_token=next_token(last, arguments)
        )

    async def UpdateBotModule(
        self, request: pb.UpdateBotModuleRequest, context: Any
    ) -> pb.UpdateBotModuleResponse:
        """Changes a bot module."""
        team_id, module_id = ids_of(request.team_id, "module.id", request.module.id)
        fields = fields_of(request.update_mask.paths, ("name", "cards"), request.module)
        check = FieldCheck()
        message = request.module
        if "name" in fields:
            check.text("module.name", message.name, length_max=convert.NAME_MAX)
        cards = convert.cards_of(
            check, "module.cards", message.cards, least=int("cards" in fields), most=convert.CARDS_MAX
        )
        check.done()

        async def work(connection: Connection) -> pb.UpdateBotModuleResponse:
            module = await store.hold_module(connection, team_id, module_id)
            check_etag(message.etag, module.version)
            changed = msgspec.structs.replace(
                module,
                name=message.name if "name" in fields else module.name,
                cards=cards if "cards" in fields else module.cards,
            )
            updated = await store.update_module(connection, changed, self._clock.now())
            return pb.UpdateBotModuleResponse(module=convert.module_message(updated))

        return await answer_once(self._pool, team_id, request, pb.UpdateBotModuleResponse, work)

    async def DeleteBotModule(
        self, request: pb.DeleteBotModuleRequest, context: Any
    ) -> pb.DeleteBotModuleResponse:
        """Deletes a bot module."""
        team_id, module_id = ids_of(request.team_id, "bot_module_id", request.bot_module_id)
        facts: list[Written] = []

        async def work(connection: Connection) -> pb.DeleteBotModuleResponse:
            facts.append(await store.delete_module(connection, team_id, module_id, self._clock.now()))
            return pb.DeleteBotModuleResponse()

        reply = await answer_once(self._pool, team_id, request, pb.DeleteBotModuleResponse, work)
        self.publish(facts)
        return reply

    async def PreviewBotModule(
        self, request: pb.PreviewBotModuleRequest, context: Any
    ) -> pb.PreviewBotModuleResponse:
        """Shows a module with the defaults of its variables."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        module_id = check.uuid("bot_module_id", request.bot_module_id)
        channel = channel_of(check, "channel", request.channel)
        if request.customer_id:
            check.fault("customer_id", "is not looked at by this release: leave it empty")
        check.done()
        module = await self._parts.content.module(team_id, module_id)
        adapter = self._parts.adapters.get(KIND_OF[channel])
        if adapter is None:
            raise ChannelUnsupported(channel)
        send = _preview_send(team_id, module_id, channel)
        try:
            parts = adapter.writer.write_cards(send, "", flatten(module.cards, Values(Profile(), None)))
        except ContentRefusedError as refused:
            check.fault("bot_module_id", str(refused))
            check.done()
            raise
        return pb.PreviewBotModuleResponse(requests=[part.decode() for part in parts], messages=len(parts))

    # ---- templates ----

    async def CreateMessageTemplate(
        self, request: pb.CreateMessageTemplateRequest, context: Any
    ) -> pb.CreateMessageTemplateResponse:
        """Creates a template of a WhatsApp account."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        message = request.template
        account_id = convert.check_template(check, "template", message)
        names, count = convert.parameters_of(FieldCheck(), "template", message)
        check.done()
        now = self._clock.now()
        state = TemplateState(message.state or TemplateState.APPROVED)
        template = Template(
            team_id,
            new_id(epoch_ms(now)),
            account_id,
            message.name,
            message.language,
            state,
            message.category or "MARKETING",
            names,
            count,
            now,
            now,
            1,
        )

        async def work(connection: Connection) -> pb.CreateMessageTemplateResponse:
            account = await store.hold_account(connection, team_id, account_id)
            if account.channel is not Channel.WHATSAPP:
                raise FailedPrecondition("INVALID_FIELDS", "only WhatsApp accounts have templates")
            created = await store.create_template(connection, template)
            return pb.CreateMessageTemplateResponse(template=convert.template_message(created))

        try:
            return await answer_once(self._pool, team_id, request, pb.CreateMessageTemplateResponse, work)
        except asyncpg.UniqueViolationError as error:
            raise AlreadyExists.value_taken("name") from error

    async def GetMessageTemplate(
        self, request: pb.GetMessageTemplateRequest, context: Any
    ) -> pb.GetMessageTemplateResponse:
        """Reads a template."""
        team_id, template_id = ids_of(request.team_id, "template_id", request.template_id)
        template = await self._parts.content.template(team_id, template_id)
        return pb.GetMessageTemplateResponse(template=convert.template_message(template))

    async def ListMessageTemplates(
        self, request: pb.ListMessageTemplatesRequest, context: Any
    ) -> pb.ListMessageTemplatesResponse:
        """Lists templates."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        account_id = check.optional_uuid("account_id", request.account_id)
        check.done()
        arguments = ("templates", team_id, account_id)
        size = page_size(request.page_size)
        after = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        templates = await self._parts.content.list_templates(team_id, account_id, after, size + 1)
        shown = templates[:size]
        last = (shown[-1].created_at, shown[-1].template_id) if len(templates) > size else None
        return pb.ListMessageTemplatesResponse(
            templates=map(convert.template_message, shown), next_page_token=next_token(last, arguments)
        )

    async def UpdateMessageTemplate(
        self, request: pb.UpdateMessageTemplateRequest, context: Any
    ) -> pb.UpdateMessageTemplateResponse:
        """Changes a template: its approval and its parameters."""
        team_id, template_id = ids_of(request.team_id, "template.id", request.template.id)
        fields = fields_of(request.update_mask.paths, _TEMPLATE_FIELDS, request.template)
        message = request.template
        check = FieldCheck()
        names, count = convert.parameters_of(check, "template", message)
        if "state" in fields and not message.state:
            check.fault("template.state", "is required")
        check.done()

        async def work(connection: Connection) -> pb.UpdateMessageTemplateResponse:
            template = await store.hold_template(connection, team_id, template_id)
            check_etag(message.etag, template.version)
            about_parameters = "parameter_names" in fields or "parameter_count" in fields
            changed = msgspec.structs.replace(
                template,
                state=TemplateState(message.state) if "state" in fields else template.state,
                category=message.category if "category" in fields else template.category,
                parameter_names=names if about_parameters else template.parameter_names,
                parameter_count=count if about_parameters else template.parameter_count,
            )
            updated = await store.update_template(connection, changed, self._clock.now())
            return pb.UpdateMessageTemplateResponse(template=convert.template_message(updated))

        return await answer_once(self._pool, team_id, request, pb.UpdateMessageTemplateResponse, work)

    async def DeleteMessageTemplate(
        self, request: pb.DeleteMessageTemplateRequest, context: Any
    ) -> pb.DeleteMessageTemplateResponse:
        """Deletes a template."""
        team_id, template_id = ids_of(request.team_id, "template_id", request.template_id)
        facts: list[Written] = []

        async def work(connection: Connection) -> pb.DeleteMessageTemplateResponse:
            facts.append(await store.delete_template(connection, team_id, template_id, self._clock.now()))
            return pb.DeleteMessageTemplateResponse()

        reply = await answer_once(self._pool, team_id, request, pb.DeleteMessageTemplateResponse, work)
        self.publish(facts)
        return reply


def _preview_send(team_id: UUID, module_id: UUID, channel: Channel) -> Send:
    return Send(
        effect_key=_NIL,
        team_id=team_id,
        customer_id=_NIL,
        enrolment_id=_NIL,
        journey_id=_NIL,
        node_id=str(Reason.CONTENT_INVALID),
        channel=channel,
        account_id=None,
        content=ModuleContent(module_id),
        cap=None,
        not_after=None,
        stop_epoch=0,
        depth=0,
    )
