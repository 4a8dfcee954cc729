"""What a command answers: a line for people, or the contract's message as JSON for programs."""

from __future__ import annotations

import json

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from libs.cli.console import say


def tell(message: Message, line: str, *, as_json: bool) -> None:
    """What a command answers: the line, or the message as JSON."""
    say(json_of(message) if as_json else line)


def json_about(message: Message, **about: str) -> str:
    """As `json_of`, with fields before it that say what the message is about."""
    return json.dumps({**about, **json.loads(json_of(message))}, ensure_ascii=False)


def json_of(message: Message) -> str:
    """One line, with the names and forms of the contract."""
    return str(MessageToJson(message, preserving_proto_field_name=True, indent=None, ensure_ascii=False))
