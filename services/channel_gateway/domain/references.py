"""What a journey names here, looked at before it is published: is it there, could it ever be sent? Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from libs.common.text_variables import attribute_key, fill, names_in, trigger_key
from services.channel_gateway.domain.content import (
    ButtonCard,
    Card,
    ConditionCard,
    CouponCard,
    FlatCard,
    ImageCard,
    ModuleContent,
    Template,
    TemplateContent,
    TemplateState,
    TextCard,
)
from services.channel_gateway.domain.fitting import misfits
from services.channel_gateway.domain.limits import LIMITS
from services.channel_gateway.domain.model import AccountState, Channel, ConnectionKind, Reason, Send
from services.channel_gateway.domain.prepare import Catalogue, ContentRefusedError, Writer, send_to_nobody
from services.channel_gateway.domain.render import (
    card_text_faults,
    card_texts,
    cards_need_points,
    coupon_cards,
    filled,
    names_points,
    template_needs_points,
    template_texts,
)
from services.channel_gateway.domain.template_shapes import media_faults, shape_faults

NOT_FOUND: Final = "RESOURCE_NOT_FOUND"
NOT_CLAIMABLE: Final = "COUPON_NOT_CLAIMABLE"
_SHORTEST: Final = "x"
"""Stands for every value: what does not fit with this fits with none."""
_KINDS: Final[dict[type, str]] = {
    TextCard: "text",
    ImageCard: "image",
    ButtonCard: "button",
    CouponCard: "coupon",
}
_STATES: Final = {
    AccountState.DISABLED: (Reason.ACCOUNT_DISABLED, "is disabled"),
    AccountState.UNUSABLE: (Reason.ACCOUNT_UNUSABLE, "cannot be used: the channel refuses its connection"),
}


class Finding(NamedTuple):
    """Something that is wrong, or that people should know."""

    field: str
    """Path below what was asked about."""
    reason: str
    """Name of an `ErrorReason`."""
    message: str


class AccountReference(NamedTuple):
    """An account as a target of a journey."""

    channel: Channel
    account_id: UUID


class MessageReference(NamedTuple):
    """A message as a node of a journey has it."""

    channel: Channel
    account_id: UUID | None
    content: ModuleContent | TemplateContent | None
    """None: nothing is named yet."""


class AccountFindings(msgspec.Struct, frozen=True):
    """Of an account."""

    faults: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()


class MessageFindings(msgspec.Struct, frozen=True):
    """Of a message."""

    faults: tuple[Finding, ...] = ()
    attribute_keys: tuple[str, ...] = ()
    needs_points: bool = False
    trigger_keys: tuple[str, ...] = ()
    """Keys of the data of a trigger that its variables name."""
    warnings: tuple[Finding, ...] = ()


def account_findings(
    team_id: UUID, reference: AccountReference, catalogue: Catalogue, senders: Mapping[ConnectionKind, object]
) -> AccountFindings:
    """What is wrong with an account; `senders` are the kinds of connection that this release can send on."""
    account = catalogue.accounts.get((team_id, reference.account_id))
    if account is None:
        return AccountFindings((Finding("", NOT_FOUND, "there is no such account"),))
    if account.channel is not reference.channel:
        message = f"is an account of {account.channel.name}"
        return AccountFindings((Finding("", Reason.CHANNEL_UNSUPPORTED, message),))
    if account.state in _STATES:
        return AccountFindings((Finding("", *_STATES[account.state]),))
    if account.connection.kind not in senders:
        message = "this release cannot send on the channel: messages through it fail"
        return AccountFindings(warnings=(Finding("", Reason.CHANNEL_UNSUPPORTED, message),))
    return AccountFindings()


def message_findings(
    team_id: UUID,
    reference: MessageReference,
    catalogue: Catalogue,
    writer: Writer,
    coupons: Mapping[str, bool],
) -> MessageFindings:
    """What is wrong with a message; `writer` writes for any channel, `coupons` has true for archived ones."""
    match reference.content:
        case None:
            return MessageFindings()
        case TemplateContent() as content:
            template = catalogue.templates.get((team_id, content.template_id))
            return MessageFindings(
                tuple(_template_faults(reference, content, template)),
                _keys(template_texts(content), attribute_key),
                template_needs_points(content),
                _keys(template_texts(content), trigger_key),
                tuple(_unknown_shape(template)),
            )
        case ModuleContent(bot_module_id=module_id):
            module = catalogue.modules.get((team_id, module_id))
            if module is None:
                fault = Finding("bot_module_id", NOT_FOUND, "there is no such bot module")
                return MessageFindings((fault,))
            leaves = list(leaves_of("cards", module.cards))
            texts = [text for _, card in leaves for _, text in card_texts(card)]
            send = send_to_nobody(team_id, reference.channel, reference.content, reference.account_id)
            return MessageFindings(
                (*_card_faults(leaves, send, writer), *_coupon_faults(module.cards, coupons)),
                _keys(texts, attribute_key),
                cards_need_points(module.cards),
                _keys(texts, trigger_key),
            )


def named_coupons(references: Iterable[MessageReference], team_id: UUID, catalogue: Catalogue) -> set[str]:
    """Ids of the coupons that messages offer."""
    modules = (
        catalogue.modules.get((team_id, reference.content.bot_module_id))
        for reference in references
        if isinstance(reference.content, ModuleContent)
    )
    return {card.coupon_id for module in modules if module for _, card in coupon_cards("", module.cards)}


def _template_faults(
    reference: MessageReference, content: TemplateContent, template: Template | None
) -> Iterator[Finding]:
    if template is None:
        yield Finding("template.template_id", NOT_FOUND, "there is no such template")
        return
    if reference.account_id not in (None, template.account_id):
        yield Finding("template.template_id", NOT_FOUND, "is a template of another account")
    if template.state is not TemplateState.APPROVED:
        message = f"is {template.state.name.lower()} at WhatsApp, not approved"
        yield Finding("template.template_id", Reason.TEMPLATE_NOT_APPROVED, message)
    for field, message in shape_faults(template, content):
        # A node lists the parameters of a header, which has one at most.
        named = "header_parameters" if field == "header_parameter" else field
        yield Finding(f"template.{named}", Reason.TEMPLATE_PARAMETERS, message)
    for field, message in media_faults(content.header_media) if content.header_media is not None else ():
        yield Finding(f"template.header_media.{field}", Reason.CONTENT_INVALID, message)


def _unknown_shape(template: Template | None) -> Iterator[Finding]:
    if template is not None and template.shape is None:
        message = (
            "what its header and buttons take is not known here, and only WhatsApp will say: "
            "SyncMessageTemplates brings it"
        )
        yield Finding("template.template_id", Reason.TEMPLATE_PARAMETERS, message)


def _card_faults(
    leaves: Iterable[tuple[str, TextCard | ImageCard | ButtonCard | CouponCard]], send: Send, writer: Writer
) -> Iterator[Finding]:
    for path, card in leaves:
        # A module may be older than the check of what is saved.
        faults = list(card_text_faults(card))
        for field, message in faults:
            yield Finding("bot_module_id", Reason.CONTENT_INVALID, f"{path}.{field}: {message}")
        if not faults and (refusal := _refusal(card, send, writer)):
            yield Finding("bot_module_id", Reason.CONTENT_INVALID, f"{path}: {refusal}")


def _refusal(card: TextCard | ImageCard | ButtonCard | CouponCard, send: Send, writer: Writer) -> str:
    """Why the card can never be sent on the send's channel, whoever gets it; empty if it can."""
    try:
        writer.write_cards(send, "", [_with_shortest(card)])
    except ContentRefusedError as refused:
        return str(refused)
    return ""


