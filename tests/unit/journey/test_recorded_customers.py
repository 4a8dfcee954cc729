"""Customers of a simulation: read ahead, in parts, and no further than somebody wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from uuid import UUID, uuid5

import pytest
from msgspec.structs import replace

from libs.common.feeds.serving import MailPage
from libs.common.mailbox import mail as m
from services.journey.clients.calls import ServiceUnavailable
from services.journey.domain.simulated_customer import PastCustomer, Standing
from services.journey.domain.simulation import Terms
from services.journey.domain.simulation_premises import Surroundings
from services.journey.worker import recorded_customers as reading
from services.journey.worker.recorded_customers import RecordedCustomers
from tests.unit.journey.builders import CUSTOMER, NOW, checkout, delay, journey, mail, minutes

TERMS = Terms(journey(delay("wait", 60)), NOW, NOW + minutes(60))
AROUND = Surroundings("UTC", None, {}, {}, {}, None, {})
PEOPLE = sorted(uuid5(CUSTOMER, str(number)) for number in range(6))


def of(customer: UUID, *mails: m.Mail) -> list[m.Mail]:
    return [replace(each, customer_id=customer) for each in mails]


class Pages:
    """Pages of mail; `failing` is raised instead of the page of that number."""

    def __init__(self, *pages: Sequence[m.Mail], failing: int | None = None) -> None:
        self._pages = pages
        self._failing = failing
        self.asked: list[object] = []
        """After which mail each page was."""
        self.parts: list[int] = []
        """How many customers were asked about at once."""
        self.waiting = asyncio.Event()
        """Set: a page that is not the first is waited for without end."""

    async def mails(self, team_id: object, since: object, after: object) -> MailPage:
        """See `Recorded`."""
        number = len(self.asked)
        self.asked.append(after)
        if number == self._failing:
            raise ServiceUnavailable("away")
        if number and self.waiting.is_set():
            await asyncio.Event().wait()
        return MailPage(self._pages[number], more=number + 1 < len(self._pages))

    async def standings(self, team_id: object, ids: Sequence[object], *_: object) -> list[Standing]:
        """See `Recorded`."""
        self.parts.append(len(ids))
        return [Standing() for _ in ids]

    async def surroundings(self, *_: object) -> Surroundings:
        """See `Recorded`."""
        return AROUND


async def test_who_enters_is_given_with_all_mail_and_of_the_others_events_are_counted() -> None:
    pages = Pages(
        [*of(PEOPLE[0], checkout(1)), *of(PEOPLE[1], checkout(1))],
        of(PEOPLE[1], mail(2, m.TagApplied("vip"), NOW + minutes(1)), checkout(3, NOW + minutes(90))),
        [*of(PEOPLE[2], mail(1, m.TagApplied("vip"))), *of(PEOPLE[3], checkout(1, NOW + minutes(90)))],
    )
    given = [some async for some in RecordedCustomers(pages, TERMS, AROUND).read()]
    customers = [each for some in given for each in some.customers]
    assert [(each.customer_id, len(each.mails)) for each in customers] == [(PEOPLE[0], 1), (PEOPLE[1], 3)]
    assert sum(some.events for some in given) == 4, "two came after the end"
    assert pages.asked == [None, (PEOPLE[1], 1), (PEOPLE[1], 3)]


async def test_the_next_page_is_read_while_customers_are_run() -> None:
    pages = Pages(*(of(person, checkout(1)) for person in PEOPLE))
    async with aclosing(RecordedCustomers(pages, TERMS, AROUND).read()) as read:
        await anext(read)
        asked = len(pages.asked)
        while len(pages.asked) == asked:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(pages.asked) <= asked + 2, "one part ahead, and what tells that its last customer is whole"


async def test_of_many_customers_so_many_are_asked_about_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CUSTOMERS_MAX", 4)
    pages = Pages([each for person in PEOPLE for each in of(person, checkout(1))])
    given = [some async for some in RecordedCustomers(pages, TERMS, AROUND).read()]
    assert (pages.parts, [some.events for some in given]) == ([4, 2], [6, 0])


async def test_of_one_with_very_much_the_rest_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAILS_OF_CUSTOMER_MAX", 2)
    pages = Pages(of(PEOPLE[0], *(checkout(number) for number in range(1, 6))), of(PEOPLE[1], checkout(1)))
    given = [some async for some in RecordedCustomers(pages, TERMS, AROUND).read()]
    assert [len(each.mails) for some in given for each in some.customers] == [2, 1]
    assert sum(some.events for some in given) == 3


@pytest.mark.parametrize("failing", [0, 1, 2])
async def test_a_page_that_cannot_be_read_is_told_when_it_is_wanted(failing: int) -> None:
    pages = Pages(*(of(person, checkout(1)) for person in PEOPLE[:3]), failing=failing)
    given: list[PastCustomer] = []

    async def run() -> None:
        async for some in RecordedCustomers(pages, TERMS, AROUND).read():
            given.extend(some.customers)

    with pytest.raises(ServiceUnavailable):
        await run()
    assert len(given) == max(0, failing - 1), "of the last one read, more may follow"


async def test_who_stops_early_leaves_nothing_running() -> None:
    pages, before = Pages(*(of(person, checkout(1)) for person in PEOPLE)), asyncio.all_tasks()
    async with aclosing(RecordedCustomers(pages, TERMS, AROUND).read()) as read:
        await anext(read)
        pages.waiting.set()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() > before
    assert asyncio.all_tasks() == before
