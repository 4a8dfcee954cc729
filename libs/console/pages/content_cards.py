"""The cards of a bot module as fields of a form: each has a place, and what the form cannot show is carried along."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from libs.console.languages import noted
from omnijourney.channel_gateway.v1.content_pb2 import Button, ButtonCard, Card, ImageCard, TextCard

CARDS_MAX: Final = 20
BUTTONS_MAX: Final = 4
KINDS: Final = {"text": noted("Text"), "image": noted("Picture"), "button": noted("Text with buttons")}
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
            names[path] = f"{field}-{'image_url' if kind == 'image' else 'text'}"
            for part in ("title", "text", "image_url", "caption"):
                names[f"{path}.{kind}.{part}"] = f"{field}-{part}"
            for index, number in enumerate(_filled(row)):
                button = f"{path}.button.buttons[{index}]"
                names[button] = f"{field}-value-{number}"
                names[f"{button}.label"] = f"{field}-label-{number}"
        return names


def _row(card: Card) -> dict[str, str]:
    kind = card.WhichOneof("kind") or "text"
    if kind == "text":
        return {"kind": kind, "text": card.text.text}
    if kind == "image":
        return {"kind": kind, "image_url": card.image.image_url, "caption": card.image.caption}
    if kind != "button":
        return {"kind": "kept", "content": base64.b64encode(card.SerializeToString()).decode()}
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
