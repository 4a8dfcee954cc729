"""What the forms of a journey can choose from: accounts, modules, templates, attributes, audiences and tags."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from libs.console.visits import Visit
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1.account_pb2 import ChannelAccount
from omnijourney.channel_gateway.v1.content_pb2 import BotModule, MessageTemplate
from omnijourney.segment.v1 import attribute_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.audience_pb2 import SavedAudience

SHOWN_MAX = 200
"""Entries of each list; who has more finds the rest where they are made."""

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Choices:
    """All of them, as pairs of value and text where a form needs these."""

    accounts: Sequence[ChannelAccount]
    modules: Sequence[BotModule]
    templates: Sequence[MessageTemplate]
    attributes: Sequence[attribute_pb2.Attribute]
    audiences: Sequence[SavedAudience]
    tags: Sequence[str]

    def accounts_of(self, channel: int) -> Pairs:
        """Accounts of one channel."""
        return [
            (each.channel_account_id, each.display_name) for each in self.accounts if each.channel == channel
        ]

    @property
    def module_pairs(self) -> Pairs:
        """Bot modules."""
        return [(each.bot_module_id, each.name) for each in self.modules]

    @property
    def template_pairs(self) -> Pairs:
        """Templates, with their languages."""
        return [(each.message_template_id, f"{each.name} ({each.language})") for each in self.templates]

    @property
    def attribute_pairs(self) -> Pairs:
        """Attributes that are in use."""
        return [(each.key, each.display_name or each.key) for each in self.attributes]

    @property
    def text_attribute_pairs(self) -> Pairs:
        """Those of texts, which alone a journey can change."""
        text = attribute_pb2.ATTRIBUTE_TYPE_TEXT
        return [(each.key, each.display_name or each.key) for each in self.attributes if each.type == text]

    @property
    def audience_pairs(self) -> Pairs:
        """Saved audiences."""
        return [(each.saved_audience_id, each.name) for each in self.audiences]

    def name_of(self, thing_id: str) -> str:
        """What a module, a template or an audience is called; its id where it is not known here."""
        for pairs in (self.module_pairs, self.template_pairs, self.audience_pairs):
            for value, text in pairs:
                if value == thing_id:
                    return text
        return thing_id


async def choices_of(visit: Visit) -> Choices:
    """Reads them all at once. Raises CallError."""
    client, team_id = visit.client, visit.team_id
    active = attribute_pb2.ATTRIBUTE_STATE_ACTIVE
    asked: list[tuple[Any, Any]] = [
        (
            client.channel_gateway.ListChannelAccounts,
            gateway.ListChannelAccountsRequest(team_id=team_id, page_size=SHOWN_MAX),
        ),
        (
            client.channel_gateway.ListBotModules,
            gateway.ListBotModulesRequest(team_id=team_id, page_size=SHOWN_MAX),
        ),
        (
            client.channel_gateway.ListMessageTemplates,
            gateway.ListMessageTemplatesRequest(team_id=team_id, page_size=SHOWN_MAX),
        ),
        (
            client.segment.ListAttributes,
            segment.ListAttributesRequest(team_id=team_id, page_size=SHOWN_MAX, state=active),
        ),
        (
            client.segment.ListSavedAudiences,
            segment.ListSavedAudiencesRequest(team_id=team_id, page_size=SHOWN_MAX),
        ),
        (client.segment.ListTags, segment.ListTagsRequest(team_id=team_id, page_size=SHOWN_MAX)),
    ]
    accounts, modules, templates, attributes, audiences, tags = await asyncio.gather(
        *(visit.call(rpc, request) for rpc, request in asked)
    )
    return Choices(
        accounts=accounts.accounts,
        modules=modules.modules,
        templates=templates.templates,
        attributes=attributes.attributes,
        audiences=audiences.saved_audiences,
        tags=[each.tag for each in tags.tags],
    )
