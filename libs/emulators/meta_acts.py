"""What people do on WhatsApp, Messenger and Instagram, as Meta tells it."""

from typing import Any

from libs.emulators.whatsapp_templates import Template

CHANGED = "messages"
"""The field of what people write and of what became of messages."""
DISPLAY_NUMBER = "15550783881"
"""Of all emulated numbers."""


def envelope(name: str, *entries: dict[str, Any]) -> dict[str, Any]:
    """A body."""
    return {"object": name, "entry": list(entries)}


def number_entry(
    waba_id: str, phone_number_id: str, value: dict[str, Any], field: str = CHANGED
) -> dict[str, Any]:
    """An entry of a business account, about one of its numbers."""
    metadata = {"display_phone_number": DISPLAY_NUMBER, "phone_number_id": phone_number_id}
    whole = {"messaging_product": "whatsapp", "metadata": metadata, **value}
    return {"id": waba_id, "changes": [{"field": field, "value": whole}]}


def inbound_value(wa_id: str, name: str, message: dict[str, Any]) -> dict[str, Any]:
    """Of a person who wrote. Since April 2026 people have an id of the business's beside their number."""
    own_id = f"US.{wa_id}"
    contact = {"profile": {"name": name}, "wa_id": wa_id, "user_id": own_id}
    return {"contacts": [contact], "messages": [{**message, "from": wa_id, "from_user_id": own_id}]}


def said(act: dict[str, Any], answered: str) -> dict[str, Any]:
    """What somebody wrote, with the message that it answers if they named one, or the button or the row that they
    pressed of an interactive message, which is `answered`."""
    for kind, form in (("button", "button_reply"), ("row", "list_reply")):
        if (choice := act.get(kind)) is not None:
            reply = {"id": str(choice["id"]), "title": str(choice["title"])}
            context = {"from": DISPLAY_NUMBER, "id": answered}
            return {"context": context, "type": "interactive", "interactive": {"type": form, form: reply}}
    text = {"type": "text", "text": {"body": str(act.get("text", "hi"))}}
    if "answers" in act:
        text["context"] = {"from": DISPLAY_NUMBER, "id": str(act["answers"])}
    return text


def moved_value(wa_id: str, new_wa_id: str, message_id: str, at_s: int) -> dict[str, Any]:
    """Of a person who changed their number: the business's id of them is another one, too."""
    system = {
        "type": "user_changed_number",
        "body": f"Person {wa_id[-4:]} changed from {wa_id} to {new_wa_id}",
        "wa_id": new_wa_id,
        "user_id": f"US.{new_wa_id}",
        "previous_user_id": f"US.{wa_id}",
    }
    message = {"from": wa_id, "id": message_id, "timestamp": str(at_s), "type": "system", "system": system}
    return {"messages": [message]}


def preference_value(wa_id: str, value: str, at_s: int) -> dict[str, Any]:
    """Of a person who wants marketing messages no more, or again: `stop`, `resume`."""
    preference = {
        "wa_id": wa_id,
        "user_id": f"US.{wa_id}",
        "detail": f"User requested to {value} marketing messages",
        "category": "marketing_messages",
        "value": value,
        "timestamp": at_s,
    }
    contact = {"profile": {"name": f"Person {wa_id[-4:]}"}, "wa_id": wa_id, "user_id": f"US.{wa_id}"}
    return {"contacts": [contact], "user_preferences": [preference]}


def template_entry(template: Template, at_s: int) -> dict[str, Any]:
    """An entry of a business account about the status of one of its templates."""
    value = {
        "event": template.status,
        "message_template_id": int(template.template_id),
        "message_template_name": template.name,
        "message_template_language": template.language,
        "message_template_category": template.category,
        "reason": template.rejected_reason,
    }
    change = {"field": "message_template_status_update", "value": value}
    return {"id": template.waba_id, "time": at_s, "changes": [change]}


def talk_entry(page_id: str, person_id: str, at_ms: int, what: dict[str, Any]) -> dict[str, Any]:
    """An entry of a page or an Instagram account; `what` is a message, a postback, a receipt."""
    event = {"sender": {"id": person_id}, "recipient": {"id": page_id}, "timestamp": at_ms, **what}
    return {"id": page_id, "time": at_ms, "messaging": [event]}