def _coupon_faults(cards: Iterable[Card], coupons: Mapping[str, bool]) -> Iterator[Finding]:
    for path, card in coupon_cards("cards", cards):
        if card.coupon_id not in coupons:
            yield Finding("bot_module_id", NOT_FOUND, f"{path}: there is no such coupon")
        elif coupons[card.coupon_id]:
            yield Finding("bot_module_id", NOT_CLAIMABLE, f"{path}: the coupon is archived")


class ChannelMisfit(NamedTuple):
    """What of a module a channel would refuse, whoever gets it."""

    channel: Channel
    field: str
    """Path below the module's cards, which begin with it."""
    message: str


def module_misfits(path: str, cards: Sequence[Card]) -> list[ChannelMisfit]:
    """What of a module does not fit, channel by channel; `path` is that of its cards."""
    shortest = [(below, _with_shortest(card)) for below, card in leaves_of(path, cards)]
    return [
        ChannelMisfit(channel, f"{below}.{misfit.field}", misfit.message)
        for channel in LIMITS
        for below, card in shortest
        for misfit in misfits(channel, card)
    ]


def points_notices(path: str, cards: Sequence[Card], closed: Collection[Channel]) -> list[ChannelMisfit]:
    """What of a module says less on channels where the team has not opened points; `path` is that of its cards."""
    return [
        ChannelMisfit(channel, field, f"points are closed on {LIMITS[channel].name}: {what}")
        for channel in LIMITS
        if channel in closed
        for field, what in _of_points(path, cards)
    ]


def _of_points(path: str, cards: Sequence[Card]) -> Iterator[tuple[str, str]]:
    for below, card in leaves_of(path, cards):
        if isinstance(card, CouponCard):
            yield below, "the coupon is left out"
            continue
        for field, text in card_texts(card):
            if names_points([text]):
                yield f"{below}.{field}", "variables of points take their defaults"


def _with_shortest(card: TextCard | ImageCard | ButtonCard | CouponCard) -> FlatCard:
    """A card filled in so that what does not fit then never does."""
    return filled(card, lambda text: fill(text, lambda _: _SHORTEST))


def leaves_of(
    path: str, cards: Iterable[Card]
) -> Iterator[tuple[str, TextCard | ImageCard | ButtonCard | CouponCard]]:
    """All cards that say something, with their paths."""
    for index, card in enumerate(cards):
        here = f"{path}[{index}]"
        if isinstance(card, ConditionCard):
            yield from leaves_of(f"{here}.condition.then_cards", card.then_cards)
            yield from leaves_of(f"{here}.condition.else_cards", card.else_cards)
        else:
            yield f"{here}.{_KINDS[type(card)]}", card


def _keys(texts: Iterable[str], key_of: Callable[[str], str]) -> tuple[str, ...]:
    keys = (key_of(name) for text in texts for name in names_in(text))
    return tuple(dict.fromkeys(key for key in keys if key))
