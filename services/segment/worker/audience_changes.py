"""Changes of everyone in an audience, a few customers a transaction, with the place up to where they are done."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol
from uuid import UUID

import msgspec

from libs.common import crash
from libs.common.clock import Clock
from libs.common.db.faults import PASSING
from libs.common.db.pool import Connection, transaction
from libs.common.errors import Aborted, DomainError, InvalidArgument, NotFound, ResourceExhausted, Unavailable
from libs.common.mailbox.intake import Intake
from libs.common.rpc.operations import Progress
from libs.common.stepping import StepWorker
from services.segment import metrics
from services.segment.domain.audience_changes import (
    STEP_CUSTOMERS,
    AudienceChange,
    ChangeKey,
    ChangeState,
)
from services.segment.domain.edits import Editor, Profile
from services.segment.domain.facts import Fact
from services.segment.store import audience_changes as store
from services.segment.store.customers import load_for_edit, save_edited
from services.segment.worker.writers import FactPublisher, Writer, ids_of

_PASSING: Final = (ResourceExhausted, Unavailable, Aborted, *PASSING)
"""Too much mail waits, another service or the database is away, or others were faster: the step is done again."""


class Members(Protocol):
    """Who is in an audience."""

    async def first(self, change: AudienceChange) -> Sequence[UUID]:
        """The next STEP_CUSTOMERS after the place that the change has reached. Raises InvalidArgument for an audience
        that cannot be judged any more, NotFound, Unavailable."""
        ...


class AudienceChangeSteps:
    """See `libs.common.stepping.Steps`. Several processes may work; each step is one's."""

    def __init__(
        self,
        changes: store.AudienceChangeStore,
        members: Members,
        clock: Clock,
        writer: Writer,
        publisher: FactPublisher,
        *,
        intake: Intake,
    ) -> None:
        """One per process."""
        self._changes = changes
        self._members = members
        self._clock = clock
        self._writer = writer
        self._publisher = publisher
        self._intake = intake

    async def unfinished(self) -> Sequence[ChangeKey]:
        """Of all teams."""
        return await self._changes.unfinished()

    async def step(self, team_id: UUID, id_: UUID) -> int:
        """Changes the next customers; how many."""
        try:
            found = await self._changes.read((team_id, id_))
            customers = await self._members.first(found)
        except NotFound:
            return 0
        except InvalidArgument as error:
            await self._fail(found, error)
            return 0
        return await self._writer.until_alone("edits", partial(self._apply, found, customers))

    async def _apply(self, found: AudienceChange, customers: Sequence[UUID]) -> int:
        async with transaction(self._changes.pool, [found.team_id]) as connection:
            present = await store.lock_change(connection, found.key)
            elsewhere = (present.reached, present.done_count) != (found.reached, found.done_count)
            if present.state.has_ended or elsewhere:
                return 0
            facts, refused = await self._change(connection, found, customers)
            if any(fact.mail_number is not None for fact in facts):
                self._intake.check()
            await store.move_change(connection, await self._moved(connection, present, customers, refused))
            crash.reach("segment.before_audience_change_commit")
        crash.reach("segment.after_audience_change")
        self._publisher.publish(facts)
        return len(customers)

    async def _change(
        self, connection: Connection, found: AudienceChange, customers: Sequence[UUID]
    ) -> tuple[list[Fact], int]:
        """The facts, and how many customers refused."""
        if found.deletes_attribute:
            changed = await self._merge(connection, found, customers) if found.merge_into else ([], 0)
            await store.delete_values(connection, found.team_id, found.convert_key, customers)
            return changed
        if found.convert_key:
            return [], await store.convert_values(connection, found, customers)
        if found.spells:
            await store.spell_tag(connection, found.team_id, customers, found.add_tags[0])
            return [], 0
        named = Profile(tags=(*found.add_tags, *found.remove_tags), attributes=tuple(found.values.items()))
        context = await load_for_edit(connection, found.team_id, [(each, named) for each in customers])
        now = self._clock.now()
        editor = Editor(context, now, ids_of(now), triggers=found.triggers)
        refused = 0
        for customer in context.customers.values():
            try:
                editor.change_traits(customer, found.add_tags, found.remove_tags, found.values)
            except DomainError:
                refused += 1
        return await save_edited(connection, editor.edited(), context.customers, now), refused

    async def _merge(
        self, connection: Connection, found: AudienceChange, customers: Sequence[UUID]
    ) -> tuple[list[Fact], int]:
        """The facts, and how many customers lose a value since theirs of the attribute that stays is another."""
        named = Profile(attributes=((found.merge_into, ""),))
        context = await load_for_edit(connection, found.team_id, [(each, named) for each in customers])
        now = self._clock.now()
        editor = Editor(context, now, ids_of(now), triggers=False)
        lost = 0
        for customer_id, text in await store.seen_values(connection, found, customers):
            customer = context.customers.get((found.team_id, customer_id))
            if customer is not None:
                lost += editor.take_over(customer, found.merge_into, text)
        return await save_edited(connection, editor.edited(), context.customers, now), lost

    async def _moved(
        self, connection: Connection, present: AudienceChange, customers: Sequence[UUID], refused: int
    ) -> AudienceChange:
        refused += present.refused_count
        state, reached = ChangeState.RUNNING, customers[-1] if customers else present.reached
        if present.deletes_attribute:
            # Until nobody is found: a write that began before it was archived may have set another value.
            reached = None
            if not customers:
                state = ChangeState.SUCCEEDED
        elif len(customers) < STEP_CUSTOMERS:
            # Who got the tag meanwhile, before the place that was reached, is changed as well.
            again = present.of_tag and not (present.spells or refused)
            if again and await store.has_tag(connection, present.team_id, present.remove_tags[0]):
                reached = None
            else:
                state = ChangeState.SUCCEEDED
        return msgspec.structs.replace(
            present,
            state=state,
            reached=reached,
            done_count=present.done_count + len(customers),
            refused_count=refused,
            updated_at=self._clock.now(),
        )

    async def _fail(self, found: AudienceChange, error: InvalidArgument) -> None:
        said = "; ".join(f"{each.field} {each.description}" for each in error.violations) or error.message
        async with transaction(self._changes.pool, [found.team_id]) as connection:
            present = await store.lock_change(connection, found.key)
            if not present.state.has_ended:
                failed = msgspec.structs.replace(
                    present,
                    state=ChangeState.FAILED,
                    reason=error.reason,
                    message=said,
                    updated_at=self._clock.now(),
                )
                await store.move_change(connection, failed)


def audience_changer(steps: AudienceChangeSteps) -> StepWorker:
    """Works on changes of audiences."""
    return StepWorker(
        "audience change",
        steps,
        Progress(),
        passing=_PASSING,
        done=metrics.CHANGED_CUSTOMERS.inc,
        failed=metrics.AUDIENCE_CHANGE_FAULTS.inc,
    )
