"""Small things that the unit tests are made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from services.channel_gateway.domain.content import (
    BotModule,
    Card,
    ModuleContent,
    Template,
    TemplateState,
    TextCard,
)
from services.channel_gateway.domain.model import (
    Account,
    AccountState,
    Channel,
    Connection,
    ConnectionKind,
    Job,
    Price,
    Send,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TEAM = UUID(int=1)
JOURNEY = UUID(int=2)
CUSTOMER = UUID(int=3)
ACCOUNT = UUID(int=4)
MODULE = UUID(int=5)
TEMPLATE = UUID(int=6)


def send(**changes: Any) -> Send:
    """A send of a module on LINE."""
    base = Send(
        effect_key=UUID(int=100),
        team_id=TEAM,
        customer_id=CUSTOMER,
        enrolment_id=UUID(int=7),
        journey_id=JOURNEY,
        node_id="hello",
        channel=Channel.LINE,
        account_id=None,
        content=ModuleContent(MODULE),
        cap=None,
        not_after=None,
        stop_epoch=0,
        depth=0,
    )
    return msgspec.structs.replace(base, **changes)


def account(channel: Channel = Channel.LINE, **changes: Any) -> Account:
    """An active account of a channel."""
    kind = ConnectionKind.LINE if channel is Channel.LINE else ConnectionKind.WHATSAPP
    connection = Connection(kind, sender_id="1000", owner_id="2000", access_token="secret-token")
    base = Account(TEAM, ACCOUNT, channel, "Shop", AccountState.ACTIVE, "", connection, 100, 4, NOW, NOW, 1)
    return msgspec.structs.replace(base, **changes)


def module(*cards: Card) -> BotModule:
    """A module of these cards."""
    return BotModule(TEAM, MODULE, "Hello", cards or (TextCard("Hello"),), NOW, NOW, 1)


def template(**changes: Any) -> Template:
    """An approved template with two parameters."""
    base = Template(
        TEAM, TEMPLATE, ACCOUNT, "hello", "en", TemplateState.APPROVED, "MARKETING", (), 2, NOW, NOW, 1
    )
    return msgspec.structs.replace(base, **changes)


def job(**changes: Any) -> Job:
    """An accepted send of one message."""
    base = Job(
        team_id=TEAM,
        effect_key=UUID(int=100),
        customer_id=CUSTOMER,
        enrolment_id=UUID(int=7),
        journey_id=JOURNEY,
        node_id="hello",
        channel=Channel.LINE,
        account_id=ACCOUNT,
        depth=0,
        stop_epoch=0,
        not_after=None,
        recipient="U1",
        parts=[b"{}"],
        price=Price("TWD", 200_000),
    )
    return msgspec.structs.replace(base, **changes)
