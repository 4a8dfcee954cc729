"""What a journey names: contract to domain and back. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from libs.common.rpc.errors import reason_named
from libs.common.rpc.fields import FieldCheck
from omnijourney.internal.v1 import reference_pb2, sends_service_pb2
from services.channel_gateway.convert.templates import template_content_of
from services.channel_gateway.domain.content import ModuleContent, TemplateContent
from services.channel_gateway.domain.model import Channel
from services.channel_gateway.domain.references import (
    AccountFindings,
    AccountReference,
    Finding,
    MessageFindings,
    MessageReference,
)

_ITEMS_MAX: Final = 500
_CHANNELS: Final = frozenset(channel.value for channel in Channel)


def references_of(
    request: sends_service_pb2.CheckMessagesRequest,
) -> tuple[UUID, list[AccountReference], list[MessageReference]]:
    """Team, accounts, messages. Raises InvalidArgument."""
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    check.count("accounts", request.accounts, most=_ITEMS_MAX)
    check.count("messages", request.messages, most=_ITEMS_MAX)
    accounts = [
        AccountReference(
            _channel(check, f"accounts[{index}]", account.channel),
            check.uuid(f"accounts[{index}].account_id", account.account_id),
        )
        for index, account in enumerate(request.accounts)
    ]
    messages = [
        MessageReference(
            _channel(check, f"messages[{index}]", message.channel),
            check.optional_uuid(f"messages[{index}].account_id", message.account_id),
            _content(check, f"messages[{index}]", message),
        )
        for index, message in enumerate(request.messages)
    ]
    check.done()
    return team_id, accounts, messages


def _channel(check: FieldCheck, path: str, number: int) -> Channel:
    if number not in _CHANNELS:
        check.fault(f"{path}.channel", "is required")
        return Channel.LINE
    return Channel(number)


def _content(
    check: FieldCheck, path: str, message: reference_pb2.MessageReference
) -> ModuleContent | TemplateContent | None:
    match message.WhichOneof("content"):
        case "bot_module_id":
            return ModuleContent(check.uuid(f"{path}.bot_module_id", message.bot_module_id))
        case "template":
            sent = message.template
            check.uuid(f"{path}.template.template_id", sent.template_id)
            # Its texts are the journey's to check; here they are only compared with what the template takes.
            return template_content_of(FieldCheck(), "", "template_id", sent.template_id, sent)
        case _:
            return None


def findings_message(
    accounts: Iterable[AccountFindings], messages: Iterable[MessageFindings]
) -> sends_service_pb2.CheckMessagesResponse:
    """The answer."""
    return sends_service_pb2.CheckMessagesResponse(
        accounts=[
            reference_pb2.AccountFindings(
                faults=map(_fault, found.faults), warnings=map(_fault, found.warnings)
            )
            for found in accounts
        ],
        messages=[
            reference_pb2.MessageFindings(
                faults=map(_fault, found.faults),
                attribute_keys=found.attribute_keys,
                needs_points=found.needs_points,
                trigger_keys=found.trigger_keys,
                warnings=map(_fault, found.warnings),
            )
            for found in messages
        ],
    )


def _fault(finding: Finding) -> reference_pb2.ReferenceFault:
    return reference_pb2.ReferenceFault(
        field=finding.field, reason=reason_named(finding.reason), message=finding.message
    )
