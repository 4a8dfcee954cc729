"""Filling texts in: variables, their defaults, and cards that depend on the customer."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from libs.common.text import shows
from libs.common.text_variables import (
    ATTRIBUTE,
    BALANCE,
    CUMULATIVE,
    CUSTOMER_NAME,
    POINTS,
    TRIGGER,
    faults_in,
    fill,
    names_in,
)
from services.channel_gateway.domain.addresses import plain_address
from services.channel_gateway.domain.content import (
    Button,
    ButtonAction,
    ButtonCard,
    Card,
    ConditionCard,
    CouponCard,
    FlatCard,
    ImageCard,
    PointComparison,
    PointFigure,
    TemplateContent,
    TextCard,
)
from services.channel_gateway.domain.coupon_presses import claim_data
from services.channel_gateway.domain.model import Balance, Profile

BUTTON_FIELDS: Final = {
    ButtonAction.URL: "url",
    ButtonAction.POSTBACK: "postback_data",
    ButtonAction.MESSAGE: "message_text",
}
"""Where the contract has what a button does."""


class Values:
    """One customer's values for variables."""

    def __init__(
        self,
        profile: Profile,
        balance: Balance | None,
        *,
        points_open: bool = True,
        trigger_data: Mapping[str, str] | None = None,
    ) -> None:
        """`balance` None: nothing asked for points. Then, and where the team has not opened points to the channel,
        a points variable takes its default; there coupons are left out, too. `trigger_data` is what the trigger that
        let the customer in came with."""
        self._profile = profile
        self._trigger_data = trigger_data
        self.balance = balance
        self.points_open = points_open

    def get(self, name: str) -> str:
        """The value of a variable; empty when there is none, or no such variable."""
        if name == CUSTOMER_NAME:
            return self._profile.name
        if name.startswith(ATTRIBUTE):
            return self._profile.attributes.get(name.removeprefix(ATTRIBUTE), "")
        if name.startswith(TRIGGER):
            return (self._trigger_data or {}).get(name.removeprefix(TRIGGER), "")
        if self.balance is None or not self.points_open:
            return ""
        if name == BALANCE:
            return str(self.balance.balance)
        return str(self.balance.cumulative) if name == CUMULATIVE else ""


def names_points(texts: Iterable[str]) -> bool:
    """Whether any text has a variable of points."""
    return any(name.startswith(POINTS) for text in texts for name in names_in(text))


def cards_need_points(cards: Iterable[Card]) -> bool:
    """Whether cards can only be filled in with the customer's points, or are shown only where points are open."""
    return any(
        isinstance(card, ConditionCard | CouponCard) or names_points(text for _, text in card_texts(card))
        for card in cards
    )


def template_needs_points(content: TemplateContent) -> bool:
    """Whether a template's parameters name the customer's points."""
    return names_points(template_texts(content))


def cards_need_attributes(cards: Iterable[Card]) -> bool:
    """Whether cards, or cards inside them, can only be filled in with the customer's attributes."""
    return any(
        cards_need_attributes((*card.then_cards, *card.else_cards))
        if isinstance(card, ConditionCard)
        else _names_attributes(text for _, text in card_texts(card))
        for card in cards
    )


def template_needs_attributes(content: TemplateContent) -> bool:
    """Whether a template's parameters name the customer's attributes."""
    return _names_attributes(template_texts(content))


def _names_attributes(texts: Iterable[str]) -> bool:
    return any(name.startswith(ATTRIBUTE) for text in texts for name in names_in(text))


def template_texts(content: TemplateContent) -> list[str]:
    """What may hold variables of a template's content."""
    media = content.header_media
    return [
        *content.parameters,
        content.header_parameter,
        *dict(content.button_parameters).values(),
        *((media.url, media.filename) if media is not None else ()),
    ]


def card_texts(card: Card) -> Iterator[tuple[str, str]]:
    """(field, text) of the texts of one card that may hold variables; not those of cards inside it."""
    if isinstance(card, TextCard):
        yield "text", card.text
    elif isinstance(card, ImageCard):
        yield "caption", card.caption
    elif isinstance(card, ButtonCard):
        yield "title", card.title
        yield "text", card.text
    elif isinstance(card, CouponCard):
        yield "text", card.text


