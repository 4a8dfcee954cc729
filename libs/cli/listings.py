"""Lists on the command line: a line each, or the contract's JSON, and no more than asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from libs.cli.answers import json_of
from libs.cli.console import complain, say
from libs.cli.journeys import TIMEOUT_S, Command
from libs.client import Client
from libs.client.paging import items

PAGE: Final = 100
Item = TypeVar("Item")


def listed(
    call: Callable[[Client], Any],
    request: Message,
    field: str,
    line: Callable[[Any], str],
    *,
    limit: int,
    as_json: bool,
) -> Command:
    """Lists what an RPC has in `field` of its answers: each by `line`, or as JSON; 0 is no limit."""

    async def command(client: Client) -> int:
        async for each in at_most(limit, items(call(client), request, field, timeout_s=TIMEOUT_S)):
            say(json_of(each) if as_json else line(each))
        return 0

    return command


async def at_most(limit: int, found: AsyncIterator[Item]) -> AsyncIterator[Item]:
    """The first so many, and a remark if there are more; 0: all."""
    shown = 0
    async for each in found:
        if limit and shown == limit:
            complain(f"there are more than {limit:,}: --limit 0 shows all")
            break
        yield each
        shown += 1


def shown(
    call: Callable[[Client], Any], request: Message, field: str, line: Callable[[Any], str], *, as_json: bool
) -> Command:
    """Shows what an RPC answers in `field`: by `line`, or as JSON."""

    async def command(client: Client) -> int:
        found = getattr(await call(client)(request, timeout=TIMEOUT_S), field)
        say(json_of(found) if as_json else line(found))
        return 0

    return command


def name_of(enum: Any, value: int, prefix: str) -> str:
    """What people call a value of an enum."""
    return str(enum.Name(value)).removeprefix(prefix)
