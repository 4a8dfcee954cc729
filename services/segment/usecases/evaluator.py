"""Which customers are in an audience: loads what audiences name, asks points once, and lets the domain decide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from datetime import datetime
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from libs.common.audience.deciding import Decision, decide
from libs.common.audience.evaluation import evaluate
from libs.common.audience.expressions import (
    AttributeType,
    Balance,
    BasicField,
    Expression,
    HasAttribute,
    HasPoints,
    HasTags,
    HasTime,
    InAudience,
    IsBound,
    Subject,
    TimeField,
    attribute_keys,
    names_points,
    predicates,
)
from libs.common.audience.faults import Fault, attribute_faults
from libs.common.audience.memberships import membership_faults
from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.ids import CustomerKey
from libs.common.text import fold
from services.segment import metrics
from services.segment.clients.points import CustomerBalances
from services.segment.domain.model import CustomerView
from services.segment.domain.views import AudienceRules, CustomerParts
from services.segment.store.attributes import usable_attributes
from services.segment.store.audience_searches import Search
from services.segment.store.audience_sets import Span
from services.segment.store.audience_sql import Scope
from services.segment.store.customers import read_views
from services.segment.store.teams import load_audience_rules, load_team
from services.segment.usecases.memberships import expand_all

PAGE: Final = 500
"""Customers of one page of a stream."""
SPAN_ROWS: Final = 50_000
"""Customers of the team among whom a stream looks at once."""
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


class AudiencePage(NamedTuple):
    """Customers in an audience, and the one up to whom all are judged; None where there are none to judge."""

    customer_ids: Sequence[UUID]
    through: UUID | None


class _Evaluation:
    """One batch over what was read. Each customer and each audience is prepared once."""

    def __init__(
        self,
        now: datetime,
        views: Mapping[CustomerKey, CustomerView],
        rules: Mapping[UUID, AudienceRules],
        balances: Mapping[CustomerKey, Balance],
        *,
        keys: Set[str],
        tells: bool,
    ) -> None:
        """`keys` are of the attributes that the audiences name."""
        self._now = now
        self._tells = tells
        self._views = views
        self._rules = rules
        self._balances = balances
        self._named_types = {
            team_id: {key: kind for key, kind in each.types.items() if key in keys}
            for team_id, each in rules.items()
        }
        self._subjects: dict[CustomerKey, Subject] = {}
        self._faults: dict[tuple[UUID, int], list[Fault]] = {}

    def answer(self, question: AudienceQuestion) -> AudienceAnswer:
        team_id, customer_id, expression = question
        view = self._views.get((team_id, customer_id))
        if view is None:
            return AudienceAnswer(False, _NOBODY)
        rules = self._rules.get(team_id, _NO_RULES)
        has_phone = view.customer.phone is not None
        if faults := self._faults_of(team_id, expression, rules):
            return AudienceAnswer(False, faults[0], has_phone)
        subject = self._subject((team_id, customer_id), view)
        found = self._decide(expression, subject, rules.zone)
        return AudienceAnswer(found.belongs, None, has_phone, found.seen)

    def _decide(self, expression: Expression, subject: Subject, zone: str) -> Decision:
        if self._tells:
            return decide(expression, subject, self._now, zone)
        return Decision(evaluate(expression, subject, self._now, zone), "")

    def _faults_of(self, team_id: UUID, expression: Expression, rules: AudienceRules) -> list[Fault]:
        key = (team_id, id(expression))
        faults = self._faults.get(key)
        if faults is None:
            faults = self._faults[key] = [
                *membership_faults(expression),
                *attribute_faults(expression, rules.types),
            ]
        return faults

    def _subject(self, key: CustomerKey, view: CustomerView) -> Subject:
        subject = self._subjects.get(key)
        if subject is None:
            points = self._balances.get(key, _NO_POINTS)
            types = self._named_types.get(key[0], {})
            subject = self._subjects[key] = subject_of(view, types, points)
        return subject


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
        expressions = {id(question.expression): question.expression for question in questions}
        named = {type(item) for expression in expressions.values() for item in predicates(expression)}
        if InAudience in named:
            questions = await self._expanded(questions)
            expressions = {id(question.expression): question.expression for question in questions}
            named = {type(item) for expression in expressions.values() for item in predicates(expression)}
        wanted = CustomerParts(
            tags=HasTags in named, attributes=HasAttribute in named, identities=IsBound in named
        )
        await self._catch_up(*expressions.values())
        views = await read_views(self._pool, {(q.team_id, q.customer_id) for q in questions}, wanted)
        rules: dict[UUID, AudienceRules] = {}
        if named & {HasAttribute, HasTime}:
            rules = await load_audience_rules(self._pool, {question.team_id for question in questions})
        balances = await self._balances(questions) if HasPoints in named else {}
        keys = set().union(*map(attribute_keys, expressions.values()))
        evaluation = _Evaluation(self._clock.now(), views, rules, balances, keys=keys, tells=tells)
        answers = [evaluation.answer(question) for question in questions]
        metrics.EVALUATIONS.inc(len(questions))
        return answers

    async def _expanded(self, questions: Sequence[AudienceQuestion]) -> list[AudienceQuestion]:
        """The same with all that audiences name in its place."""
        asked = {(each.team_id, id(each.expression)): each.expression for each in questions}
        found = await expand_all(self._pool, asked)
        return [each._replace(expression=found[each.team_id, id(each.expression)]) for each in questions]

    async def count(self, team_id: UUID, expression: Expression) -> int:
        """How many customers of the team are in an audience, which is expanded."""
        await self._catch_up_with_all(expression)
        async with transaction(self._pool, [team_id]) as connection:
            scope = await self._scope(connection, team_id)
            return await Search(connection, team_id, expression, scope).count()

    async def first(
        self, team_id: UUID, expression: Expression, after: UUID | None, row_max: int
    ) -> list[UUID]:
        """The first customers in an audience, which is expanded, after one, in order of their ids."""
        await self._catch_up_with_all(expression)
        async with transaction(self._pool, [team_id]) as connection:
            scope = await self._scope(connection, team_id)
            return await Search(connection, team_id, expression, scope).first(after, row_max)

    async def pages(
        self, team_id: UUID, expression: Expression, after: UUID | None = None
    ) -> AsyncIterator[AudiencePage]:
        """All customers in an audience, which is expanded, in order of their ids, some at a time; pages may be empty.

        Those among SPAN_ROWS customers are of one moment, so that a long stream holds no transaction open.
        """
        await self._catch_up_with_all(expression)
        while True:
            async with transaction(self._pool, [team_id]) as connection:
                scope = await self._scope(connection, team_id)
                search = Search(connection, team_id, expression, scope)
                until = await search.span_end(after, SPAN_ROWS)
                found = await search.within(Span(after, until), SPAN_ROWS)
            for start in range(0, len(found), PAGE):
                page = found[start : start + PAGE]
                is_last = start + PAGE >= len(found)
                yield AudiencePage(page, until if until and is_last else page[-1])
            if until is None:
                return
            if not found:
                yield AudiencePage((), until)
            after = until

    async def _catch_up(self, *expressions: Expression) -> None:
        """Messages that left are told in the gateway's history: what is judged by them waits until it is taken."""
        named = (item for expression in expressions for item in predicates(expression))
        if any(isinstance(item, HasTime) and item.field is TimeField.MARKETED for item in named):
            await self._marketed.catch_up()

    async def _catch_up_with_all(self, expression: Expression) -> None:
        """The same, and points, of which there are only those that the ledger's history told."""
        await self._catch_up(expression)
        if names_points(expression):
            await self._points_of_all.catch_up()

    async def _scope(self, connection: Connection, team_id: UUID) -> Scope:
        team = await load_team(connection, team_id)
        types = await usable_attributes(connection, team_id)
        return Scope(types, self._clock.now(), team.settings.time_zone)

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


def subject_of(view: CustomerView, types: dict[str, AttributeType], points: Balance) -> Subject:
    """A customer as audiences see it: folded texts, active attributes only."""
    customer = view.customer
    basics = {
        BasicField.MEMBER_ID: customer.member_id,
        BasicField.PHONE: customer.phone,
        BasicField.EMAIL: customer.email,
    }
    times = {
        TimeField.CUSTOMER_INTERACTED: customer.customer_interact_time,
        TimeField.TEAM_INTERACTED: customer.team_interact_time,
        TimeField.MARKETED: customer.marketed_time,
        TimeField.CHECKOUT: customer.checkout_time,
    }
    bound = {(identity.key.channel, str(identity.key.account_id)) for identity in view.identities}
    return Subject(
        basics={field: fold(text) for field, text in basics.items() if text is not None},
        times={field: at for field, at in times.items() if at is not None},
        tags=frozenset(fold(tag) for tag in view.tags),
        values={
            key: fold(text) if types[key] == AttributeType.TEXT else text
            for key, text in view.attributes.items()
            if key in types
        },
        bound=frozenset(bound | {(channel, "") for channel, _ in bound}),
        points=points,
    )
