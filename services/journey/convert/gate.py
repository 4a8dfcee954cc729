"""What a definition names: to the contracts of segment and the gateway, and their answers back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from libs.common.audience.expressions import AttributeType
from omnijourney.common.v1 import channel_pb2
from omnijourney.internal.v1 import customers_service_pb2, reference_pb2, sends_service_pb2
from omnijourney.segment.v1 import attribute_pb2, audience_pb2
from services.journey.convert.effects import reason_text, template_message
from services.journey.domain.gate import (
    AccountAnswer,
    Finding,
    KnownAttribute,
    MessageAnswer,
    NamedAccount,
    NamedMessage,
    Traits,
)


def messages_request(
    team_id: UUID, accounts: Sequence[NamedAccount], messages: Sequence[NamedMessage]
) -> sends_service_pb2.CheckMessagesRequest:
    """The question to the gateway."""
    return sends_service_pb2.CheckMessagesRequest(
        team_id=str(team_id),
        accounts=[
            reference_pb2.AccountReference(
                channel=channel_pb2.Channel.ValueType(account.channel), account_id=str(account.account_id)
            )
            for account in accounts
        ],
        messages=map(_message_reference, messages),
    )


def _message_reference(named: NamedMessage) -> reference_pb2.MessageReference:
    message = named.message
    reference = reference_pb2.MessageReference(
        channel=channel_pb2.Channel.ValueType(message.channel),
        account_id=str(named.account_id) if named.account_id else "",
    )
    if message.template is not None:
        reference.template.CopyFrom(template_message(message.template))
    elif message.bot_module_id is not None:
        reference.bot_module_id = str(message.bot_module_id)
    return reference


def account_answers(answer: sends_service_pb2.CheckMessagesResponse) -> list[AccountAnswer]:
    """What the gateway found of accounts."""
    return [AccountAnswer(_findings(found.faults), _findings(found.warnings)) for found in answer.accounts]


def message_answers(answer: sends_service_pb2.CheckMessagesResponse) -> list[MessageAnswer]:
    """What the gateway found of messages."""
    return [
        MessageAnswer(
            _findings(found.faults),
            tuple(found.attribute_keys),
            found.needs_points,
            tuple(found.trigger_keys),
            _findings(found.warnings),
        )
        for found in answer.messages
    ]


def traits_request(
    team_id: UUID, keys: Sequence[str], audiences: Sequence[bytes]
) -> customers_service_pb2.CheckTraitsRequest:
    """The question to segment."""
    return customers_service_pb2.CheckTraitsRequest(
        team_id=str(team_id),
        attribute_keys=keys,
        audiences=map(audience_pb2.Audience.FromString, audiences),
    )


def traits_of(keys: Sequence[str], answer: customers_service_pb2.CheckTraitsResponse) -> Traits:
    """What segment has of the team."""
    return Traits(
        known=bool(answer.settings.team_id),
        modules=frozenset(answer.settings.modules),
        points_channels=frozenset(answer.settings.points_channels),
        attributes={
            key: KnownAttribute(
                AttributeType(attribute.type), attribute.state == attribute_pb2.ATTRIBUTE_STATE_ARCHIVED
            )
            for key, attribute in zip(keys, answer.attributes, strict=False)
            if attribute.key
        },
        audiences=[_findings(found.faults) for found in answer.audiences],
    )


def _findings(faults: Iterable[reference_pb2.ReferenceFault]) -> tuple[Finding, ...]:
    return tuple(Finding(fault.field, reason_text(fault.reason), fault.message) for fault in faults)