def fixed_texts(card: Card) -> Iterator[tuple[str, str]]:
    """(field, text) of the texts of one card that go out as they stand; not those of cards inside it."""
    if isinstance(card, ButtonCard):
        yield from _button_texts("buttons", card.buttons)
    elif isinstance(card, TextCard):
        yield from _button_texts("quick_replies", card.quick_replies)
        yield "list_label", card.list_label
    elif isinstance(card, CouponCard):
        yield "button_label", card.button_label


def _button_texts(field: str, buttons: Iterable[Button]) -> Iterator[tuple[str, str]]:
    for index, button in enumerate(buttons):
        yield f"{field}[{index}].label", button.label
        yield f"{field}[{index}].{BUTTON_FIELDS[button.action]}", button.value


def card_text_faults(card: Card) -> Iterator[tuple[str, str]]:
    """(field, what is wrong) of variables in the texts of one card that nothing will fill in; a card that has some is
    refused when saved."""
    for field, text in card_texts(card):
        for fault in faults_in(text):
            yield field, fault.message
    for field, text in fixed_texts(card):
        # An address may hold what looks like a variable elsewhere.
        for fault in faults_in(text, ()) if "{{" in text or not field.endswith(("url", "data")) else ():
            yield field, fault.message


def coupon_cards(path: str, cards: Iterable[Card]) -> Iterator[tuple[str, CouponCard]]:
    """The coupon cards among cards and inside them, each by the path of its coupon's id."""
    for index, card in enumerate(cards):
        here = f"{path}[{index}]"
        if isinstance(card, CouponCard):
            yield f"{here}.coupon.coupon_id", card
        elif isinstance(card, ConditionCard):
            yield from coupon_cards(f"{here}.condition.then_cards", card.then_cards)
            yield from coupon_cards(f"{here}.condition.else_cards", card.else_cards)


def flatten(cards: Iterable[Card], values: Values) -> list[FlatCard]:
    """The cards that this customer gets, filled in: conditions decided, coupons turned into buttons."""
    flat: list[FlatCard] = []
    for card in cards:
        if isinstance(card, ConditionCard):
            chosen = card.then_cards if holds(card, values.balance or Balance()) else card.else_cards
            flat.extend(flatten(chosen, values))
        elif values.points_open or not isinstance(card, CouponCard):
            flat.append(filled(card, lambda text: fill(text, values.get)))
    return flat


def filled(card: TextCard | ImageCard | ButtonCard | CouponCard, fill_text: Callable[[str], str]) -> FlatCard:
    """One card with its texts filled in, its addresses as channels take them; a coupon becomes a button."""
    if isinstance(card, TextCard):
        return msgspec.structs.replace(card, text=fill_text(card.text))
    if isinstance(card, ImageCard):
        picture, preview = plain_address(card.image_url), plain_address(card.preview_url)
        return ImageCard(picture, preview, _seen(fill_text(card.caption)))
    if isinstance(card, ButtonCard):
        buttons = tuple(map(_addressed, card.buttons))
        title, text = _seen(fill_text(card.title)), fill_text(card.text)
        return ButtonCard(text=text, buttons=buttons, title=title, image_url=plain_address(card.image_url))
    claim = Button(card.button_label, ButtonAction.POSTBACK, claim_data(card.coupon_id))
    return ButtonCard(text=fill_text(card.text), buttons=(claim,))


def _seen(text: str) -> str:
    """A text that may be left out; empty where there is nothing in it to see, which no channel takes."""
    return text if shows(text) else ""


def _addressed(button: Button) -> Button:
    if button.action is not ButtonAction.URL or (address := plain_address(button.value)) == button.value:
        return button
    return Button(button.label, button.action, address)


def holds(card: ConditionCard, balance: Balance) -> bool:
    """Whether the comparison of a condition card is true for these points."""
    figure = balance.balance if card.figure is PointFigure.BALANCE else balance.cumulative
    match card.comparison:
        case PointComparison.AT_LEAST:
            return figure >= card.value
        case PointComparison.AT_MOST:
            return figure <= card.value
        case PointComparison.BETWEEN:
            return card.value <= figure <= card.value_max
        case PointComparison.EQUAL:
            return figure == card.value
