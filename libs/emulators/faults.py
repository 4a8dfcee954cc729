"""Faults that a test or an operator switches on: what goes wrong, how often, for whom."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiohttp import web

STATUS_DEFAULT = 500
"""Of faults that name no other; where the channel has one of its own for a code, that."""


class FaultKind(StrEnum):
    """When and how a send goes wrong."""

    ERROR_BEFORE = "error_before"
    """Status 500, nothing accepted."""
    ERROR_AFTER = "error_after"
    """Accepted and logged, then status 500."""
    TIMEOUT_BEFORE = "timeout_before"
    """No answer for `seconds`, nothing accepted."""
    TIMEOUT_AFTER = "timeout_after"
    """Accepted and logged, then no answer for `seconds`."""
    RESET_AFTER = "reset_after"
    """Accepted and logged, then the connection is cut."""
    DELAY = "delay"
    """The right answer, `seconds` late."""
    RATE = "rate"
    """The channel's answer to too many requests."""
    QUOTA = "quota"
    """LINE only: the monthly 429 while the quota endpoints show places left (a broadcast holds them)."""
    CODE = "code"
    """The error of number `code`, with `subcode` where the channel has them; nothing accepted. LINE has no numbers: the
    status, with `text` as its message."""


@dataclass(slots=True)
class Fault:
    """One switched fault. It passes over `skip` matching sends, then hits `count` of them (none: all)."""

    kind: FaultKind
    count: int | None = 1
    skip: int = 0
    recipient: str | None = None
    seconds: float = 60.0
    code: int = 0
    subcode: int | None = None
    text: str = ""
    status: int = STATUS_DEFAULT

    @classmethod
    def parse(cls, data: Any) -> "Fault":
        """Reads the JSON form; raises ValueError naming the field."""
        if not isinstance(data, dict):
            raise ValueError("a fault is an object")  # noqa: TRY004 - the caller gets one kind of error
        unknown = set(data) - set(cls.__slots__)
        if unknown:
            raise ValueError(f"unknown field {min(unknown)}")
        kinds = ", ".join(FaultKind)
        if data.get("kind") not in list(FaultKind):
            raise ValueError(f"kind is one of {kinds}")
        return cls(**{**data, "kind": FaultKind(data["kind"])})


class Faults:
    """The faults that are switched on, tried in order; the first that hits is the send's."""

    def __init__(self) -> None:
        self.active: list[Fault] = []
        self._closing = asyncio.Event()

    def hit(self, recipient: str, kinds: tuple[FaultKind, ...] = tuple(FaultKind)) -> Fault | None:
        """Uses up one hit of the first fault of `kinds` that concerns `recipient`."""
        for fault in list(self.active):
            if fault.kind not in kinds or fault.recipient not in (None, recipient):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.count is not None:
                fault.count -= 1
                if fault.count <= 0:
                    self.active.remove(fault)
            return fault
        return None

    async def hang(self, seconds: float) -> None:
        """Waits, but not beyond the emulator's own end."""
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return

    def close(self) -> None:
        """Lets everybody who hangs go."""
        self._closing.set()


def cut(request: web.Request) -> None:
    """Cuts the connection of `request`: the client sees a reset instead of an answer."""
    if request.transport is not None:
        request.transport.abort()
