# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: bot modules and templates."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.ids import epoch_ms, new_id
from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import changed_fields, ids_of, team_of
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from services.channel_gateway.convert import content as convert
from services.channel_gateway.convert import templates
from services.channel_gateway.domain.content import BotModule, Template, TemplateState
from services.channel_gateway.servicer.base import Part
from services.channel_gateway.usecases.call import Call

_TEMPLATE_FIELDS: Final = ("state", "category", "parameter_names", "parameter_count", "shape")


class ContentRpcs(Part):
    """What is sent."""

    # ---- bot modules ----

    async def CreateBotModule(
        self, request: pb.CreateBotModuleRequest, context: Any
    ) -> pb.CreateBotModuleResponse:
        """Creates a bot module."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        now = self._clock.now()
        name = check.name("module.name", request.module.name, length_max=convert.NAME_MAX)
        cards = convert.module_cards_of(check, request.module.cards, least=1)
        check.done()
        module = BotModule(team_id, new_id(epoch_ms(now)), name, cards, now, now, 1)
        closed = await self._deps.open_points.closed_to_points(team_id)

        def reply(created: BotModule) -> pb.CreateBotModuleResponse:
            return pb.CreateBotModuleResponse(
                module=convert.module_message(created),
                misfits=convert.misfit_messages(created),
                notices=convert.notice_messages(created, closed),
            )

        call = Call(team_id, request, pb.CreateBotModuleResponse, reply)
        return await self._deps.content.create_module(call, module)

    async def GetBotModule(self, request: pb.GetBotModuleRequest, context: Any) -> pb.GetBotModuleResponse:
        """Reads a bot module."""
        team_id, module_id = ids_of(request.team_id, "bot_module_id", request.bot_module_id)
        module = await self._deps.content_store.module(team_id, module_id)
        closed = await self._deps.open_points.closed_to_points(team_id)
        return pb.GetBotModuleResponse(
            module=convert.module_message(module),
            misfits=convert.misfit_messages(module),
            notices=convert.notice_messages(module, closed),
        )

    async def ListBotModules(
        self, request: pb.ListBotModulesRequest, context: Any
    ) -> pb.ListBotModulesResponse:
        """Lists bot modules."""
        team_id = team_of(request.team_id)
        arguments = ("modules", team_id)
        size = page_size(request.page_size)
        after = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        modules = await self._deps.content_store.list_modules(team_id, after, size + 1)
        page = page_of(modules, size, lambda last: (last.created_at, last.bot_module_id), *arguments)
        return pb.ListBotModulesResponse(
            modules=map(convert.module_message, page.rows), next_page_token=page.next_token
        )

    async def UpdateBotModule(
        self, request: pb.UpdateBotModuleRequest, context: Any
    ) -> pb.UpdateBotModuleResponse:
        """Changes a bot module."""
        team_id, module_id = ids_of(request.team_id, "module.bot_module_id", request.module.bot_module_id)
        check = FieldCheck()
        fields = changed_fields(check, request.update_mask.paths, ("name", "cards"), request.module)
        message = request.module
        name = ""
        if "name" in fields:
            name = check.name("module.name", message.name, length_max=convert.NAME_MAX)
        cards = convert.module_cards_of(check, message.cards, least=int("cards" in fields))
        check.done()

        def change(module: BotModule) -> BotModule:
            return msgspec.structs.replace(
                module,
                name=name or module.name,
                cards=cards if "cards" in fields else module.cards,
            )

        closed = await self._deps.open_points.closed_to_points(team_id)

        def reply(updated: BotModule) -> pb.UpdateBotModuleResponse:
            return pb.UpdateBotModuleResponse(
                module=convert.module_message(updated),
                misfits=convert.misfit_messages(updated),
                notices=convert.notice_messages(updated, closed),
            )

        call = Call(team_id, request, pb.UpdateBotModuleResponse, reply)
        given = cards if "cards" in fields else ()
        return await self._deps.content.update_module(call, module_id, request.etag, change, given)

    async def DeleteBotModule(
        self, request: pb.DeleteBotModuleRequest, context: Any
    ) -> pb.DeleteBotModuleResponse:
        """Deletes a bot module."""
        team_id, module_id = ids_of(request.team_id, "bot_module_id", request.bot_module_id)
        uses = await self._deps.journeys.before_it_goes(
            team_id, "the bot module", unless_used=request.unless_used, bot_module_id=str(module_id)
        )
        call: Call[None, pb.DeleteBotModuleResponse] = Call(
            team_id,
            request,
            pb.DeleteBotModuleResponse,
            lambda _: pb.DeleteBotModuleResponse(journeys=uses.messages),
            convert.module_message,
        )
        return await self._deps.content.delete_module(call, module_id, uses)

    # ---- templates ----

    async def CreateMessageTemplate(
        self, request: pb.CreateMessageTemplateRequest, context: Any
    ) -> pb.CreateMessageTemplateResponse:
        """Creates a template of a WhatsApp account."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        message = request.template
        account_id = templates.check_template(check, "template", message)
        names, count = templates.parameters_of(FieldCheck(), "template", message)
        shape = templates.shape_of(check, "template", message)
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
            shape,
        )

        def reply(created: Template) -> pb.CreateMessageTemplateResponse:
            return pb.CreateMessageTemplateResponse(template=templates.template_message(created))

        call = Call(team_id, request, pb.CreateMessageTemplateResponse, reply)
        return await self._deps.content.create_template(call, template)

    async def GetMessageTemplate(
        self, request: pb.GetMessageTemplateRequest, context: Any
    ) -> pb.GetMessageTemplateResponse:
        """Reads a template."""
        team_id, template_id = ids_of(request.team_id, "message_template_id", request.message_template_id)
        template = await self._deps.content_store.template(team_id, template_id)
        return pb.GetMessageTemplateResponse(template=templates.template_message(template))

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
        found = await self._deps.content_store.list_templates(team_id, account_id, after, size + 1)
        page = page_of(found, size, lambda last: (last.created_at, last.template_id), *arguments)
        return pb.ListMessageTemplatesResponse(
            templates=map(templates.template_message, page.rows), next_page_token=page.next_token
        )

    async def UpdateMessageTemplate(
        self, request: pb.UpdateMessageTemplateRequest, context: Any
    ) -> pb.UpdateMessageTemplateResponse:
        """Changes a template: its approval and its parameters."""
        team_id, template_id = ids_of(
            request.team_id, "template.message_template_id", request.template.message_template_id
        )
        message = request.template
        check = FieldCheck()
        fields = changed_fields(check, request.update_mask.paths, _TEMPLATE_FIELDS, message)
        names, count = templates.parameters_of(check, "template", message)
        shape = templates.shape_of(check, "template", message)
        if "state" in fields and not message.state:
            check.fault("template.state", "is required")
        check.done()

        about_parameters = "parameter_names" in fields or "parameter_count" in fields

        def change(template: Template) -> Template:
            state = TemplateState(message.state) if "state" in fields else template.state
            return msgspec.structs.replace(
                template,
                state=state,
                rejected_reason=template.rejected_reason if state is template.state else "",
                category=message.category if "category" in fields else template.category,
                parameter_names=names if about_parameters else template.parameter_names,
                parameter_count=count if about_parameters else template.parameter_count,
                shape=shape if "shape" in fields else template.shape,
            )

        def reply(updated: Template) -> pb.UpdateMessageTemplateResponse:
            return pb.UpdateMessageTemplateResponse(template=templates.template_message(updated))

        call = Call(team_id, request, pb.UpdateMessageTemplateResponse, reply)
        return await self._deps.content.update_template(call, template_id, request.etag, change)

    async def DeleteMessageTemplate(
        self, request: pb.DeleteMessageTemplateRequest, context: Any
    ) -> pb.DeleteMessageTemplateResponse:
        """Deletes a template."""
        team_id, template_id = ids_of(request.team_id, "message_template_id", request.message_template_id)
        uses = await self._deps.journeys.before_it_goes(
            team_id, "the template", unless_used=request.unless_used, message_template_id=str(template_id)
        )
        call: Call[None, pb.DeleteMessageTemplateResponse] = Call(
            team_id,
            request,
            pb.DeleteMessageTemplateResponse,
            lambda _: pb.DeleteMessageTemplateResponse(journeys=uses.messages),
            templates.template_message,
        )
        return await self._deps.content.delete_template(call, template_id, uses)
