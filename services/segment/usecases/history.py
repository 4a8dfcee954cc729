"""The history read again: as mail, as a feed, as the facts of a team."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.common.db.pool import Pool
from libs.common.feeds.serving import Reading
from libs.common.ids import CustomerKey
from services.segment.convert.facts import kind_of, tags_of
from services.segment.domain.facts import Fact, Unreadable
from services.segment.domain.views import FactKey, ListedFacts, MailFacts
from services.segment.store import history
from services.segment.worker.notifier import FactNotifiers

_READS_MAX: Final = 8
"""Pages that are looked at for facts of the kinds wanted before a caller goes on from where that led: within a call's
deadline, however long the history is."""


def _is_one_of(fact: Fact, kinds: frozenset[int]) -> bool:
    """Of one that cannot be read nobody knows: it may be wanted."""
    return isinstance(fact.body, Unreadable) or kind_of(fact.body) in kinds


class History:
    """Reads of facts that are committed."""

    def __init__(self, pool: Pool, notifiers: FactNotifiers) -> None:
        """`notifiers` wake readers that wait."""
        self._pool = pool
        self._notifiers = notifiers

    async def customer_mail(self, key: CustomerKey, after_number: int, row_max: int) -> MailFacts:
        """Facts that are mail to one customer, in the order of their numbers."""
        return await history.customer_mail(self._pool, *key, after_number, row_max)

    async def partition_mail(self, partition: int, after: int, row_max: int) -> MailFacts:
        """Facts that are mail to customers of a partition, in the order of positions."""
        return await history.partition_mail(self._pool, partition, after, row_max)

    async def team_mail(
        self, team_id: UUID, since: datetime, after: tuple[UUID, int] | None, row_max: int
    ) -> MailFacts:
        """Facts that are mail to customers of a team and were recorded since then, customer by customer."""
        return await history.team_mail(self._pool, team_id, since, after, row_max)

    def reading(
        self, cursors: Mapping[int, int], row_max: int, kinds: frozenset[int] | None
    ) -> Reading[Fact]:
        """A reader of facts after the cursors, of these kinds (None: all)."""
        tags = None if kinds is None else tags_of(kinds)
        reached = dict(cursors)
        at_end = False

        async def rows() -> tuple[list[Fact], dict[int, int]]:
            nonlocal reached, at_end
            found: list[Fact] = []
            for _ in range(_READS_MAX):
                page = await history.read_facts(self._pool, reached, row_max, tags=tags)
                reached, at_end = page.cursors, page.is_last
                found = [fact for fact in page.facts if kinds is None or _is_one_of(fact, kinds)]
                if found or page.is_last:
                    break
            return found, reached

        return Reading(rows, self._notifiers.of(tags), lambda: at_end)

    async def facts(
        self,
        team_id: UUID,
        *,
        customer_id: UUID | None,
        span: tuple[datetime, datetime],
        after: FactKey | None,
        row_max: int,
        newest_first: bool = False,
    ) -> ListedFacts:
        """Facts of a team, or of a customer, in the order of time or in the other one; `span` is [start, end)."""
        return await history.list_facts(
            self._pool,
            team_id,
            customer_id=customer_id,
            span=span,
            after=after,
            row_max=row_max,
            newest_first=newest_first,
        )
