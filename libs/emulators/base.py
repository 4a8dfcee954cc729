"""What all emulators share: the two journals, the switched faults and the `/_emulator/` endpoints."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from libs.emulators.clock import EmulatorClock
from libs.emulators.faults import Fault, Faults
from libs.emulators.journal import Journal, Record
from libs.emulators.webhooks import Aim, WebhookSender

BODY_BYTES_MAX = 2 * 1024 * 1024
"""Largest request body taken; LINE documents 2 MB."""
LOG_PAGE_MAX = 10_000
"""Most records in one answer of the log endpoint."""


class Emulator(ABC):
    """One emulated service. `accepted` is what a checker reads, `commands` what the emulator has to remember."""

    channel: str

    def __init__(self, data_dir: Path, clock: EmulatorClock, sender: WebhookSender) -> None:
        self.clock = clock
        self.faults = Faults()
        self.sender = sender
        self.accepted = Journal(data_dir / f"{self.channel}.jsonl")
        self.commands = Journal(data_dir / f"{self.channel}-state.jsonl")
        self.accepted_count = 0
        self._last_id = 0

    def recover(self) -> None:
        """Rebuilds the state from the journals; called once, before the first request."""
        for command in self.commands.records():
            self.apply(command)
        for record in self.accepted.records():
            self.accepted_count += 1
            self.remember(record)

    def app(self) -> web.Application:
        """The HTTP application: the channel's own routes and the shared ones."""
        app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[self.answer_errors])
        app.add_routes(
            [
                web.get("/_emulator/health", self._health),
                web.get("/_emulator/log", self._log),
                web.post("/_emulator/reset", self._reset),
                web.get("/_emulator/faults", self._list_faults),
                web.post("/_emulator/faults", self._add_fault),
                web.delete("/_emulator/faults", self._clear_faults),
                web.post("/_emulator/clock", self._advance_clock),
                web.post("/_emulator/webhooks", self._aim_webhooks),
                web.post("/_emulator/webhooks/release", self._release_webhooks),
                web.post("/_emulator/webhooks/idle", self._await_webhooks),
            ]
        )
        app.add_routes(self.routes())
        app.on_shutdown.append(self._shutdown)
        return app

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """The channel's own routes."""

    @abstractmethod
    def apply(self, command: Mapping[str, Any]) -> None:
        """Applies one remembered command, again at each start; raises ValueError when it is malformed."""

    @abstractmethod
    def remember(self, record: Record) -> None:
        """Takes one accepted message into the memory (retry keys, quota); called again at each start."""

    @abstractmethod
    def forget(self) -> None:
        """Returns to the state of a first start."""

    @web.middleware
    async def answer_errors(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Turns faults of admin calls into 400 with the fault; the channel's own answers pass."""
        try:
            answer: web.StreamResponse = await handler(request)
        except (ValueError, KeyError, TypeError) as error:
            if not request.path.startswith("/_emulator/"):
                raise
            return web.json_response({"error": str(error)}, status=400)
        return answer

    def tell(self, command: Mapping[str, Any]) -> None:
        """Applies a command and remembers it over restarts."""
        self.apply(command)
        self.commands.append([command])

    def accept(self, records: list[Record]) -> None:
        """Writes accepted messages down, then takes them into the memory."""
        self.accepted.append(records)
        self.accepted_count += len(records)
        for record in records:
            self.remember(record)

    def next_id(self) -> int:
        """A number above all before it, restarts and resets included (microseconds of the clock)."""
        self._last_id = max(self._last_id + 1, int(self.clock.now().timestamp() * 1_000_000))
        return self._last_id

    async def _shutdown(self, _app: web.Application) -> None:
        self.faults.close()

    def close(self) -> None:
        """Closes the journals."""
        self.accepted.close()
        self.commands.close()

    # ---- /_emulator/ ----

    async def _health(self, _request: web.Request) -> web.Response:
        now = self.clock.now().isoformat()
        return web.json_response({"channel": self.channel, "accepted": self.accepted_count, "now": now})

    async def _log(self, request: web.Request) -> web.Response:
        after = int(request.query.get("after", "0"))
        recipient = request.query.get("recipient")
        records = [r for r in self.accepted.records() if recipient is None or r["recipient"] == recipient]
        page = records[after : after + LOG_PAGE_MAX]
        return web.json_response({"records": page, "total": len(records)})

    async def _reset(self, _request: web.Request) -> web.Response:
        self.accepted.rotate()
        self.commands.rotate()
        self.accepted_count = 0
        self.faults.active.clear()
        self.forget()
        return web.json_response({})

    async def _list_faults(self, _request: web.Request) -> web.Response:
        active = [{**_fields(fault), "kind": fault.kind.value} for fault in self.faults.active]
        return web.json_response({"faults": active})

    async def _add_fault(self, request: web.Request) -> web.Response:
        self.faults.active.append(Fault.parse(await read_object(request)))
        return web.json_response({}, status=201)

    async def _clear_faults(self, _request: web.Request) -> web.Response:
        self.faults.active.clear()
        return web.json_response({})

    async def _aim_webhooks(self, request: web.Request) -> web.Response:
        """Sends webhooks from now on to `{"url", "secret", "times"?, "held"?}`."""
        self.sender.aim = Aim(**await read_object(request))
        return web.json_response({})

    async def _release_webhooks(self, request: web.Request) -> web.Response:
        """Sends what was held: `{"reverse"?}`."""
        data = await read_object(request)
        return web.json_response({"released": self.sender.release(reverse=bool(data.get("reverse", False)))})

    async def _await_webhooks(self, _request: web.Request) -> web.Response:
        """Answers when every webhook was answered or given up."""
        await self.sender.idle()
        return web.json_response({})

    def aimed(self) -> WebhookSender:
        """Whoever sends webhooks; raises ValueError where none can be sent."""
        if not self.sender.aim.url:
            raise ValueError("no webhook address is set")
        return self.sender

    async def _advance_clock(self, request: web.Request) -> web.Response:
        data = await read_object(request)
        now = self.clock.advance(timedelta(seconds=float(data["advance_seconds"])))
        return web.json_response({"now": now.isoformat()})


async def read_object(request: web.Request) -> dict[str, Any]:
    """The JSON object in the body of an admin call; raises ValueError when it is none."""
    data = json.loads(await request.text())
    if not isinstance(data, dict):
        raise ValueError("the body is a JSON object")  # noqa: TRY004 - becomes a 400
    return data


def bearer(request: web.Request) -> str:
    """The bearer token of a request; empty when there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def parse_time(text: str) -> datetime:
    """A tz-aware time of a journal; raises ValueError when the zone is missing."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no zone")
    return at


def _fields(fault: Fault) -> dict[str, Any]:
    return {name: getattr(fault, name) for name in Fault.__slots__}
