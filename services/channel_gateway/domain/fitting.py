"""Whether cards fit a channel, by its limits. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from services.channel_gateway.domain.content import (
    Button,
    ButtonAction,
    ButtonCard,
    FlatCard,
    ImageCard,
    TextCard,
)
from services.channel_gateway.domain.limits import LIMITS, Length, Limits
from services.channel_gateway.domain.model import Channel
from services.channel_gateway.domain.render import BUTTON_FIELDS


class Misfit(NamedTuple):
    """What of a card a channel does not take."""

    field: str
    """Below the card."""
    message: str
    """For people, with what to do; quotes nothing of the content."""


def misfits(channel: Channel, card: FlatCard) -> Iterator[Misfit]:
    """Why the channel would refuse a card that is filled in."""
    limits = LIMITS[channel]
    match card:
        case TextCard():
            replied = limits.replied_text if card.quick_replies else limits.text
            yield from _text(limits, "text", card.text, replied)
            yield from _replies_of(limits, card)
        case ImageCard():
            yield from _long(limits, "image_url", card.image_url, limits.image)
            yield from _long(limits, "preview_url", card.preview_url, limits.image)
            yield from _long(limits, "caption", card.caption, limits.caption or limits.text)
        case ButtonCard():
            yield from _texts_of(limits, card)
            yield from _buttons_of(limits, card)


def is_answers(limits: Limits, card: ButtonCard) -> bool:
    """Whether all buttons of a card go below its text, as answers."""
    return limits.says_below and all(each.action is ButtonAction.MESSAGE for each in card.buttons)


def whole_text(card: ButtonCard) -> str:
    """The text of a card on channels that have no titles."""
    return f"{card.title}\n{card.text}" if card.title else card.text


def _replies_of(limits: Limits, card: TextCard) -> Iterator[Misfit]:
    replies = card.quick_replies
    if len(replies) > limits.quick_replies:
        yield Misfit("quick_replies", f"{limits.name} takes at most {limits.quick_replies}: leave some out")
    for index, reply in enumerate(replies):
        yield from _button(limits, f"quick_replies[{index}]", reply, len(replies))
    if limits.distinct_answers and _alike(replies):
        yield Misfit("quick_replies", _alike_on(limits))
    if limits.is_list(len(replies)) and not card.list_label:
        yield Misfit(
            "list_label",
            f"{limits.name} shows more than {limits.reply_buttons} answers as a list: say what opens it",
        )


def _texts_of(limits: Limits, card: ButtonCard) -> Iterator[Misfit]:
    yield from _long(limits, "image_url", card.image_url, limits.image)
    if limits.title is not None:
        yield from _long(limits, "title", card.title, limits.title)
    text = card.text if limits.title is not None else whole_text(card)
    length = limits.headed_text if card.title or card.image_url else limits.card_text
    yield from _text(limits, "text", text, limits.text if is_answers(limits, card) else length)


def _buttons_of(limits: Limits, card: ButtonCard) -> Iterator[Misfit]:
    links = [each for each in card.buttons if each.action is ButtonAction.URL]
    # Where answers must differ, links go apart.
    counted = len(card.buttons) - (len(links) if limits.distinct_answers else 0)
    most = limits.quick_replies if is_answers(limits, card) else limits.buttons
    if counted > most:
        kind = "answers" if limits.distinct_answers else "buttons"
        yield Misfit("buttons", f"{limits.name} takes at most {most} {kind}: put the others on another card")
    for index, button in enumerate(card.buttons):
        yield from _button(limits, f"buttons[{index}]", button, 0)
    answers = [each for each in card.buttons if each.action is not ButtonAction.URL]
    if limits.distinct_answers and _alike(answers):
        yield Misfit("buttons", _alike_on(limits))


def _alike_on(limits: Limits) -> str:
    return f"{limits.name} takes no two answers alike: give each a label and a value of its own"


def _button(limits: Limits, path: str, button: Button, replies: int) -> Iterator[Misfit]:
    """A button, or one of so many quick replies."""
    yield from _long(limits, f"{path}.label", button.label, limits.label)
    longest = {
        ButtonAction.URL: limits.address,
        ButtonAction.POSTBACK: limits.reply_data(replies, limits.data),
        ButtonAction.MESSAGE: limits.reply_data(replies, limits.said),
    }
    field = f"{path}.{BUTTON_FIELDS[button.action]}"
    yield from _long(limits, field, button.value, longest[button.action])


def _alike(answers: Sequence[Button]) -> bool:
    different = {each.label for each in answers}, {each.value for each in answers}
    return min(map(len, different)) < len(answers)


def _text(limits: Limits, field: str, text: str, length: Length) -> Iterator[Misfit]:
    if not text.strip():
        yield Misfit(field, "a text is empty when filled in: give it words, or its variables a default")
    yield from _long(limits, field, text, length)


def _long(limits: Limits, field: str, text: str, length: Length) -> Iterator[Misfit]:
    if over := length.over(text):
        yield Misfit(field, f"is too long for {limits.name}: {over}, shorten it")
