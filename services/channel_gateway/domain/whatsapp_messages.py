"""Messages that people write on WhatsApp, as its webhooks have them."""

from __future__ import annotations

import msgspec

from services.channel_gateway.domain.presses import NOT_PRESSED, Pressed, pressed


class _Text(msgspec.Struct, frozen=True):
    body: str = ""


class _TemplateButton(msgspec.Struct, frozen=True):
    payload: str = ""
    text: str = ""


class _Answer(msgspec.Struct, frozen=True):
    id: str = ""
    title: str = ""


class _Interactive(msgspec.Struct, frozen=True):
    button_reply: _Answer | None = None
    list_reply: _Answer | None = None


class _Context(msgspec.Struct, frozen=True):
    id: str = ""


class SystemNotice(msgspec.Struct, frozen=True):
    """Of WhatsApp itself, about a person: by which ids they were known, and are."""

    type: str = ""
    wa_id: str = ""
    """The new number."""
    new_wa_id: str = ""
    """The same, as older versions say it."""
    customer: str = ""
    """The number before, where it is not who the message is from."""
    user_id: str = ""
    previous_user_id: str = ""


class WhatsappMessage(msgspec.Struct, frozen=True, rename={"sender": "from"}):
    """Of a person."""

    id: str
    timestamp: str | int
    """Seconds."""
    sender: str = ""
    """Absent where the person shows no phone number."""
    from_user_id: str = ""
    """What the business knows them by, also without one."""
    type: str = ""
    text: _Text | None = None
    button: _TemplateButton | None = None
    interactive: _Interactive | None = None
    context: _Context | None = None
    system: SystemNotice | None = None


def answered_id(message: WhatsappMessage) -> str:
    """The message that it answers; empty where it names none: what somebody just types does not."""
    return message.context.id if message.context is not None else ""


def said(message: WhatsappMessage) -> tuple[str, Pressed]:
    """What was written, or stands on the button, and what the button carried."""
    match message:
        case WhatsappMessage(type="text", text=_Text(body=body)):
            return body, NOT_PRESSED
        case WhatsappMessage(type="button", button=_TemplateButton(payload=payload, text=label)):
            return label, pressed(payload)
        case WhatsappMessage(type="interactive", interactive=_Interactive() as answered):
            answer = answered.button_reply or answered.list_reply or _Answer()
            return answer.title, pressed(answer.id)
        case _:
            return "", NOT_PRESSED
