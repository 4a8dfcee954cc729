"""Proto ⇄ domain for bot modules. Pure; collects every fault of a request."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import content_pb2
from services.channel_gateway.domain.addresses import has_host, plain_address
from services.channel_gateway.domain.content import (
    BotModule,
    Button,
    ButtonAction,
    ButtonCard,
    Card,
    ConditionCard,
    CouponCard,
    ImageCard,
    PointComparison,
    PointFigure,
    TextCard,
)
from services.channel_gateway.domain.model import Channel
from services.channel_gateway.domain.references import ChannelMisfit, module_misfits, points_notices
from services.channel_gateway.domain.render import card_text_faults, coupon_cards

NAME_MAX: Final = 100
CARDS_MAX: Final = 20
BRANCH_CARDS_MAX: Final = 10
CARD_DEPTH_MAX: Final = 4
COUPONS_MAX: Final = 50
"""Different coupons of a module: points is asked for each when it is written."""
"""Condition cards inside condition cards."""
BUTTONS_MAX: Final = 4
QUICK_REPLIES_MAX: Final = 13
LABEL_MAX: Final = 20
URL_MAX: Final = 2_000


def module_cards_of(
    check: FieldCheck, messages: Sequence[content_pb2.Card], *, least: int
) -> tuple[Card, ...]:
    """The cards of a bot module, as the field `module.cards`."""
    cards = cards_of(check, "module.cards", messages, least=least, most=CARDS_MAX)
    if len({card.coupon_id for _, card in coupon_cards("", cards)}) > COUPONS_MAX:
        check.fault("module.cards", f"may name at most {COUPONS_MAX} different coupons")
    return cards


def cards_of(
    check: FieldCheck,
    path: str,
    messages: Sequence[content_pb2.Card],
    *,
    least: int,
    most: int,
    depth: int = 0,
    ends: bool = True,
) -> tuple[Card, ...]:
    """Cards in order, each checked with what is inside. `ends`: nothing is sent after them."""
    check.count(path, messages, least=least, most=most)
    if depth > CARD_DEPTH_MAX:
        check.fault(path, f"conditions stand at most {CARD_DEPTH_MAX} deep in each other")
        return ()
    cards = (
        _card_of(check, f"{path}[{index}]", message, depth, ends=ends and index == len(messages) - 1)
        for index, message in enumerate(messages)
    )
    return tuple(card for card in cards if card is not None)


def _card_of(
    check: FieldCheck, path: str, message: content_pb2.Card, depth: int, *, ends: bool
) -> Card | None:
    kind = message.WhichOneof("kind")
    card: Card
    match kind:
        case "text":
            card = _text_of(check, f"{path}.text", message.text, ends=ends)
        case "image":
            card = _image_of(check, f"{path}.image", message.image)
        case "button":
            card = _button_card_of(check, f"{path}.button", message.button)
        case "condition":
            card = _condition_of(check, f"{path}.condition", message.condition, depth, ends=ends)
        case "coupon":
            card = _coupon_of(check, f"{path}.coupon", message.coupon)
        case _:
            check.fault(path, "needs one of text, image, button, condition and coupon")
            return None
    for field, fault in card_text_faults(card):
        check.fault(f"{path}.{kind}.{field}", fault)
    return card


def _text_of(check: FieldCheck, path: str, message: content_pb2.TextCard, *, ends: bool) -> TextCard:
    replies = f"{path}.quick_replies"
    check.count(replies, message.quick_replies, most=QUICK_REPLIES_MAX)
    if message.quick_replies and not ends:
        check.fault(replies, "stand on the last card only: what is sent after it would hide them")
    for index, reply in enumerate(message.quick_replies):
        if reply.WhichOneof("action") == "url":
            check.fault(
                f"{replies}[{index}].url", "is possible on buttons only: give postback_data or message_text"
            )
    return TextCard(
        check.text(f"{path}.text", message.text, length_max=4_096),
        tuple(
            _button_of(check, f"{replies}[{index}]", reply)
            for index, reply in enumerate(message.quick_replies)
        ),
        check.text(f"{path}.list_label", message.list_label, length_max=LABEL_MAX, length_min=0),
    )


def _image_of(check: FieldCheck, path: str, message: content_pb2.ImageCard) -> ImageCard:
    _check_url(check, f"{path}.image_url", message.image_url, ("https",))
    if message.preview_url:
        _check_url(check, f"{path}.preview_url", message.preview_url, ("https",))
    check.text(f"{path}.caption", message.caption, length_max=1_024, length_min=0)
    return ImageCard(message.image_url, message.preview_url, message.caption)


def _button_card_of(check: FieldCheck, path: str, message: content_pb2.ButtonCard) -> ButtonCard:
    check.count(f"{path}.buttons", message.buttons, least=1, most=BUTTONS_MAX)
    if message.image_url:
        _check_url(check, f"{path}.image_url", message.image_url, ("https",))
    return ButtonCard(
        text=check.text(f"{path}.text", message.text, length_max=1_024),
        buttons=tuple(
            _button_of(check, f"{path}.buttons[{index}]", button)
            for index, button in enumerate(message.buttons)
        ),
        title=check.text(f"{path}.title", message.title, length_max=40, length_min=0),
        image_url=message.image_url,
    )


def _button_of(check: FieldCheck, path: str, message: content_pb2.Button) -> Button:
    label = check.text(f"{path}.label", message.label, length_max=LABEL_MAX)
    match message.WhichOneof("action"):
        case "url":
            _check_url(check, f"{path}.url", message.url, ("https", "http"))
            return Button(label, ButtonAction.URL, message.url)
        case "postback_data":
            data = check.text(f"{path}.postback_data", message.postback_data, length_max=256)
            return Button(label, ButtonAction.POSTBACK, data)
        case "message_text":
            text = check.text(f"{path}.message_text", message.message_text, length_max=300)
            return Button(label, ButtonAction.MESSAGE, text)
        case _:
            check.fault(f"{path}.action", "is required: url, postback_data or message_text")
            return Button(label, ButtonAction.MESSAGE, label)


def _condition_of(
    check: FieldCheck, path: str, message: content_pb2.ConditionCard, depth: int, *, ends: bool
) -> ConditionCard:
    if not message.figure:
        check.fault(f"{path}.figure", "is required")
    if not message.comparison:
        check.fault(f"{path}.comparison", "is required")
    check.whole(f"{path}.value", message.value, least=0, most=10**15)
    if message.comparison == content_pb2.POINT_COMPARISON_BETWEEN:
        check.whole(f"{path}.value_max", message.value_max, least=message.value, most=10**15)

    def inner(branch: str, cards: Sequence[content_pb2.Card]) -> tuple[Card, ...]:
        return cards_of(
            check, f"{path}.{branch}", cards, least=0, most=BRANCH_CARDS_MAX, depth=depth + 1, ends=ends
        )

    return ConditionCard(
        PointFigure(message.figure or PointFigure.BALANCE),
        PointComparison(message.comparison or PointComparison.AT_LEAST),
        message.value,
        message.value_max,
        inner("then_cards", message.then_cards),
        inner("else_cards", message.else_cards),
    )


def _coupon_of(check: FieldCheck, path: str, message: content_pb2.CouponCard) -> CouponCard:
    return CouponCard(
        str(check.uuid(f"{path}.coupon_id", message.coupon_id)),
        check.text(f"{path}.text", message.text, length_max=1_024),
        check.text(f"{path}.button_label", message.button_label, length_max=LABEL_MAX),
    )


def _check_url(check: FieldCheck, field: str, text: str, schemes: tuple[str, ...]) -> None:
    is_good = has_host(plain_address(text), schemes)
    if not is_good or not text.isprintable() or len(text) > URL_MAX:
        check.fault(field, f"must be an address {' or '.join(schemes)}://… of at most {URL_MAX} characters")


def module_message(module: BotModule) -> content_pb2.BotModule:
    """A bot module."""
    return content_pb2.BotModule(
        bot_module_id=str(module.bot_module_id),
        team_id=str(module.team_id),
        name=module.name,
        cards=_card_messages(module.cards),
        create_time=timestamp(module.created_at),
        update_time=timestamp(module.updated_at),
        etag=str(module.version),
    )


def misfit_messages(module: BotModule) -> list[content_pb2.ContentMisfit]:
    """What of a bot module each channel would refuse, whoever gets it."""
    return [_misfit_message(misfit) for misfit in module_misfits("module.cards", module.cards)]


def notice_messages(module: BotModule, closed: Collection[Channel]) -> list[content_pb2.ContentMisfit]:
    """What of a bot module says less on channels where points are closed."""
    return [_misfit_message(each) for each in points_notices("module.cards", module.cards, closed)]


def _misfit_message(misfit: ChannelMisfit) -> content_pb2.ContentMisfit:
    return content_pb2.ContentMisfit(
        channel=int(misfit.channel),  # type: ignore[arg-type]  # the enums have the same numbers
        field=misfit.field,
        message=misfit.message,
    )


def _card_messages(cards: Iterable[Card]) -> list[content_pb2.Card]:
    return [_card_message(card) for card in cards]


def _card_message(card: Card) -> content_pb2.Card:
    if isinstance(card, TextCard):
        replies = [_button_message(each) for each in card.quick_replies]
        text = content_pb2.TextCard(text=card.text, quick_replies=replies, list_label=card.list_label)
        return content_pb2.Card(text=text)
    if isinstance(card, ImageCard):
        image = content_pb2.ImageCard(
            image_url=card.image_url, preview_url=card.preview_url, caption=card.caption
        )
        return content_pb2.Card(image=image)
    if isinstance(card, ButtonCard):
        button = content_pb2.ButtonCard(
            title=card.title,
            text=card.text,
            image_url=card.image_url,
            buttons=[_button_message(b) for b in card.buttons],
        )
        return content_pb2.Card(button=button)
    if isinstance(card, CouponCard):
        coupon = content_pb2.CouponCard(
            coupon_id=card.coupon_id, text=card.text, button_label=card.button_label
        )
        return content_pb2.Card(coupon=coupon)
    condition = content_pb2.ConditionCard(
        figure=int(card.figure),  # type: ignore[arg-type]  # the enums have the same numbers
        comparison=int(card.comparison),  # type: ignore[arg-type]  # the enums have the same numbers
        value=card.value,
        value_max=card.value_max,
        then_cards=_card_messages(card.then_cards),
        else_cards=_card_messages(card.else_cards),
    )
    return content_pb2.Card(condition=condition)


def _button_message(button: Button) -> content_pb2.Button:
    match button.action:
        case ButtonAction.URL:
            return content_pb2.Button(label=button.label, url=button.value)
        case ButtonAction.POSTBACK:
            return content_pb2.Button(label=button.label, postback_data=button.value)
        case ButtonAction.MESSAGE:
            return content_pb2.Button(label=button.label, message_text=button.value)
