"""The customers of a simulation, some at a time, read ahead of whoever runs them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Final, NamedTuple

from libs.common.mailbox.mail import Mail
from services.journey.clients.simulation import MailKey, Recorded
from services.journey.domain.simulated_customer import PastCustomer
from services.journey.domain.simulation import Terms
from services.journey.domain.simulation_premises import Surroundings, needs_of

MAILS_OF_CUSTOMER_MAX: Final = 50_000
"""Mails of one customer that are held; later ones are left out."""
CUSTOMERS_MAX: Final = 200
"""Customers who are asked about, and given, at once."""


class Some(NamedTuple):
    """Customers who enter the journey, and the events of the simulated time that were read for them and others since
    the last that were given."""

    customers: Sequence[PastCustomer]
    events: int


class _Gathered:
    """Mail of one customer."""

    __slots__ = ("enters", "mails")

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.enters = False
        """Whether any of it meets the trigger within the simulated time."""


class RecordedCustomers:
    """Reads all customers with mail."""

    def __init__(self, recorded: Recorded, terms: Terms, around: Surroundings) -> None:
        """`recorded` is asked about the team of `terms`."""
        self._recorded = recorded
        self._terms = terms
        self._around = around
        self._needs = needs_of(terms.journey.definition, terms.expressions.values())
        self._events = 0

    async def read(self) -> AsyncGenerator[Some, None]:
        """All of them, each with all mail that was recorded since the start of the simulated time; the next ones are
        read while these are run. Raises what `Recorded` raises."""
        async with aclosing(self._some()) as source:
            following = asyncio.ensure_future(anext(source, None))
            try:
                while (some := await following) is not None:
                    following = asyncio.ensure_future(anext(source, None))
                    yield some
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)

    async def _some(self) -> AsyncGenerator[Some, None]:
        async for page in self._pages():
            entering = [each.mails for each in page if each.enters]
            for place in range(0, max(1, len(entering)), CUSTOMERS_MAX):
                customers = await self._past(entering[place : place + CUSTOMERS_MAX])
                yield Some(customers, self._events)
                self._events = 0

    async def _past(self, mails: Sequence[list[Mail]]) -> list[PastCustomer]:
        ids = [each[0].customer_id for each in mails]
        team_id, start = self._terms.journey.team_id, self._terms.start
        standings = await self._recorded.standings(team_id, ids, self._needs, self._around, start)
        return list(map(PastCustomer, ids, mails, standings))

    async def _pages(self) -> AsyncIterator[list[_Gathered]]:
        """Customers of whom all mail has been read."""
        team_id, start = self._terms.journey.team_id, self._terms.start
        after: MailKey | None = None
        held: list[_Gathered] = []
        more = True
        while more:
            page = await self._recorded.mails(team_id, start, after)
            for mail in page.mails:
                self._gather(held, mail)
                after = (mail.customer_id, mail.number)
            more = page.more
            yield held[:-1] if more else held
            del held[:-1]

    def _gather(self, held: list[_Gathered], mail: Mail) -> None:
        """Puts mail, in order of customers, with its customer; of one with very much the rest is left out."""
        if not held or held[-1].mails[0].customer_id != mail.customer_id:
            held.append(_Gathered())
        customer, holds = held[-1], self._terms.holds(mail)
        if len(customer.mails) < MAILS_OF_CUSTOMER_MAX:
            self._events += holds
            customer.mails.append(mail)
            customer.enters = customer.enters or (holds and self._terms.meets(mail))
