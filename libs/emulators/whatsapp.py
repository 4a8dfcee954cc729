"""Emulator of the WhatsApp Cloud API: messages, templates, health, statuses back by webhook."""

import base64
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from libs.emulators.base import Emulator, bearer, read_object
from libs.emulators.bucket import Buckets
from libs.emulators.clock import EmulatorClock
from libs.emulators.config import EmulatorSettings
from libs.emulators.faults import Fault, FaultKind, cut
from libs.emulators.journal import Record
from libs.emulators.meta_acts import (
    CHANGED,
    envelope,
    inbound_value,
    moved_value,
    number_entry,
    preference_value,
    said,
    talk_entry,
    template_entry,
)
from libs.emulators.meta_errors import MetaError, error_object
from libs.emulators.webhooks import WebhookSender
from libs.emulators.whatsapp_lists import listed
from libs.emulators.whatsapp_rules import check_message
from libs.emulators.whatsapp_state import Sender, WhatsAppState
from libs.emulators.whatsapp_templates import NO_REASON, Template, check_send, parse_template

PAIR_RATE = 1 / 6
"""Messages a second to one person on average."""
PAIR_DEPTH = 45.0
"""Messages to one person at once."""
BEFORE = (FaultKind.ERROR_BEFORE, FaultKind.TIMEOUT_BEFORE, FaultKind.RATE, FaultKind.CODE)
AFTER = (FaultKind.ERROR_AFTER, FaultKind.TIMEOUT_AFTER, FaultKind.RESET_AFTER, FaultKind.DELAY)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WhatsAppEmulator(Emulator):
    """The Graph API for any number of senders; the first exists from the start."""

    channel = "whatsapp"

    def __init__(
        self, settings: EmulatorSettings, data_dir: Path, clock: EmulatorClock, sender: WebhookSender
    ) -> None:
        super().__init__(data_dir, clock, sender)
        first = Sender(settings.whatsapp_phone_number_id, settings.whatsapp_waba_id, settings.token)
        self.state = WhatsAppState(first)
        self._numbers = Buckets(settings.whatsapp_rate, settings.whatsapp_rate)
        self._pairs = Buckets(PAIR_RATE, PAIR_DEPTH)
        self.recover()

    def routes(self) -> list[web.RouteDef]:
        """The Graph API and the WhatsApp part of the admin endpoints."""
        return [
            web.post("/_emulator/accounts", self._set_account),
            web.post("/_emulator/people", self._set_person),
            web.post("/_emulator/inbound", self._inbound),
            web.post("/_emulator/statuses", self._tell_status),
            web.post("/_emulator/preferences", self._prefer),
            web.post("/_emulator/moves", self._move),
            web.post("/_emulator/talk", self._talk),
            web.post("/_emulator/webhooks/greet", self._greet),
            web.get("/_emulator/templates", self._show_templates),
            web.post("/_emulator/templates", self._set_template),
            web.patch("/_emulator/templates", self._set_template_status),
            web.post("/{version}/{owner}/messages", _graph(self._messages)),
            web.post("/{version}/{owner}/message_templates", _graph(self._create_template)),
            web.get("/{version}/{owner}/message_templates", _graph(self._list_templates)),
            web.delete("/{version}/{owner}/message_templates", _graph(self._delete_template)),
            web.get("/{version}/{owner}", _graph(self._show_number)),
        ]

    def apply(self, command: Mapping[str, Any]) -> None:
        """Applies one remembered command."""
        self.state.apply(command)

    def remember(self, record: Record) -> None:
        """Nothing to take: the channel has neither retry keys nor a quota."""

    def forget(self) -> None:
        """Back to a first start."""
        self.state.clear()
        self._numbers.clear()
        self._pairs.clear()

    # ---- sending ----

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        sender = self.state.sender_of(request.match_info["owner"], bearer(request))
        body = await _json(request)
        if isinstance(body, dict) and body.get("status") == "read":
            return web.json_response({"success": True})
        recipient = check_message(body)
        self._check_rates(sender, recipient)
        await self._fail_before(self.faults.hit(recipient, BEFORE))
        self._check_recipient(sender, recipient, body)
        after = self.faults.hit(recipient, AFTER)
        record = self._accept(sender, recipient, body)
        answer = web.json_response(_accepted(record, body))
        return await self._spoil(request, after, answer)

    def _check_rates(self, sender: Sender, recipient: str) -> None:
        if not self._numbers.take(sender.phone_number_id):
            raise MetaError(130429, "too many messages sent from this phone number in a short period of time")
        if not self._pairs.take(f"{sender.phone_number_id}/{recipient}"):
            raise MetaError(131056, "too many messages to this person in a short period of time")

    async def _fail_before(self, fault: Fault | None) -> None:
        if fault is None:
            return
        if fault.kind is FaultKind.CODE:
            raise MetaError(fault.code, "switched fault")
        if fault.kind is FaultKind.RATE:
            raise MetaError(130429, "switched fault")
        if fault.kind is FaultKind.TIMEOUT_BEFORE:
            await self.faults.hang(fault.seconds)
        raise MetaError(131016, "switched fault", status=fault.status)

    def _check_recipient(self, sender: Sender, recipient: str, body: Mapping[str, Any]) -> None:
        if not sender.payment_ok:
            raise MetaError(131042, "no valid payment method")
        if recipient in self.state.undeliverable:
            raise MetaError(131026, "Message Undeliverable.")
        if body.get("type") != "template":
            if not self.state.window_open(recipient, self.clock.now()):
                raise MetaError(131047, "more than 24 hours have passed since the recipient last replied")
            return
        data = body["template"]
        template = self.state.templates.get((sender.waba_id, data["name"], data["language"]["code"]))
        check_send(template, data)
        if template is not None and template.category == "MARKETING" and recipient in self.state.opted_out:
            raise MetaError(131050, "the person stopped marketing messages")

    def _accept(self, sender: Sender, recipient: str, body: Mapping[str, Any]) -> Record:
        raw = f"{recipient}/{self.next_id()}".encode()
        record: Record = {
            "kind": "accepted",
            "channel": self.channel,
            "account": sender.phone_number_id,
            "id": f"wamid.{base64.b64encode(raw).decode()}",
            "recipient": recipient,
            "retry_key": None,
            "callback_data": body.get("biz_opaque_callback_data"),
            "body": body,
            "accepted_at": self.clock.now().isoformat(),
        }
        self.accept([record])
        for status in ("sent", "delivered"):
            self.sender.send(self._status_webhook(sender, record, status))
        return record

    async def _spoil(
        self, request: web.Request, fault: Fault | None, answer: web.Response
    ) -> web.StreamResponse:
        """What a fault after acceptance makes of the answer."""
        if fault is None:
            return answer
        if fault.kind in (FaultKind.DELAY, FaultKind.TIMEOUT_AFTER):
            await self.faults.hang(fault.seconds)
        if fault.kind is FaultKind.RESET_AFTER:
            cut(request)
        if fault.kind is FaultKind.DELAY:
            return answer
        return MetaError(131000, "switched fault", status=fault.status).answer()

    def _status_webhook(self, sender: Sender, record: Record, status: str, code: int = 0) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "id": record["id"],
            "status": status,
            "timestamp": str(int(self.clock.now().timestamp())),
            "recipient_id": record["recipient"],
            "recipient_user_id": f"US.{record['recipient']}",
        }
        if record["callback_data"] is not None:
            entry["biz_opaque_callback_data"] = record["callback_data"]
        if status == "failed":
            return _status(sender, {**entry, "errors": [error_object(code)]})
        if status != "played":
            entry["pricing"] = self._pricing(sender, record)
        return _status(sender, entry)

    def _pricing(self, sender: Sender, record: Record) -> dict[str, Any]:
        """What a message costs: of a template by its category, and a `UTILITY` one nothing within the window."""
        body, category = record["body"], "service"
        if body.get("type") == "template":
            data = body["template"]
            template = self.state.templates.get((sender.waba_id, data["name"], data["language"]["code"]))
            category = "marketing" if template is None else template.category.lower()
        open_window = self.state.window_open(record["recipient"], self.clock.now())
        free = category == "service" or (category == "utility" and open_window)
        return {
            "billable": not free,
            "pricing_model": "PMP",
            "type": "free_customer_service" if free else "regular",
            "category": category,
        }

    # ---- management ----

    async def _create_template(self, request: web.Request) -> web.StreamResponse:
        waba_id = request.match_info["owner"]
        self.state.business_of(waba_id, bearer(request))
        definition = await _json(request)
        if not isinstance(definition, dict):
            raise MetaError(100, "the body is a JSON object")
        template = parse_template(str(self.next_id()), waba_id, {**definition, "status": "PENDING"})
        if template.key in self.state.templates:
            raise MetaError(100, "there is already content in this language for this template")
        self._tell_template(template, {**definition, "status": "PENDING"})
        answer = {"id": template.template_id, "status": template.status, "category": template.category}
        return web.json_response(answer)

    async def _list_templates(self, request: web.Request) -> web.StreamResponse:
        waba_id = request.match_info["owner"]
        self.state.business_of(waba_id, bearer(request))
        own = [each for each in self.state.templates.values() if each.waba_id == waba_id]
        return web.json_response(listed(own, request.query, request.url))

    async def _delete_template(self, request: web.Request) -> web.StreamResponse:
        waba_id = request.match_info["owner"]
        self.state.business_of(waba_id, bearer(request))
        name = request.query.get("name")
        self.tell({"command": "template_delete", "waba_id": waba_id, "name": name})
        return web.json_response({"success": True})

    async def _show_number(self, request: web.Request) -> web.StreamResponse:
        sender = self.state.sender_of(request.match_info["owner"], bearer(request))
        can = "AVAILABLE" if sender.payment_ok else "BLOCKED"
        entity = {"entity_type": "WABA", "id": sender.waba_id, "can_send_message": can}
        health = {"can_send_message": can, "entities": [entity]}
        answer = {
            "id": sender.phone_number_id,
            "health_status": health,
            "whatsapp_business_manager_messaging_limit": "TIER_UNLIMITED",
        }
        return web.json_response(answer)

    def _tell_template(self, template: Template, definition: Mapping[str, Any]) -> None:
        self.tell(
            {
                "command": "template",
                "template_id": template.template_id,
                "waba_id": template.waba_id,
                "definition": definition,
            }
        )

    # ---- /_emulator/ ----

    async def _set_account(self, request: web.Request) -> web.Response:
        self.tell({**await read_object(request), "command": "account"})
        return web.json_response({}, status=201)

    async def _set_person(self, request: web.Request) -> web.Response:
        self.tell({**await read_object(request), "command": "person"})
        return web.json_response({})

    async def _inbound(self, request: web.Request) -> web.Response:
        """A person writes, or presses a button, or a row of a list: `{"wa_id","text"?,"answers"?,"button"?:
        {"id","title"},"row"?: {"id","title"},"name"?}`. It opens the window, and reaches the product if it can."""
        data = await read_object(request)
        now = self.clock.now()
        wa_id = str(data["wa_id"])
        self.tell({"command": "inbound", "wa_id": wa_id, "at": now.isoformat()})
        message = {
            "id": self._inbound_id(),
            "timestamp": str(int(now.timestamp())),
            **said(data, self._answered(wa_id) if data.keys() & {"button", "row"} else ""),
        }
        name = str(data.get("name", f"Person {wa_id[-4:]}"))
        sender = self._sender(data)
        self.sender.send(_webhook(sender, inbound_value(wa_id, name, message)))
        return web.json_response({}, status=202)

    def _inbound_id(self) -> str:
        return f"wamid.{base64.b64encode(f'in/{self.next_id()}'.encode()).decode()}"

    def _answered(self, wa_id: str) -> str:
        """The message that a person answers: the last that was accepted for them."""
        sent = [each["id"] for each in self.accepted.records() if each["recipient"] == wa_id]
        return sent[-1] if sent else f"wamid.{base64.b64encode(b'none').decode()}"

    def _sender(self, data: Mapping[str, Any]) -> Sender:
        given = data.get("phone_number_id")
        return self.state.senders[given] if given is not None else next(iter(self.state.senders.values()))

    async def _tell_status(self, request: web.Request) -> web.Response:
        """Tells what became of an accepted message: `{"id", "status", "code"?}`."""
        data = await read_object(request)
        found = next((each for each in self.accepted.records() if each["id"] == data["id"]), None)
        if found is None:
            raise ValueError("no such message was accepted")
        sender = self.state.senders[found["account"]]
        self.aimed().send(self._status_webhook(sender, found, data["status"], int(data.get("code", 131026))))
        return web.json_response({}, status=202)

    async def _prefer(self, request: web.Request) -> web.Response:
        """A person stops marketing messages, or takes them again: `{"wa_id", "value": "stop|resume"}`."""
        data = await read_object(request)
        wa_id, value = str(data["wa_id"]), data["value"]
        self.tell(
            {"command": "person", "wa_id": wa_id, "state": "opted_out" if value == "stop" else "normal"}
        )
        at_s, sender = int(self.clock.now().timestamp()), self._sender(data)
        self.aimed().send(_webhook(sender, preference_value(wa_id, value, at_s), "user_preferences"))
        return web.json_response({}, status=202)

    async def _move(self, request: web.Request) -> web.Response:
        """A person changes their number: `{"wa_id", "new_wa_id"}`."""
        data = await read_object(request)
        old, new = str(data["wa_id"]), str(data["new_wa_id"])
        self.tell({"command": "moved", "wa_id": old, "new_wa_id": new})
        value = moved_value(old, new, self._inbound_id(), int(self.clock.now().timestamp()))
        self.aimed().send(_webhook(self._sender(data), value))
        return web.json_response({}, status=202)

    async def _talk(self, request: web.Request) -> web.Response:
        """Somebody acts at a page or an Instagram account: `{"object": "page|instagram", "id", "person_id", "what"}`,
        where `what` is as `messaging` has it: a message, a postback, a receipt."""
        data = await read_object(request)
        now_ms = int(self.clock.now().timestamp() * 1_000)
        entry = talk_entry(data["id"], data["person_id"], data.get("timestamp", now_ms), data["what"])
        self.aimed().send(envelope(data["object"], entry))
        return web.json_response({}, status=202)

    async def _greet(self, request: web.Request) -> web.Response:
        """Asks the address as Meta does when it is set: `{"verify_token"}`."""
        verified = await self.aimed().greet((await read_object(request))["verify_token"])
        return web.json_response({"verified": verified})

    async def _show_templates(self, _request: web.Request) -> web.Response:
        return web.json_response({"templates": [t.to_json() for t in self.state.templates.values()]})

    async def _set_template(self, request: web.Request) -> web.Response:
        """Registers a template as if approved outside: the creation request, `status` APPROVED by default."""
        data = await read_object(request)
        waba_id = str(data.pop("waba_id", self.state.first.waba_id))
        definition = {"status": "APPROVED", "category": "MARKETING", **data}
        try:
            template = parse_template(str(self.next_id()), waba_id, definition)
        except MetaError as error:
            raise ValueError(error.details) from error
        self._tell_template(template, definition)
        return web.json_response(template.to_json(), status=201)

    async def _set_template_status(self, request: web.Request) -> web.Response:
        """Changes the status of a template: `{"name", "status", "reason"?, "told"?}`; Meta tells of it where `told` is
        true."""
        data = await read_object(request)
        reason = str(data.get("reason", NO_REASON))
        self.tell(
            {
                "name": data["name"],
                "status": data["status"],
                "reason": reason,
                "command": "template_status",
            }
        )
        for template in self.state.templates.values() if data.get("told") else ():
            if template.name == data["name"]:
                entry = template_entry(template, int(self.clock.now().timestamp()))
                self.aimed().send(envelope("whatsapp_business_account", entry))
        return web.json_response({})


