"""Merges of customers as they are asked for; `worker/merges.py` takes their steps (ADR 56)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from libs.common.callers import caller
from libs.common.db.pool import Connection
from libs.common.errors import FailedPrecondition
from libs.common.ids import epoch_ms, new_id
from services.segment.domain.consents import ACTOR_MAX
from services.segment.domain.edits import Editor, Profile
from services.segment.domain.facts import Fact
from services.segment.domain.merging import Merge
from services.segment.domain.views import CustomerParts
from services.segment.store import customers, teams
from services.segment.store.base import lock_customers
from services.segment.store.erasures import is_any_being_erased
from services.segment.store.merged import absent
from services.segment.store.merges import MergeKey, MergeStore, accepted
from services.segment.usecases.edits import Edits, Once, Reply
from services.segment.worker.writers import ids_of

_WHOLE = CustomerParts(archived=True)


class Merges:
    """Starts merges and shows them."""

    def __init__(self, store: MergeStore, edits: Edits, started: Callable[[], None]) -> None:
        """`started` is called when a step is due."""
        self._store = store
        self._edits = edits
        self._started = started

    async def start(
        self, once: Once[Merge, Reply], team_id: UUID, survivor_id: UUID, loser_id: UUID
    ) -> Reply:
        """Accepts a merge: from then on everything that names the one who goes is the other's.

        Raises NotFound; FailedPrecondition `CUSTOMER_MERGED` where either is gone, `CUSTOMER_ERASED` where either is
        being erased, `CUSTOMER_LIMIT_REACHED` where the other would have too many tags.
        """

        async def work(connection: Connection, facts: list[Fact]) -> Merge:
            return await self._close(connection, facts, team_id, survivor_id, loser_id)

        reply = await self._edits.once(once, work)
        self._started()
        return reply

    async def _close(
        self, connection: Connection, facts: list[Fact], team_id: UUID, survivor_id: UUID, loser_id: UUID
    ) -> Merge:
        await teams.load_team(connection, team_id)
        survivor_key, loser_key = (team_id, survivor_id), (team_id, loser_id)
        locked = await lock_customers(connection, [survivor_key, loser_key])
        for key in (survivor_key, loser_key):
            if key not in locked:
                raise await absent(connection, key)
        if await is_any_being_erased(connection, team_id, (survivor_id, loser_id)):
            # Who goes would leave what is known of them with the survivor, and an erasure that finds nobody; whoever is
            # merged into somebody who is being erased would be erased with them.
            raise FailedPrecondition("CUSTOMER_ERASED", "one of the two is being erased")
        views = await customers.load_views(connection, locked, _WHOLE)
        other = views[loser_key]
        named = Profile(tags=other.tags, attributes=tuple(other.attributes.items()))
        context = await customers.load_for_edit(connection, team_id, [(survivor_id, named)])
        now = self._edits.now()
        editor = Editor(context, now, ids_of(now), triggers=False)
        editor.unite(context.customers[survivor_key], views[survivor_key], other)
        await self._store.close(connection, team_id, loser_id, survivor_id, now)
        merge = accepted(
            team_id,
            new_id(epoch_ms(now)),
            survivor_id,
            loser_id,
            actor=caller().name[:ACTOR_MAX],
            last_mail=locked[loser_key].mail_number,
            now=now,
        )
        await self._store.insert(connection, merge)
        facts += await customers.save_edited(connection, editor.edited(), context.customers, now)
        return merge

    async def read(self, key: MergeKey) -> Merge:
        """One. Raises NotFound."""
        return await self._store.read(key)

    async def page(
        self, team_id: UUID, customer_id: UUID | None, before: tuple[datetime, UUID] | None, row_max: int
    ) -> list[Merge]:
        """Newest first."""
        return list(await self._store.page(team_id, customer_id, before, row_max))
