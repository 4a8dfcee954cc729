"""Pages of several services' answers: one that does not answer takes its part of the page, not all of it."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import grpc

from libs.console.faults import sentence_of
from libs.console.visits import Visit
from omnijourney.client import CallError


@dataclass(frozen=True, slots=True)
class Part:
    """What one call brought."""

    answer: Any = None
    fault: str = ""
    """Why there is no answer, in the visitor's language; empty where there is one."""


async def part(visit: Visit, call: Awaitable[Any]) -> Part:
    """The answer, or what to say instead of it. Raises CallError where the visitor's token is not valid any more."""
    try:
        return Part(await call)
    except CallError as error:
        if error.code is grpc.StatusCode.UNAUTHENTICATED:
            raise
        return Part(fault=visit.say(sentence_of(error)))
