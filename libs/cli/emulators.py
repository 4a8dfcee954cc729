"""`omnijourney emulator log`: what the channel emulators were sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp

from libs.cli.console import EXIT_FAULT, complain, say
from libs.client.found import InstallationFile

CHANNELS: Final = ("line", "whatsapp", "messenger", "instagram")
_LOOK_S: Final = 0.5
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
_BEYOND: Final = 10**9
"""After so many messages there are none: only how many there are is answered."""

Message = Mapping[str, Any]
"""A line of an emulator's log: `channel`, `recipient`, `accepted_at`, the request's `body` …"""


class NoEmulators(Exception):
    """No installation with emulators runs there."""


class Emulators:
    """The logs of the emulators that an installation runs."""

    def __init__(self, urls: Mapping[str, str], session: aiohttp.ClientSession) -> None:
        """`urls`: base address by channel."""
        self._urls = urls
        self._session = session
        self._seen = dict.fromkeys(urls, 0)

    async def newest(self, count: int, recipient: str = "") -> list[Message]:
        """The last `count` messages of all channels, oldest first."""
        for channel in self._urls:
            total = (await self._page(channel, _BEYOND, recipient))["total"]
            self._seen[channel] = max(0, total - count)
        return (await self.more(recipient))[-count:]

    async def more(self, recipient: str = "") -> list[Message]:
        """What came since the last look, oldest first."""
        found: list[Message] = []
        for channel in self._urls:
            while page := (await self._page(channel, self._seen[channel], recipient))["records"]:
                self._seen[channel] += len(page)
                found += page
        return sorted(found, key=lambda message: str(message["accepted_at"]))

    async def _page(self, channel: str, after: int, recipient: str) -> dict[str, Any]:
        asked = {"after": str(after)} | ({"recipient": recipient} if recipient else {})
        url = f"{self._urls[channel]}/_emulator/log"
        try:
            async with self._session.get(url, params=asked, timeout=_TIMEOUT) as answer:
                answer.raise_for_status()
                page: dict[str, Any] = await answer.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NoEmulators(f"the emulator of {channel} at {url} does not answer ({error})") from error
        return page


def urls_of(data_dir: Path, configured: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Where the emulators of the installation in `data_dir` are, by channel; where none runs there, as in a container,
    those that the channels' `configured` addresses lead to on this machine. Raises NoEmulators."""
    found = InstallationFile(data_dir).read()
    if found is None:
        if here := {channel: url for channel, url in (configured or {}).items() if _is_here(url)}:
            return here
        raise NoEmulators(f"nothing runs in {data_dir}: start it with `omnijourney up`")
    if not found.emulator_urls:
        raise NoEmulators(
            f"what runs in {data_dir} sends to the real channels: start it with `omnijourney up --emulators`"
        )
    return found.emulator_urls


def _is_here(url: str) -> bool:
    """No channel is reached without TLS, and no emulator elsewhere than on its own machine."""
    return url.startswith(("http://127.0.0.1:", "http://localhost:"))


async def show_log(
    data_dir: Path,
    configured: Mapping[str, str],
    channels: Sequence[str],
    recipient: str,
    count: int,
    *,
    follow: bool,
    as_json: bool,
) -> int:
    """Writes the last `count` messages that the emulators got (`urls_of` says which), and with `follow` those that
    come; returns the exit code."""

    def show(messages: Iterable[Message]) -> None:
        for message in messages:
            say(json.dumps(message, ensure_ascii=False) if as_json else line_of(message))

    try:
        urls = urls_of(data_dir, configured)
        wanted = {channel: url for channel, url in urls.items() if channel in (channels or CHANNELS)}
        async with aiohttp.ClientSession() as session:
            emulators = Emulators(wanted, session)
            show(await emulators.newest(count, recipient))
            while follow:
                await asyncio.sleep(_LOOK_S)
                show(await emulators.more(recipient))
    except NoEmulators as error:
        complain(str(error))
        return EXIT_FAULT
    return 0


def line_of(message: Message) -> str:
    """When, where, to whom, and the words."""
    at = str(message["accepted_at"])[:19].replace("T", " ")
    return f"{at}Z  {message['channel']:9}  {message['recipient']}  {' | '.join(words_of(message['body']))}"


def words_of(body: Mapping[str, Any]) -> Iterator[str]:
    """What a person would see of a request: each of LINE's messages, or the one of the others."""
    if "messages" in body:
        for each in body["messages"]:
            yield str(each.get("text") or each.get("altText") or f"[{each.get('type', 'message')}]")
        return
    message = body.get("message", body)
    kind = message.get("type") or next(iter(message), "message")
    said = message.get(kind)
    yield _words(said) or f"[{_name(said) or kind}]"


def _words(said: object) -> str:
    """The text of a message: itself, or where the channels put it."""
    if isinstance(said, str):
        return said
    if isinstance(said, Mapping):
        for key in ("text", "body", "payload"):
            if key in said:
                return _words(said[key])
    return ""


def _name(said: object) -> str:
    """The name of a template."""
    return f"template {said['name']}" if isinstance(said, Mapping) and "name" in said else ""
