"""Customers who open the links in their messages: some of them, hours later, the same in every run."""

import asyncio
import hashlib
import heapq
import re
import time
from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import aiohttp

from libs.common.backoff import Backoff, Retries
from libs.demo.definitions import PAGES
from libs.demo.patience import PATIENCE_S, DemoFault
from libs.demo.receipts import GrowingJournals
from libs.demo.stream import line_user_of, phone_of
from libs.emulators.journal import Record

SEED = "omnijourney"
SHARE = 0.4
"""Of the messages whose link is opened."""
HOURS_MAX = 48
"""After that much domain time at most."""
BROWSER = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Safari/604.1"
_BACKOFF = Backoff(0.05, 1.0)
_JOURNEYS = {page: journey for journey, page in PAGES.items()}


class Visit(NamedTuple):
    """A customer opened the link of a message, once."""

    member: int
    journey: str
    """Name of the journey whose page the link led to."""
    at: datetime
    """Domain time."""


class _Planned(NamedTuple):
    """In the order in which links are opened."""

    due: datetime
    recipient: str
    number: int
    """Of the message among those to that recipient, from 1."""
    link: str


class Visitors:
    """Reads messages out of the emulators' journals, as customers read them on their phones."""

    def __init__(
        self, session: aiohttp.ClientSession, receipts: Path, members: Collection[int], short_links: str
    ) -> None:
        """`short_links` is what the address of every short link begins with."""
        self._session = session
        self._journals = GrowingJournals(receipts)
        self._link = re.compile(re.escape(short_links) + "/[0-9A-Za-z]+")
        self._members = {phone_of(member).removeprefix("+"): member for member in members}
        self._members |= {user: member for member in members if (user := line_user_of(member))}
        self._messages: Counter[str] = Counter()
        self._planned: list[_Planned] = []
        self.visits: list[Visit] = []

    async def look(self, now: datetime) -> None:
        """Takes up what arrived since, and opens what is due while the clock stands at `now`. DemoFault when a link is
        not answered."""
        for line in self._journals.lines():
            self._plan(line, now)
        while self._planned and self._planned[0].due <= now:
            planned = heapq.heappop(self._planned)
            page = await self._open(planned.link)
            self.visits.append(Visit(self._members[planned.recipient], _JOURNEYS[page], now))

    @property
    def message_count(self) -> int:
        """Messages that were looked at."""
        return self._messages.total()

    def _plan(self, line: Record, now: datetime) -> None:
        recipient, link = str(line["recipient"]), self._link.search(str(line["body"]))
        self._messages[recipient] += 1
        number = self._messages[recipient]
        if link is None:
            return
        drawn = hashlib.sha256(f"{SEED}/{recipient}/{number}".encode()).digest()
        if int.from_bytes(drawn[:4]) < SHARE * 2**32:
            due = now + timedelta(hours=HOURS_MAX) * (int.from_bytes(drawn[4:8]) / 2**32)
            heapq.heappush(self._planned, _Planned(due, recipient, number, link[0]))

    async def _open(self, link: str) -> str:
        """Where it leads. Opened again until it is answered: an opening twice at one time is one click."""
        deadline_s, retries = time.monotonic() + PATIENCE_S, Retries(_BACKOFF)
        while True:
            try:
                async with self._session.get(
                    link, headers={"User-Agent": BROWSER}, allow_redirects=False
                ) as answer:
                    if answer.status == 302:
                        return answer.headers["Location"]
                    fault = f"HTTP {answer.status}"
            except (aiohttp.ClientError, TimeoutError) as error:
                fault = f"{type(error).__name__} {error}"
            if time.monotonic() > deadline_s:
                raise DemoFault(f"the link {link} is not answered: {fault}")
            await asyncio.sleep(retries.failed())
