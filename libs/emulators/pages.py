"""Emulators of the Messenger and Instagram Send APIs: messages and names; echoes, receipts and acts by webhook."""

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
from libs.emulators.faults import STATUS_DEFAULT, Fault, FaultKind, cut
from libs.emulators.journal import Record
from libs.emulators.meta_acts import envelope, talk_entry
from libs.emulators.page_errors import PageError, too_many
from libs.emulators.page_rules import INSTAGRAM, MESSENGER, Check, Checked
from libs.emulators.page_state import PageAccount, PageState
from libs.emulators.webhooks import WebhookSender

APP_ID = 1517776481860111
BEFORE = (FaultKind.ERROR_BEFORE, FaultKind.TIMEOUT_BEFORE, FaultKind.RATE, FaultKind.CODE)
AFTER = (FaultKind.ERROR_AFTER, FaultKind.TIMEOUT_AFTER, FaultKind.RESET_AFTER, FaultKind.DELAY)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PagesEmulator(Emulator):
    """The Send API for any number of accounts; the first exists from the start."""

    def __init__(
        self,
        state: PageState,
        rate: float,
        data_dir: Path,
        clock: EmulatorClock,
        sender: WebhookSender,
    ) -> None:
        super().__init__(data_dir, clock, sender)
        self.state = state
        self._check = Check(state.dialect)
        self._buckets = Buckets(rate, rate)
        self.recover()

    def routes(self) -> list[web.RouteDef]:
        """The Graph API and the admin endpoints of their own."""
        return [
            web.post("/_emulator/accounts", self._set_account),
            web.post("/_emulator/people", self._set_person),
            web.post("/_emulator/inbound", self._inbound),
            web.post("/_emulator/receipts", self._tell_receipt),
            web.post("/_emulator/talk", self._talk),
            web.post("/_emulator/webhooks/greet", self._greet),
            web.post("/{version}/{owner}/messages", _graph(self._messages)),
            web.post("/{version}/{owner}/subscribed_apps", _graph(self._subscribe)),
            web.get("/{version}/{owner}", _graph(self._show)),
        ]

    def apply(self, command: Mapping[str, Any]) -> None:
        """Applies one remembered command."""
        self.state.apply(command)

    def remember(self, record: Record) -> None:
        """Nothing to take: there are neither retry keys nor a quota."""

    def forget(self) -> None:
        """Back to a first start."""
        self.state.clear()
        self._buckets.clear()

    # ---- the API ----

    def _account(self, request: web.Request) -> PageAccount:
        token = bearer(request) or request.query.get("access_token", "")
        return self.state.account_of(
            request.match_info["owner"], token, request.query.get("appsecret_proof", "")
        )

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        account = self._account(request)
        checked = self._check.body(await _json(request))
        if checked.message is None:
            return web.json_response({"recipient_id": checked.recipient})
        if not self._buckets.take(account.account_id):
            raise too_many(account.account_id, self.state.dialect.usage)
        await self._fail_before(account, self.faults.hit(checked.recipient, BEFORE))
        self.state.check_person(account, checked.recipient, checked.tag, self.clock.now())
        after = self.faults.hit(checked.recipient, AFTER)
        record = self._accept(account, checked)
        answer = web.json_response({"recipient_id": checked.recipient, "message_id": record["id"]})
        return await self._spoil(request, after, answer)

    async def _fail_before(self, account: PageAccount, fault: Fault | None) -> None:
        if fault is None:
            return
        if fault.kind is FaultKind.CODE:
            own = None if fault.status == STATUS_DEFAULT else fault.status
            raise PageError(fault.code, fault.subcode, "switched fault", status=own)
        if fault.kind is FaultKind.RATE:
            raise too_many(account.account_id, self.state.dialect.usage)
        if fault.kind is FaultKind.TIMEOUT_BEFORE:
            await self.faults.hang(fault.seconds)
        raise PageError(2, details="switched fault", status=fault.status)

    def _accept(self, account: PageAccount, checked: Checked) -> Record:
        message = checked.message or {}
        record: Record = {
            "kind": "accepted",
            "channel": self.channel,
            "account": account.account_id,
            "id": f"m_{account.account_id}.{self.next_id()}",
            "recipient": checked.recipient,
            "retry_key": None,
            "callback_data": message.get("metadata"),
            "body": {"tag": checked.tag, "message": dict(message)},
            "accepted_at": self.clock.now().isoformat(),
        }
        self.accept([record])
        self._echo(record)
        if self.state.dialect is MESSENGER:
            self._receipt(record, "delivered", named=True)
        return record

    def _echo(self, record: Record) -> None:
        """What the account wrote comes back to it, sender and recipient swapped."""
        message = record["body"]["message"]
        echo = {"mid": record["id"], "is_echo": True, "app_id": APP_ID}
        echo |= {name: message[name] for name in ("text", "metadata") if name in message}
        event = self._event(record["recipient"], record["account"], {"message": echo})
        self._send(record["account"], event)

    def _receipt(self, record: Record, kind: str, *, named: bool) -> None:
        at_ms = self._now_ms()
        if self.state.dialect is INSTAGRAM:
            what: dict[str, Any] = {"read": {"mid": record["id"]}}
        elif kind == "read":
            what = {"read": {"watermark": at_ms}}
        else:
            mids = {"mids": [record["id"]]} if named else {}
            what = {"delivery": {**mids, "watermark": at_ms}}
        self._send(record["account"], self._event(record["account"], record["recipient"], what))

    def _event(self, recipient: str, sender: str, what: dict[str, Any]) -> dict[str, Any]:
        return {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": self._now_ms(), **what}

    def _send(self, account_id: str, event: dict[str, Any]) -> None:
        entry = {"id": account_id, "time": self._now_ms(), "messaging": [event]}
        self.sender.send(envelope(self.state.dialect.name, entry))

    def _now_ms(self) -> int:
        return int(self.clock.now().timestamp() * 1_000)

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
        # As a proxy answers that lost the API: nothing of the API's own.
        return web.Response(status=fault.status, text="upstream error")

    async def _subscribe(self, request: web.Request) -> web.StreamResponse:
        self._account(request)
        return web.json_response({"success": True})

    async def _show(self, request: web.Request) -> web.StreamResponse:
        """An account's own name, or that of a person who wrote to the account whose token it is."""
        token = bearer(request) or request.query.get("access_token", "")
        owner = request.match_info["owner"]
        for account in self.state.accounts.values():
            if account.token == token and (account.account_id, owner) in self.state.last_inbound:
                return web.json_response({"id": owner, **_profile(self.state.dialect is INSTAGRAM, owner)})
        account = self._account(request)
        named = "username" if self.state.dialect is INSTAGRAM else "name"
        return web.json_response({"id": account.account_id, named: f"Shop {account.account_id[-4:]}"})

    # ---- /_emulator/ ----

    async def _set_account(self, request: web.Request) -> web.Response:
        self.tell({**await read_object(request), "command": "account"})
        return web.json_response({}, status=201)

    async def _set_person(self, request: web.Request) -> web.Response:
        self.tell({**await self._aimed_at(request), "command": "person"})
        return web.json_response({})

    async def _aimed_at(self, request: web.Request) -> dict[str, Any]:
        return {"account_id": self.state.first.account_id, **await read_object(request)}

    async def _inbound(self, request: web.Request) -> web.Response:
        """A person acts `{"person_id", "account_id"?, "text"?, "what"?}`: opens the window, and reaches the product if
        it can. `what` is as in `messaging`; by default a message of the text."""
        data = await self._aimed_at(request)
        now = self.clock.now()
        account_id, person = str(data["account_id"]), str(data["person_id"])
        self.tell(
            {"command": "inbound", "account_id": account_id, "person_id": person, "at": now.isoformat()}
        )
        mid = f"m_in.{self.next_id()}"
        what = data.get("what") or {"message": {"mid": mid, "text": str(data.get("text", "hi"))}}
        self._send(account_id, self._event(account_id, person, what))
        return web.json_response({}, status=202)

    async def _tell_receipt(self, request: web.Request) -> web.Response:
        """Tells what became of an accepted message: `{"id", "kind": "delivered|read", "named"?}`. A delivery that is
        not `named` gives the time only, as the platform sometimes does."""
        data = await read_object(request)
        found = next((each for each in self.accepted.records() if each["id"] == data["id"]), None)
        if found is None:
            raise ValueError("no such message was accepted")
        if data["kind"] not in ("delivered", "read") or (
            self.state.dialect is INSTAGRAM and data["kind"] != "read"
        ):
            raise ValueError("there is no such receipt")
        self.aimed()
        self._receipt(found, data["kind"], named=bool(data.get("named", True)))
        return web.json_response({}, status=202)

    async def _talk(self, request: web.Request) -> web.Response:
        """Sends an event as it is: `{"id", "person_id", "what", "timestamp"?}`."""
        data = await read_object(request)
        entry = talk_entry(data["id"], data["person_id"], data.get("timestamp", self._now_ms()), data["what"])
        self.aimed().send(envelope(self.state.dialect.name, entry))
        return web.json_response({}, status=202)

    async def _greet(self, request: web.Request) -> web.Response:
        """Asks the address as Meta does when it is set: `{"verify_token"}`."""
        verified = await self.aimed().greet((await read_object(request))["verify_token"])
        return web.json_response({"verified": verified})


class MessengerEmulator(PagesEmulator):
    """Pages."""

    channel = "messenger"

    def __init__(
        self, settings: EmulatorSettings, data_dir: Path, clock: EmulatorClock, sender: WebhookSender
    ) -> None:
        first = PageAccount(settings.messenger_page_id, settings.token, app_secret=settings.secret)
        super().__init__(PageState(MESSENGER, first), settings.pages_rate, data_dir, clock, sender)


class InstagramEmulator(PagesEmulator):
    """Instagram accounts, at their own address and at their page's."""

    channel = "instagram"

    def __init__(
        self, settings: EmulatorSettings, data_dir: Path, clock: EmulatorClock, sender: WebhookSender
    ) -> None:
        page_id = settings.messenger_page_id
        first = PageAccount(settings.instagram_id, settings.token, page_id, settings.secret)
        super().__init__(PageState(INSTAGRAM, first), settings.pages_rate, data_dir, clock, sender)


def _profile(instagram: bool, person: str) -> dict[str, str]:
    if instagram:
        return {"name": f"Person {person[-4:]}", "username": f"person{person[-4:]}"}
    return {"first_name": "Person", "last_name": person[-4:]}


def _graph(handler: Handler) -> Handler:
    """Checks the version of the path and turns PageError into the Graph API's answer."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            if not re.fullmatch(r"v\d+\.\d+", request.match_info["version"]):
                raise PageError(100, details="unknown path components")
            return await handler(request)
        except PageError as error:
            return error.answer()

    return answer


async def _json(request: web.Request) -> Any:
    try:
        return json.loads(await request.read())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PageError(100, details="the body is not JSON") from error
