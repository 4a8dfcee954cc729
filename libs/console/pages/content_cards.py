"""The cards of a bot module as fields of a form: each has a place, and what the form cannot show is carried along."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from libs.console.forms import number_of
from libs.console.languages import noted
from omnijourney.channel_gateway.v1 import content_pb2
from omnijourney.channel_gateway.v1.content_pb2 import (
    Button,
    ButtonCard,
    Card,
    ConditionCard,
    CouponCard,
    ImageCard,
    PointComparison,
    PointFigure,
    TextCard,
)

CARDS_MAX: Final = 20
BUTTONS_MAX: Final = 4
KINDS: Final = {
    "text": noted("Text"),
    "image": noted("Picture"),
    "button": noted("Text with buttons"),
    "coupon": noted("Coupon"),
    "points": noted("By points"),
}
FIGURES: Final[Mapping[PointFigure.ValueType, str]] = {
    content_pb2.POINT_FIGURE_BALANCE: noted("Point balance"),
    content_pb2.POINT_FIGURE_CUMULATIVE: noted("Cumulative points"),
}
COMPARISONS: Final[Mapping[PointComparison.ValueType, str]] = {
    content_pb2.POINT_COMPARISON_AT_LEAST: noted("is at least"),
    content_pb2.POINT_COMPARISON_AT_MOST: noted("is at most"),
    content_pb2.POINT_COMPARISON_EQUAL: noted("is"),
    content_pb2.POINT_COMPARISON_BETWEEN: noted("is from … to …"),
}
ACTIONS: Final = {
    "url": noted("Opens an address"),
    "message_text": noted("Says a text"),
    "postback_data": noted("Sends data back"),
}


@dataclass(slots=True)
class Cards:
    """In their order; each as texts by field."""

    rows: list[dict[str, str]]

    @classmethod
    def of(cls, cards: Iterable[Card]) -> Cards:
        """Of a module."""
        return cls([_row(card) for card in cards])

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Cards:
        """Of a form."""
        rows = []
        for place in range(CARDS_MAX):
            prefix = f"card-{place}-"
            row = {name.removeprefix(prefix): text for name, text in given.items() if name.startswith(prefix)}
            if row:
                rows.append(row)
        return cls(rows)

    def is_changed_by(self, action: str) -> bool:
        """Adds or takes away a card, if that is what a button of the form asks."""
        verb, _, what = action.partition("-")
        if verb == "add" and what in KINDS and len(self.rows) < CARDS_MAX:
            self.rows.append({"kind": what})
            return True
        if verb == "remove" and what.isdigit() and int(what) < len(self.rows):
            del self.rows[int(what)]
            return True
        return False

    def messages(self) -> list[Card]:
        """For a request."""
        return [_card(row) for row in self.rows]

    def names(self) -> dict[str, str]:
        """Where the faults of a request stand in the form."""
        names = {"module.name": "name"}
        for place, row in enumerate(self.rows):
            path, field = f"module.cards[{place}]", f"card-{place}"
            kind = row.get("kind", "")
            names[path] = f"{field}-{_FIRST.get(kind, 'text')}"
            for part in ("title", "text", "image_url", "caption", "coupon_id", "button_label"):
                names[f"{path}.{kind}.{part}"] = f"{field}-{part}"
            for part in ("figure", "comparison", "value", "value_max", "then_cards", "else_cards"):
                names[f"{path}.condition.{part}"] = f"{field}-{part}"
            for index, number in enumerate(_filled(row)):
                button = f"{path}.button.buttons[{index}]"
                names[button] = f"{field}-value-{number}"
                names[f"{button}.label"] = f"{field}-label-{number}"
        return names


_FIRST: Final = {"image": "image_url", "coupon": "coupon_id", "points": "value"}
"""Where what is wrong with a whole card is said; under its text for the others."""


def _row(card: Card) -> dict[str, str]:
    """As fields, where they say all of it; else as it is."""
    row = _fields(card)
    if row and _card(row) == card:
        return row
    return {"kind": "kept", "content": base64.b64encode(card.SerializeToString()).decode()}


def _fields(card: Card) -> dict[str, str]:
    kind = card.WhichOneof("kind") or "text"
    if kind == "coupon":
        coupon = card.coupon
        return {
            "kind": kind,
            "coupon_id": coupon.coupon_id,
            "text": coupon.text,
            "button_label": coupon.button_label,
        }
    if kind == "condition":
        return {
            "kind": "points",
            "figure": str(card.condition.figure),
            "comparison": str(card.condition.comparison),
            "value": str(card.condition.value),
            "value_max": str(card.condition.value_max or ""),
            "then_cards": "".join(each.text.text for each in card.condition.then_cards),
            "else_cards": "".join(each.text.text for each in card.condition.else_cards),
        }
    if kind == "text":
        return {"kind": kind, "text": card.text.text}
    if kind == "image":
        return {"kind": kind, "image_url": card.image.image_url, "caption": card.image.caption}
    row = {"kind": kind, "title": card.button.title, "text": card.button.text}
    row["image_url"] = card.button.image_url
    for number, button in enumerate(card.button.buttons):
        action = button.WhichOneof("action") or "url"
        row |= {
            f"label-{number}": button.label,
            f"action-{number}": action,
            f"value-{number}": str(getattr(button, action)),
        }
    return row


def _filled(row: Mapping[str, str]) -> list[int]:
    """The places of the buttons of which anything is filled in."""
    return [
        number
        for number in range(BUTTONS_MAX)
        if row.get(f"label-{number}", "").strip() or row.get(f"value-{number}", "").strip()
    ]


def _card(row: Mapping[str, str]) -> Card:
    kind = row.get("kind", "")
    if kind == "kept":
        try:
            return Card.FromString(base64.b64decode(row.get("content", ""), validate=True))
        except (DecodeError, binascii.Error, ValueError):
            return Card()
    if kind == "coupon":
        text, label = row.get("text", ""), row.get("button_label", "").strip()
        return Card(coupon=CouponCard(coupon_id=row.get("coupon_id", ""), text=text, button_label=label))
    if kind == "points":
        return Card(condition=_condition(row))
    if kind == "image":
        return Card(
            image=ImageCard(image_url=row.get("image_url", "").strip(), caption=row.get("caption", ""))
        )
    if kind == "button":
        card = ButtonCard(
            title=row.get("title", ""), text=row.get("text", ""), image_url=row.get("image_url", "").strip()
        )
        for number in _filled(row):
            button = Button(label=row.get(f"label-{number}", "").strip())
            action = row.get(f"action-{number}", "url")
            setattr(button, action if action in ACTIONS else "url", row.get(f"value-{number}", "").strip())
            card.buttons.append(button)
        return Card(button=card)
    return Card(text=TextCard(text=row.get("text", "")))


def _condition(row: Mapping[str, str]) -> ConditionCard:
    """Two texts, of which either may be empty: then nothing is sent."""
    figure, comparison = number_of(row.get("figure", "")), number_of(row.get("comparison", ""))
    return ConditionCard(
        figure=PointFigure.ValueType(figure if figure in FIGURES else 0),
        comparison=PointComparison.ValueType(comparison if comparison in COMPARISONS else 0),
        # What is no number is refused as a negative one is.
        value=number_of(row.get("value", "")) if row.get("value", "").strip().isdecimal() else -1,
        value_max=number_of(row.get("value_max", "")),
        then_cards=_texts(row.get("then_cards", "")),
        else_cards=_texts(row.get("else_cards", "")),
    )


def _texts(text: str) -> list[Card]:
    return [Card(text=TextCard(text=text))] if text.strip() else []
