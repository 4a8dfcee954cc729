"""A source of mail: what it has committed is delivered in order, at least once, whatever the mailboxes do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from libs.common.clock import SteppedClock
from libs.common.feeds.serving import MailPage
from libs.common.mailbox.errors import MailboxUnavailable
from libs.common.mailbox.mail import Body, Mail, MailSource
from libs.common.mailbox.memory import InMemoryMailbox, MemoryServer
from libs.testing.mails import Numberer
from tests.sim.chance import Chance

PAGE_MAX: Final = 5


class Source:
    """Keeps mail, numbers it where its service does not, and relays it."""

    def __init__(self, source: MailSource, server: MemoryServer, clock: SteppedClock, chance: Chance) -> None:
        self.mails: list[Mail] = []
        self.delivered = 0
        """Mails of `mails` that were delivered at least once."""
        self.delivered_at: list[float] = []
        """When each of those was, loop time."""
        self._source = source
        self._numberer = Numberer(source)
        self._mailbox = InMemoryMailbox(server)
        self._clock = clock
        self._chance = chance
        self._stirred = asyncio.Event()

    def record(self, customer_id: UUID, body: Body, depth: int = 0) -> Mail:
        """Numbers a mail and commits it: from here on it counts as accepted."""
        mail = self._numberer.mail(customer_id, body)
        mail = replace(mail, occurred_at=self._clock.now(), depth=depth)
        self.commit([mail])
        return mail

    def commit(self, mails: Iterable[Mail]) -> None:
        """Takes mail that its service has numbered."""
        self.mails += mails
        self._stirred.set()

    def seconds_in_mailbox(self, customer_id: UUID, kind: type[Body]) -> float | None:
        """For how long a customer's newest mail of a kind lies there, 0 while it is on its way; None without any."""
        places = [
            i for i, m in enumerate(self.mails) if m.customer_id == customer_id and type(m.body) is kind
        ]
        if not places:
            return None
        delivered = self.delivered_at[places[-1] :][:1]
        return asyncio.get_running_loop().time() - delivered[0] if delivered else 0.0

    async def relay(self) -> None:
        """Delivers for ever."""
        chance = self._chance
        while True:
            while self.delivered == len(self.mails):
                self._stirred.clear()
                await self._stirred.wait()
            await asyncio.sleep(chance.some(0.5))
            page = self.mails[self.delivered : self.delivered + chance.random.randint(1, 6)]
            try:
                await self._mailbox.deliver(page)
                if chance.strikes(f"delivery of {self._source.name} repeated", 0.02):
                    continue
            except MailboxUnavailable:
                await asyncio.sleep(0.2)
                continue
            self.delivered += len(page)
            self.delivered_at += [asyncio.get_running_loop().time()] * len(page)
            if chance.strikes(f"old mail of {self._source.name} delivered again", 0.05):
                await self._again()

    async def _again(self) -> None:
        old = [replace(self._chance.random.choice(self.mails[: self.delivered]), view=None) for _ in range(3)]
        try:
            await self._mailbox.deliver(old)
        except MailboxUnavailable:
            return

    async def of_customer(self, team_id: UUID, customer_id: UUID, after_number: int) -> MailPage:
        """See `MailReader`; short pages, so that paging is tried."""
        return _page([m for m in self.mails if m.customer_id == customer_id and m.number > after_number])

    async def of_partition(self, partition: int, after_position: int) -> MailPage:
        """See `MailReader`; short pages, so that paging is tried."""
        return _page([m for m in self.mails if m.partition == partition and m.position > after_position])


def _page(mails: list[Mail]) -> MailPage:
    """No view lies in a history."""
    page = [replace(mail, view=None) for mail in mails[:PAGE_MAX]]
    return MailPage(page, more=len(mails) > PAGE_MAX)
