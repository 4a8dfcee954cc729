"""What the WhatsApp emulator knows: senders, templates, people's windows and opt-outs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from libs.emulators.base import parse_time
from libs.emulators.meta_errors import MetaError
from libs.emulators.whatsapp_templates import NO_REASON, Template, parse_template

WINDOW = timedelta(hours=24)
"""How long after a person's last message everything may be sent."""


@dataclass(frozen=True, slots=True)
class Sender:
    """One phone number of one business account."""

    phone_number_id: str
    waba_id: str
    token: str
    payment_ok: bool = True


@dataclass(slots=True)
class WhatsAppState:
    """All memory of the WhatsApp emulator; rebuilt from its journal of commands."""

    first: Sender
    senders: dict[str, Sender] = field(default_factory=dict)
    templates: dict[tuple[str, str, str], Template] = field(default_factory=dict)
    last_inbound: dict[str, datetime] = field(default_factory=dict)
    opted_out: set[str] = field(default_factory=set)
    undeliverable: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Back to a first start: one sender, no template, nobody ever wrote."""
        self.senders = {self.first.phone_number_id: self.first}
        self.templates.clear()
        self.last_inbound.clear()
        self.opted_out.clear()
        self.undeliverable.clear()

    def business_of(self, waba_id: str, token: str) -> None:
        """Checks that `token` may manage `waba_id`; raises MetaError 190 or 100."""
        senders = [s for s in self.senders.values() if s.waba_id == waba_id]
        if not senders:
            raise MetaError(100, f"Object with ID '{waba_id}' does not exist")
        if token not in {s.token for s in senders}:
            raise MetaError(190, "Error validating access token")

    def sender_of(self, phone_number_id: str, token: str) -> Sender:
        """The sender of a request; raises MetaError 190 for a wrong token, 100 for an unknown number."""
        if token not in {s.token for s in self.senders.values()}:
            raise MetaError(190, "Error validating access token")
        sender = self.senders.get(phone_number_id)
        if sender is None or sender.token != token:
            raise MetaError(100, f"Object with ID '{phone_number_id}' does not exist")
        return sender

    def apply(self, command: Mapping[str, Any]) -> None:
        """Applies one command; raises ValueError, KeyError or MetaError when it is malformed."""
        handlers = {
            "account": self._account,
            "template": self._template,
            "template_status": self._template_status,
            "template_delete": self._template_delete,
            "inbound": self._inbound,
            "person": self._person,
            "moved": self._moved,
        }
        handler = handlers.get(command["command"])
        if handler is None:
            raise ValueError(f"unknown command {command['command']}")
        handler(command)

    def window_open(self, wa_id: str, now: datetime) -> bool:
        """Whether the person wrote within the last 24 hours."""
        last = self.last_inbound.get(wa_id)
        return last is not None and now - last < WINDOW

    def _account(self, command: Mapping[str, Any]) -> None:
        sender = Sender(
            str(command["phone_number_id"]),
            str(command["waba_id"]),
            str(command["token"]),
            bool(command.get("payment_ok", True)),
        )
        self.senders[sender.phone_number_id] = sender

    def _template(self, command: Mapping[str, Any]) -> None:
        template = parse_template(command["template_id"], command["waba_id"], command["definition"])
        self.templates[template.key] = template

    def _template_status(self, command: Mapping[str, Any]) -> None:
        found = [t for t in self.templates.values() if t.name == command["name"]]
        if not found:
            raise ValueError(f"no template {command['name']}")
        for template in found:
            self.templates[template.key] = template.with_status(
                command["status"], str(command.get("reason", NO_REASON))
            )

    def _template_delete(self, command: Mapping[str, Any]) -> None:
        keys = [k for k in self.templates if k[:2] == (command["waba_id"], command["name"])]
        if not keys:
            raise MetaError(100, f"no template {command['name']}")
        for key in keys:
            del self.templates[key]

    def _inbound(self, command: Mapping[str, Any]) -> None:
        self.last_inbound[str(command["wa_id"])] = parse_time(command["at"])

    def _moved(self, command: Mapping[str, Any]) -> None:
        old, new = str(command["wa_id"]), str(command["new_wa_id"])
        if (last := self.last_inbound.pop(old, None)) is not None:
            self.last_inbound[new] = last
        if old in self.opted_out:
            self.opted_out.add(new)
        self.opted_out.discard(old)
        self.undeliverable.add(old)

    def _person(self, command: Mapping[str, Any]) -> None:
        wa_id, state = str(command["wa_id"]), command["state"]
        if state not in ("normal", "opted_out", "undeliverable"):
            raise ValueError("state is normal, opted_out or undeliverable")
        self.opted_out.discard(wa_id)
        self.undeliverable.discard(wa_id)
        if state == "opted_out":
            self.opted_out.add(wa_id)
        elif state == "undeliverable":
            self.undeliverable.add(wa_id)