def _graph(handler: Handler) -> Handler:
    """Checks the version of the path and turns MetaError into the Graph API's answer."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            if not re.fullmatch(r"v\d+\.\d+", request.match_info["version"]):
                raise MetaError(100, "unknown path components")
            return await handler(request)
        except MetaError as error:
            return error.answer()

    return answer


async def _json(request: web.Request) -> Any:
    try:
        return json.loads(await request.read())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise MetaError(100, "the body is not JSON") from error


def _accepted(record: Record, body: Mapping[str, Any]) -> dict[str, Any]:
    message = {"id": record["id"]}
    if body.get("type") == "template":
        message["message_status"] = "accepted"
    if "to" in body:
        contact = {"input": body["to"], "wa_id": record["recipient"]}
    else:
        contact = {"input": body["recipient"], "user_id": record["recipient"]}
    return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]}


def _webhook(sender: Sender, value: dict[str, Any], field: str = CHANGED) -> dict[str, Any]:
    entry = number_entry(sender.waba_id, sender.phone_number_id, value, field)
    return envelope("whatsapp_business_account", entry)


def _status(sender: Sender, status: dict[str, Any]) -> dict[str, Any]:
    person = {"wa_id": status["recipient_id"], "user_id": status["recipient_user_id"]}
    return _webhook(sender, {"contacts": [person], "statuses": [status]})
