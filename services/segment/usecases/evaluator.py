"""Which customers are in an audience: loads what audiences name, asks points once, and lets the domain decide."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import msgspec

from libs.common.audience.deciding import Decider, Decision, decider
from libs.common.audience.evaluation import evaluate
from libs.common.audience.expressions import (
    Balance,
    Expression,
    HasAttribute,
    HasBasic,
    HasPoints,
    HasTags,
    HasTime,
    InAudience,
    IsBound,
    TimeField,
    names_points,
    predicates,
)
from libs.common.audience.faults import Fault, attribute_faults
from libs.common.audience.memberships import membership_faults
from libs.common.audience.spellings import is_local, localized
from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.ids import CustomerKey
from services.segment import metrics
from services.segment.clients.points import CustomerBalances
from services.segment.domain.model import CustomerView
from services.segment.domain.views import AudienceRules, Judged, JudgedBy
from services.segment.store.attributes import usable_attributes
from services.segment.store.audience_searches import Search
from services.segment.store.audience_sets import Span
from services.segment.store.audience_sql import Scope
from services.segment.store.customers import read_views
from services.segment.store.judged import read_judged
from services.segment.store.teams import load_team, load_teams
from services.segment.usecases.memberships import expand_all

PAGE: Final = 500
"""Customers of one page of a stream."""
SPAN: Final = 250_000
"""Customers whom a stream finds at once: each time the whole audience is looked for. 18 MB of ids are held at most."""
_ID_LENGTH: Final = 36
_NO_POINTS: Final = Balance(0, 0)
_NO_RULES: Final = AudienceRules("UTC", {})
"""For audiences that name neither attributes nor times."""
_NOBODY: Final = Fault("", "RESOURCE_NOT_FOUND", "there is no such customer")


class AudienceQuestion(NamedTuple):
    """Is this customer in this audience?"""

    team_id: UUID
    customer_id: UUID
    expression: Expression


class AudienceAnswer(NamedTuple):
    """Whether the customer is in the audience, or why that cannot be evaluated; and whether they have a phone.

    `seen` is what decided it, where that was to be told.
    """

    matches: bool
    fault: Fault | None = None
    has_phone: bool = False
    seen: str = ""


class _Evaluation:
    """One batch over what was read. Each customer and each audience is prepared once."""

    def __init__(
        self,
        now: datetime,
        customers: Mapping[CustomerKey, Judged],
        rules: Mapping[UUID, AudienceRules],
        balances: Mapping[CustomerKey, Balance],
        *,
        tells: bool,
    ) -> None:
        self._now = now
        self._tells = tells
        self._customers = customers
        self._rules = rules
        self._balances = balances
        self._audiences: dict[tuple[UUID, int], Fault | Decider] = {}

    def answer(self, team_id: UUID, customer_id: UUID, expression: Expression) -> AudienceAnswer:
        found = self._customers.get((team_id, customer_id))
        if found is None:
            return AudienceAnswer(False, _NOBODY)
        has_phone, subject = found
        audience = self._audiences.get((team_id, id(expression)))
        if audience is None:
            audience = self._audiences[team_id, id(expression)] = self._prepared(team_id, expression)
        if isinstance(audience, Fault):
            return AudienceAnswer(False, audience, has_phone)
        if self._balances:
            points = self._balances.get((team_id, customer_id), _NO_POINTS)
            subject = msgspec.structs.replace(subject, points=points)
        belongs, seen = audience(subject)
        return AudienceAnswer(belongs, None, has_phone, seen)

    def _prepared(self, team_id: UUID, expression: Expression) -> Fault | Decider:
        """What decides, or why nothing can be decided."""
        zone, types = self._rules.get(team_id, _NO_RULES)
        faults = [*membership_faults(expression), *attribute_faults(expression, types)]
        if faults:
            return faults[0]
        if self._tells:
            return decider(expression, self._now, zone)
        return lambda subject: Decision(evaluate(expression, subject, self._now, zone), "")


class Followed(Protocol):
    """What is taken from the history of another service."""

    async def catch_up(self) -> None:
        """Returns when all that was committed there before this was called is known. Raises Unavailable."""
        ...


class AudienceEvaluator:
    """Evaluates audiences over customers as they are now."""

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        points: CustomerBalances,
        *,
        marketed: Followed,
        points_of_all: Followed,
    ) -> None:
        """`points` is asked once per batch of customers who are judged, if at all, and so is `marketed`, the times at
        which messages left. `points_of_all` is what all customers of a team are counted and listed by."""
        self._marketed = marketed
        self._points_of_all = points_of_all
        self._pool = pool
        self._clock = clock
        self._points = points

    async def evaluate(
        self, questions: Sequence[AudienceQuestion], *, tells: bool = False
    ) -> list[AudienceAnswer]:
        """One answer per question, in order; only one that `tells` says what decided it. What no audience names is not
        read."""
        named = _named(questions)
        if any(isinstance(item, InAudience) for item in named):
            questions = await self._expanded(questions)
            named = _named(questions)
        if any(map(is_local, named)):
            questions = await self._localized(questions)
        await self._catch_up(named)
        keys = [(team_id, customer_id) for team_id, customer_id, _ in questions]
        customers, rules = await read_judged(self._pool, keys, _judged_by(named))
        names_any_points = any(isinstance(item, HasPoints) for item in named)
        balances = await self._balances(questions) if names_any_points else {}
        evaluation = _Evaluation(self._clock.now(), customers, rules, balances, tells=tells)
        answers = [evaluation.answer(*question) for question in questions]
        metrics.EVALUATIONS.inc(len(questions))
        return answers

    async def _expanded(self, questions: Sequence[AudienceQuestion]) -> list[AudienceQuestion]:
        """The same with all that audiences name in its place."""
        asked = {(each.team_id, id(each.expression)): each.expression for each in questions}
        found = await expand_all(self._pool, asked)
        return [each._replace(expression=found[each.team_id, id(each.expression)]) for each in questions]

    async def _localized(self, questions: Sequence[AudienceQuestion]) -> list[AudienceQuestion]:
        """The same with phones as the teams' countries write them read."""
        team_ids = {each.team_id for each in questions}
        async with transaction(self._pool, team_ids) as connection:
            found = await load_teams(connection, team_ids)
        countries = {team_id: team.settings.country for team_id, team in found.items()}
        asked = {(each.team_id, id(each.expression)): each.expression for each in questions}
        read = {key: localized(each, countries.get(key[0], "")) for key, each in asked.items()}
        return [each._replace(expression=read[each.team_id, id(each.expression)]) for each in questions]

    async def count(self, team_id: UUID, expression: Expression) -> int:
        """How many customers of the team are in an audience, which is expanded. Of many each half is counted by a
        connection of its own, as of its own moment."""
        await self._catch_up_with_all(expression)
        async with transaction(self._pool, [team_id]) as connection:
            search = await self._search(connection, team_id, expression)
            middle = await search.middle()
            if middle is None:
                return await search.count(Span())
        halves = Span(until=middle), Span(after=middle)
        return sum(await asyncio.gather(*(self._count_within(half, team_id, search) for half in halves)))

    async def _count_within(self, span: Span, team_id: UUID, search: Search) -> int:
        async with transaction(self._pool, [team_id]) as connection:
            return await search.on(connection).count(span)

    async def first(
        self, team_id: UUID, expression: Expression, after: UUID | None, row_max: int
    ) -> list[UUID]:
        """The first customers in an audience, which is expanded, after one, in order of their ids."""
        await self._catch_up_with_all(expression)
        async with transaction(self._pool, [team_id]) as connection:
            return await (await self._search(connection, team_id, expression)).first(after, row_max)

    async def pages(
        self, team_id: UUID, expression: Expression, after: UUID | None = None
    ) -> AsyncIterator[Sequence[str]]:
        """The ids of all customers in an audience, which is expanded, in their order, some at a time.

        SPAN of them are of one moment, so that a long stream holds no transaction open. Those after them are looked for
        while these are taken.
        """
        await self._catch_up_with_all(expression)
        ahead = asyncio.create_task(self._written(team_id, expression, after))
        try:
            while found := await ahead:
                ahead = asyncio.create_task(self._written_after(team_id, expression, found))
                for page in _pages(found):
                    yield page
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)

    async def _written_after(self, team_id: UUID, expression: Expression, found: str) -> str:
        """Those who follow on those that were found."""
        if len(found) < SPAN * (_ID_LENGTH + 1) - 1:
            return ""
        return await self._written(team_id, expression, UUID(found[-_ID_LENGTH:]))

    async def _written(self, team_id: UUID, expression: Expression, after: UUID | None) -> str:
        """The ids of the next SPAN customers in the audience, with commas between."""
        async with transaction(self._pool, [team_id]) as connection:
            return await (await self._search(connection, team_id, expression)).written_within(
                Span(after), SPAN
            )

    async def _catch_up(self, named: Iterable[Expression]) -> None:
        """Messages that left are told in the gateway's history: what is judged by them waits until it is taken."""
        if any(isinstance(item, HasTime) and item.field is TimeField.MARKETED for item in named):
            await self._marketed.catch_up()

    async def _catch_up_with_all(self, expression: Expression) -> None:
        """The same, and points, of which there are only those that the ledger's history told."""
        await self._catch_up(predicates(expression))
        if names_points(expression):
            await self._points_of_all.catch_up()

    async def _search(self, connection: Connection, team_id: UUID, expression: Expression) -> Search:
        settings = (await load_team(connection, team_id)).settings
        types = await usable_attributes(connection, team_id)
        scope = Scope(types, self._clock.now(), settings.time_zone)
        return Search(connection, team_id, localized(expression, settings.country), scope)

    async def views(self, team_id: UUID, customer_ids: Sequence[UUID]) -> list[CustomerView]:
        """Customers whole, in the order given; those that are gone are left out."""
        views = await read_views(self._pool, [(team_id, customer_id) for customer_id in customer_ids])
        return [view for customer_id in customer_ids if (view := views.get((team_id, customer_id)))]

    async def _balances(self, questions: Sequence[AudienceQuestion]) -> dict[CustomerKey, Balance]:
        naming: dict[int, bool] = defaultdict(bool)
        wanted: set[CustomerKey] = set()
        for question in questions:
            identity = id(question.expression)
            if identity not in naming:
                naming[identity] = names_points(question.expression)
            if naming[identity]:
                wanted.add((question.team_id, question.customer_id))
        return await self._points.balances(sorted(wanted)) if wanted else {}


def _pages(written: str) -> Iterator[Sequence[str]]:
    """Ids with commas between, some at a time."""
    step = PAGE * (_ID_LENGTH + 1)
    for start in range(0, len(written), step):
        yield written[start : start + step].removesuffix(",").split(",")


def _named(questions: Iterable[AudienceQuestion]) -> list[Expression]:
    """The predicates of all audiences asked about."""
    expressions = {id(question.expression): question.expression for question in questions}
    return list(chain.from_iterable(map(predicates, expressions.values())))


def _judged_by(named: Sequence[Expression]) -> JudgedBy:
    """What has to be known of customers to judge them by these predicates."""
    kinds = set(map(type, named))
    return JudgedBy(
        basics=HasBasic in kinds,
        times=frozenset(item.field for item in named if isinstance(item, HasTime)),
        tags=frozenset[str]().union(*(item.tags for item in named if isinstance(item, HasTags))),
        keys=frozenset(item.key for item in named if isinstance(item, HasAttribute)),
        accounts=IsBound in kinds,
    )
