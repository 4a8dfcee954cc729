"""What is sent: cards of bot modules, templates, and what a send takes of them."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final
from uuid import UUID

import msgspec

PARAMETERS_MAX: Final = 100
"""Most parameters of a template's body."""
BUTTONS_MAX: Final = 10
"""Buttons of a template."""
HEADER_LENGTH_MAX: Final = 60
"""Characters of a template's header, whose parameter is a part of it."""


class ButtonAction(StrEnum):
    """What a press does."""

    URL = "url"
    POSTBACK = "postback"
    MESSAGE = "message"


class Button(msgspec.Struct, frozen=True):
    """A button; `value` is the address, the data or the text of its action."""

    label: str
    action: ButtonAction
    value: str


class TextCard(msgspec.Struct, frozen=True, tag="text", omit_defaults=True):
    """A text, and the answers that people may press below it."""

    text: str
    quick_replies: tuple[Button, ...] = ()
    list_label: str = ""
    """What opens them where they are a list."""


class ImageCard(msgspec.Struct, frozen=True, tag="image"):
    """A picture."""

    image_url: str
    preview_url: str = ""
    caption: str = ""


class ButtonCard(msgspec.Struct, frozen=True, tag="button"):
    """A text with buttons."""

    text: str
    buttons: tuple[Button, ...]
    title: str = ""
    image_url: str = ""


class PointFigure(IntEnum):
    """Which of a customer's two figures."""

    BALANCE = 1
    CUMULATIVE = 2


class PointComparison(IntEnum):
    """How a figure is compared."""

    AT_LEAST = 1
    AT_MOST = 2
    BETWEEN = 3
    EQUAL = 4


class ConditionCard(msgspec.Struct, frozen=True, tag="condition"):
    """One of two lists of cards, chosen by points."""

    figure: PointFigure
    comparison: PointComparison
    value: int
    value_max: int = 0
    then_cards: tuple[Card, ...] = ()
    else_cards: tuple[Card, ...] = ()


class CouponCard(msgspec.Struct, frozen=True, tag="coupon"):
    """An offer to claim a coupon."""

    coupon_id: str
    text: str
    button_label: str


Card = TextCard | ImageCard | ButtonCard | ConditionCard | CouponCard
FlatCard = TextCard | ImageCard | ButtonCard
"""What is left when conditions are decided and coupons have become buttons; texts are filled in."""


class BotModule(msgspec.Struct, frozen=True):
    """Reusable content: cards in order."""

    team_id: UUID
    bot_module_id: UUID
    name: str
    cards: tuple[Card, ...]
    created_at: datetime
    updated_at: datetime
    version: int


class TemplateState(IntEnum):
    """Approval of a template; numbers of the contract."""

    APPROVED = 1
    PENDING = 2
    REJECTED = 3
    PAUSED = 4
    DISABLED = 5


class HeaderKind(IntEnum):
    """What stands at the head of a template; numbers of the contract."""

    NONE = 0
    TEXT = 1
    IMAGE = 2
    VIDEO = 3
    DOCUMENT = 4
    OTHER = 5
    """What a send cannot fill in."""


class TemplateButtonKind(IntEnum):
    """What a button of a template does; numbers of the contract."""

    URL = 1
    QUICK_REPLY = 2
    PHONE_NUMBER = 3
    OTHER = 4


class TemplateButton(msgspec.Struct, frozen=True):
    """A button of a template."""

    kind: TemplateButtonKind
    label: str = ""
    takes_parameter: bool = False

    @property
    def is_link(self) -> bool:
        """Whether a press opens an address."""
        return self.kind is TemplateButtonKind.URL


class TemplateShape(msgspec.Struct, frozen=True):
    """What a send of a template brings besides the body's parameters. Stored as JSON."""

    header: HeaderKind = HeaderKind.NONE
    header_parameter_count: int = 0
    header_parameter_name: str = ""
    """Where parameters have names."""
    buttons: tuple[TemplateButton, ...] = ()


class Template(msgspec.Struct, frozen=True):
    """A WhatsApp template."""

    team_id: UUID
    template_id: UUID
    account_id: UUID
    name: str
    language: str
    state: TemplateState
    category: str
    parameter_names: tuple[str, ...]
    parameter_count: int
    created_at: datetime
    updated_at: datetime
    version: int
    shape: TemplateShape | None = None
    """None: not known, since WhatsApp was not asked."""
    rejected_reason: str = ""
    """Why WhatsApp refused it, as it names it; empty where it did not, or does not say."""


class ModuleContent(msgspec.Struct, frozen=True):
    """A send of a bot module."""

    bot_module_id: UUID


class HeaderMedia(msgspec.Struct, frozen=True):
    """A picture, a video or a document in a template's header; texts may hold variables."""

    kind: HeaderKind
    url: str
    filename: str = ""
    """Of a document, as people see it."""


class TemplateContent(msgspec.Struct, frozen=True):
    """A send of a template; texts may hold variables."""

    template_id: UUID
    parameters: tuple[str, ...] = ()
    header_parameter: str = ""
    button_parameters: tuple[tuple[int, str], ...] = ()
    header_media: HeaderMedia | None = None


class TextContent(msgspec.Struct, frozen=True):
    """A send of a text of ours, an answer to what somebody did; it goes out as it stands."""

    text: str


Content = ModuleContent | TemplateContent | TextContent
