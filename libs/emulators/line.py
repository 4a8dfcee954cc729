"""Emulator of the LINE Messaging API: push, multicast, reply, validate, quota, profile."""

import json
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from libs.emulators.base import Emulator, bearer, read_object
from libs.emulators.bucket import Buckets
from libs.emulators.clock import EmulatorClock
from libs.emulators.config import EmulatorSettings
from libs.emulators.faults import Fault, FaultKind, cut
from libs.emulators.journal import Record
from libs.emulators.line_acts import again, event_of, seen_by
from libs.emulators.line_answers import RATE_LIMIT, error, unauthenticated
from libs.emulators.line_figures import LineFigures
from libs.emulators.line_rules import Details, check_messages, check_multicast, check_push, check_reply
from libs.emulators.line_state import REPLY_TOKEN_LIFE, LineChannel, LineState, digest_of
from libs.emulators.webhooks import WebhookSender

MONTHLY_LIMIT = "You have reached your monthly limit."
KEY_ACCEPTED = "The retry key is already accepted"
FIRST_CHANNEL_ID = "1000000001"
_STATES = {"follow": "friend", "unfollow": "blocked"}
"""What people are after what they do."""
BEFORE = (FaultKind.ERROR_BEFORE, FaultKind.TIMEOUT_BEFORE, FaultKind.RATE, FaultKind.QUOTA, FaultKind.CODE)
AFTER = (FaultKind.ERROR_AFTER, FaultKind.TIMEOUT_AFTER, FaultKind.RESET_AFTER, FaultKind.DELAY)


