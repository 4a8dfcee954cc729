"""What channels are sent, as a phone shows it: bubbles of texts, pictures and what can be pressed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message on the screen; empty is what it has not."""

    text: str = ""
    title: str = ""
    picture: str = ""
    """Its address."""
    presses: tuple[str, ...] = ()
    """What stands on its buttons."""
    answers: tuple[str, ...] = ()
    """Answers to choose from, below it."""


def bubbles_of(requests: Iterable[str]) -> list[Bubble]:
    """Of the bodies that `PreviewBotModule` answers, as LINE, WhatsApp, Messenger and Instagram take them."""
    return [bubble for request in requests for bubble in _bubbles(json.loads(request))]


def _bubbles(body: Mapping[str, Any]) -> Iterator[Bubble]:
    if "messages" in body:
        yield from map(_of_line, body["messages"])
    elif "message" in body:
        yield _of_page(body["message"])
    else:
        yield _of_whatsapp(body)


def _of_line(message: Mapping[str, Any]) -> Bubble:
    if message["type"] == "image":
        return Bubble(picture=message["originalContentUrl"])
    if message["type"] == "template":
        template = message["template"]
        return Bubble(
            text=template["text"],
            title=template.get("title", ""),
            picture=template.get("thumbnailImageUrl", ""),
            presses=tuple(action["label"] for action in template["actions"]),
        )
    items = message.get("quickReply", {}).get("items", ())
    return Bubble(text=message["text"], answers=tuple(item["action"]["label"] for item in items))


def _of_whatsapp(body: Mapping[str, Any]) -> Bubble:
    if body["type"] == "text":
        return Bubble(text=body["text"]["body"])
    if body["type"] == "image":
        return Bubble(text=body["image"].get("caption", ""), picture=body["image"]["link"])
    whole = body["interactive"]
    text, action = whole["body"]["text"], whole["action"]
    if whole["type"] == "list":
        rows = (row["title"] for section in action["sections"] for row in section["rows"])
        return Bubble(text=text, presses=(action["button"],), answers=tuple(rows))
    if whole["type"] == "cta_url":
        return Bubble(text=text, presses=(action["parameters"]["display_text"],))
    picture = whole.get("header", {}).get("image", {}).get("link", "")
    replies = tuple(button["reply"]["title"] for button in action["buttons"])
    return Bubble(text=text, picture=picture, presses=replies)


def _of_page(message: Mapping[str, Any]) -> Bubble:
    if "attachment" not in message:
        answers = tuple(reply["title"] for reply in message.get("quick_replies", ()))
        return Bubble(text=message["text"], answers=answers)
    payload = message["attachment"]["payload"]
    if message["attachment"]["type"] == "image":
        return Bubble(picture=payload["url"])
    if payload["template_type"] == "button":
        return Bubble(text=payload["text"], presses=_titles(payload))
    (element,) = payload["elements"]
    return Bubble(
        text=element.get("subtitle", ""),
        title=element["title"],
        picture=element.get("image_url", ""),
        presses=_titles(element),
    )


def _titles(part: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(button["title"] for button in part["buttons"])