class LineEmulator(Emulator):
    """One LINE platform with any number of channels; the first exists from the start."""

    channel = "line"

    def __init__(
        self, settings: EmulatorSettings, data_dir: Path, clock: EmulatorClock, sender: WebhookSender
    ) -> None:
        super().__init__(data_dir, clock, sender)
        first = LineChannel(FIRST_CHANNEL_ID, settings.token, settings.line_quota)
        self.state = LineState(first)
        self._buckets = Buckets(settings.line_rate, settings.line_rate)
        self.recover()

    def routes(self) -> list[web.RouteDef]:
        """The Messaging API and the LINE part of the admin endpoints."""
        return [
            web.post("/v2/bot/message/push", self._push),
            web.post("/v2/bot/message/multicast", self._multicast),
            web.post("/v2/bot/message/reply", self._reply),
            web.post("/v2/bot/message/validate/{kind}", self._validate),
            web.get("/v2/bot/message/quota", self._quota),
            web.get("/v2/bot/message/quota/consumption", self._consumption),
            web.get("/v2/bot/info", self._info),
            web.get("/v2/bot/profile/{user_id}", self._profile),
            web.post("/_emulator/accounts", self._set_account),
            web.post("/_emulator/people", self._set_person),
            web.post("/_emulator/events", self._send_events),
            web.post("/_emulator/acts", self._act),
            web.post("/_emulator/opens", self._open),
            web.post("/_emulator/webhooks/again", self._send_again),
            web.get("/_emulator/state", self._show_state),
            *LineFigures(self.state, self.clock).routes(),
        ]

    def apply(self, command: Mapping[str, Any]) -> None:
        """Applies one remembered command."""
        self.state.apply(command)

    def remember(self, record: Record) -> None:
        """Takes one accepted message into the memory."""
        self.state.remember(record)

    def forget(self) -> None:
        """Back to a first start."""
        self.state.clear()
        self._buckets.clear()

    # ---- the Messaging API ----

    async def _push(self, request: web.Request) -> web.StreamResponse:
        return await self._send(request, "push", check_push, lambda body: [body["to"]])

    async def _multicast(self, request: web.Request) -> web.StreamResponse:
        return await self._send(request, "multicast", check_multicast, lambda body: list(body["to"]))

    async def _reply(self, request: web.Request) -> web.StreamResponse:
        channel = self.state.channel_of(bearer(request))
        if channel is None:
            return unauthenticated()
        body = await _json(request)
        if isinstance(body, web.Response):
            return body
        if "X-Line-Retry-Key" in request.headers:
            return error(400, "The retry key is not supported for this API")
        details = check_reply(body)
        if details:
            return _faulty(details)
        user, until = self.state.reply_tokens.pop(body["replyToken"], ("", self.clock.now()))
        if not user or self.clock.now() >= until:
            return error(400, "Invalid reply token")
        return self._accept(channel, "reply", [user], body, None)

    async def _send(
        self,
        request: web.Request,
        endpoint: str,
        check: Callable[[Any], Details],
        recipients_of: Callable[[Any], list[str]],
    ) -> web.StreamResponse:
        channel = self.state.channel_of(bearer(request))
        if channel is None:
            return unauthenticated()
        body = await _json(request)
        if isinstance(body, web.Response):
            return body
        details = check(body)
        if details:
            return _faulty(details)
        recipients = recipients_of(body)
        refused = await self._refuse(request, channel, endpoint, recipients, body)
        if refused is not None:
            return refused
        key = _canonical_key(request.headers.get("X-Line-Retry-Key"))
        after = self.faults.hit(recipients[0], AFTER)
        answer = self._accept(channel, endpoint, recipients, body, key)
        return await self._spoil(request, after, answer)

    async def _refuse(
        self, request: web.Request, channel: LineChannel, endpoint: str, recipients: list[str], body: Any
    ) -> web.Response | None:
        """The answer that stands in the way of acceptance, in the order in which LINE looks."""
        if not self._buckets.take(f"{channel.channel_id}/{endpoint}"):
            return error(429, RATE_LIMIT)
        before = self.faults.hit(recipients[0], BEFORE)
        if before is not None:
            return await self._fail(before)
        key = request.headers.get("X-Line-Retry-Key")
        if key is not None:
            known = self._answer_known_key(channel, key, body)
            if known is not None:
                return known
        if endpoint == "push" and self.state.people.get(recipients[0]) == "unknown":
            return error(400, "Failed to send messages")
        billed = sum(self._billed(user) for user in recipients)
        used = self.state.used(channel.channel_id, self.clock.now())
        if channel.quota is not None and used + billed > channel.quota:
            return error(429, MONTHLY_LIMIT)
        return None

    def _answer_known_key(self, channel: LineChannel, key: str, body: Any) -> web.Response | None:
        canonical = _canonical_key(key)
        if canonical is None:
            return error(400, "The value of the X-Line-Retry-Key header is invalid")
        known = self.state.known_key(channel.channel_id, canonical, self.clock.now())
        if known is None:
            return None
        if known.digest != digest_of(body):
            self.state.reused_keys += 1
        content: dict[str, Any] = {"message": KEY_ACCEPTED}
        if known.endpoint == "push":
            content["sentMessages"] = [_sent(one) for one in known.sent]
        headers = {"X-Line-Request-Id": self._request_id(), "X-Line-Accepted-Request-Id": known.request_id}
        return web.json_response(content, status=409, headers=headers)

    async def _fail(self, fault: Fault) -> web.Response:
        if fault.kind is FaultKind.RATE:
            return error(429, RATE_LIMIT)
        if fault.kind is FaultKind.CODE:
            return error(fault.status, fault.text)
        if fault.kind is FaultKind.QUOTA:
            return error(429, MONTHLY_LIMIT)
        if fault.kind is FaultKind.TIMEOUT_BEFORE:
            await self.faults.hang(fault.seconds)
        return error(fault.status, "Internal server error")

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
        return answer if fault.kind is FaultKind.DELAY else error(fault.status, "Internal server error")

    def _accept(
        self, channel: LineChannel, endpoint: str, recipients: list[str], body: Any, key: str | None
    ) -> web.Response:
        request_id = self._request_id()
        digest, now = digest_of(body), self.clock.now().isoformat()
        records: list[Record] = []
        for user in recipients:
            ids = [str(self.next_id()) for _ in body["messages"]]
            records.append(
                {
                    "kind": "accepted",
                    "channel": self.channel,
                    "account": channel.channel_id,
                    "endpoint": endpoint,
                    "id": ids[0],
                    "object_ids": ids,
                    "request_id": request_id,
                    "recipient": user,
                    "retry_key": key,
                    "digest": digest,
                    "body": body,
                    "billed": endpoint != "reply" and self._billed(user),
                    "accepted_at": now,
                }
            )
        self.accept(records)
        content = {"sentMessages": [_sent(one) for one in records[0]["object_ids"]]}
        if endpoint == "multicast":
            content = {}
        return web.json_response(content, headers={"X-Line-Request-Id": request_id})

    def _billed(self, user: str) -> bool:
        """A push to somebody who blocked the account or is unknown is answered 200 and not counted."""
        return self.state.people.get(user, "friend") == "friend"

    async def _validate(self, request: web.Request) -> web.Response:
        if self.state.channel_of(bearer(request)) is None:
            return unauthenticated()
        if request.match_info["kind"] not in ("push", "reply", "multicast", "broadcast", "narrowcast"):
            return error(404, "Not found")
        body = await _json(request)
        if isinstance(body, web.Response):
            return body
        details = check_messages(body) if isinstance(body, dict) else [_not_an_object()]
        return _faulty(details) if details else web.json_response({})

    async def _quota(self, request: web.Request) -> web.Response:
        channel = self.state.channel_of(bearer(request))
        if channel is None:
            return unauthenticated()
        if channel.quota is None:
            return web.json_response({"type": "none"})
        return web.json_response({"type": "limited", "value": channel.quota})

    async def _consumption(self, request: web.Request) -> web.Response:
        channel = self.state.channel_of(bearer(request))
        if channel is None:
            return unauthenticated()
        return web.json_response({"totalUsage": self.state.used(channel.channel_id, self.clock.now())})

    async def _info(self, request: web.Request) -> web.Response:
        channel = self.state.channel_of(bearer(request))
        if channel is None:
            return unauthenticated()
        info = {
            "userId": bot_user_id(channel.channel_id),
            "basicId": f"@{channel.channel_id}",
            "displayName": "Emulated account",
            "chatMode": "bot",
            "markAsReadMode": "auto",
        }
        return web.json_response(info)

    async def _profile(self, request: web.Request) -> web.Response:
        if self.state.channel_of(bearer(request)) is None:
            return unauthenticated()
        user = request.match_info["user_id"]
        if self.state.people.get(user, "friend") != "friend":
            return error(404, "Not found")
        return web.json_response({"displayName": f"Person {user[-6:]}", "userId": user, "language": "en"})

    # ---- /_emulator/ ----

    async def _set_account(self, request: web.Request) -> web.Response:
        self.tell({**await read_object(request), "command": "account"})
        return web.json_response({}, status=201)

    async def _set_person(self, request: web.Request) -> web.Response:
        self.tell({**await read_object(request), "command": "person"})
        return web.json_response({})

    async def _send_events(self, request: web.Request) -> web.Response:
        """Sends `{"channel_id"?, "events": […]}` as one signed webhook; reply tokens in it become usable."""
        data = await read_object(request)
        self._tell_of(data.get("channel_id", FIRST_CHANNEL_ID), data["events"])
        return web.json_response({}, status=202)

    def _tell_of(self, channel_id: str, events: list[Any]) -> None:
        sender, until = self.aimed(), self.clock.now() + REPLY_TOKEN_LIFE
        for event in events:
            if isinstance(event, dict) and event.get("replyToken"):
                self.state.reply_tokens[event["replyToken"]] = (event["source"]["userId"], until)
        sender.send({"destination": bot_user_id(channel_id), "events": events})

    async def _act(self, request: web.Request) -> web.Response:
        """A person does what `Act` says, or several do: `{"acts": […], "channel_id"?}`, told in one webhook."""
        data = await read_object(request)
        now_ms = int(self.clock.now().timestamp() * 1_000)
        events = [event_of(act, self.next_id(), now_ms) for act in data["acts"]]
        for act in data["acts"]:
            if act["kind"] in _STATES:
                state = {"user_id": act["user_id"], "state": _STATES[act["kind"]]}
                self.tell({**state, "command": "person"})
        self._tell_of(data.get("channel_id", FIRST_CHANNEL_ID), events)
        return web.json_response({"events": events}, status=202)

    async def _open(self, request: web.Request) -> web.Response:
        """People see all messages that they got, and open an address: `{"user_ids": […], "url"?}`."""
        data = await read_object(request)
        messages = seen_by(set(data["user_ids"]), self.accepted.records(), str(data.get("url", "")))
        self.tell({"command": "seen", "messages": messages})
        return web.json_response({"seen": len(messages)})

    async def _send_again(self, _request: web.Request) -> web.Response:
        """The last webhook once more, as LINE redelivers it."""
        self.aimed().send(again(self.sender.last))
        return web.json_response({}, status=202)

    async def _show_state(self, _request: web.Request) -> web.Response:
        now = self.clock.now()
        channels = [
            {"channel_id": c.channel_id, "quota": c.quota, "used": self.state.used(c.channel_id, now)}
            for c in self.state.channels.values()
        ]
        people = self.state.people
        return web.json_response(
            {"channels": channels, "people": people, "reused_keys": self.state.reused_keys}
        )

    def _request_id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"line-request-{self.next_id()}"))


def bot_user_id(channel_id: str) -> str:
    """The account's own user id: `destination` of its webhooks."""
    return f"U{uuid.uuid5(uuid.NAMESPACE_OID, f'line-bot-{channel_id}').hex}"


def _canonical_key(key: str | None) -> str | None:
    try:
        return str(uuid.UUID(key)) if key else None
    except ValueError:
        return None


def _sent(message_id: str) -> dict[str, str]:
    return {"id": message_id, "quoteToken": uuid.uuid5(uuid.NAMESPACE_OID, message_id).hex}


async def _json(request: web.Request) -> Any:
    """The body as JSON, or the answer that refuses it."""
    if request.content_type != "application/json":
        return error(415, "Unsupported media type")
    try:
        return json.loads(await request.read())
    except (UnicodeDecodeError, json.JSONDecodeError):
        return error(400, "The request body could not be parsed as JSON")


def _faulty(details: Details) -> web.Response:
    message = f"The request body has {len(details)} error(s)"
    return web.json_response({"message": message, "details": details}, status=400)


def _not_an_object() -> dict[str, str]:
    return {"message": "Must be an object", "property": ""}
