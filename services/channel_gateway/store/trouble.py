"""What channels say of accounts and templates while sending."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.clock import Clock
from libs.common.db.pool import Pool, transaction
from libs.common.errors import NotFound
from services.channel_gateway.domain.content import TemplateState
from services.channel_gateway.domain.facts import GoneKind, gone
from services.channel_gateway.domain.hearsay import AccountTemplate
from services.channel_gateway.domain.model import Account, AccountState
from services.channel_gateway.domain.templates import ListedTemplate, compared
from services.channel_gateway.domain.unreachable import RefusedPerson, refusal_webhook
from services.channel_gateway.store import content
from services.channel_gateway.store.book import QUERIES, columns
from services.channel_gateway.store.facts import Written, write_facts
from services.channel_gateway.store.inbox import InboxStore
from services.channel_gateway.store.limited import LimitStore

GONE_AT_CHANNEL: Final = "GONE_AT_CHANNEL"


class TroubleStore:
    """Records what channels say of accounts and templates while sending."""

    def __init__(self, pool: Pool, inbox: InboxStore, clock: Clock) -> None:
        """`pool` of the service's own role; `inbox` takes what is told of people."""
        self._pool = pool
        self._inbox = inbox
        self._clock = clock
        self._limits = LimitStore(pool)

    async def account_unusable(self, account: Account, reason: str) -> Written:
        """An active account becomes unusable until somebody renews it; what was renewed meanwhile stays as it is."""
        async with transaction(self._pool, [account.team_id]) as connection:
            await connection.execute(
                *QUERIES.bind(
                    "set_account_state",
                    team_id=account.team_id,
                    account_id=account.account_id,
                    state=AccountState.UNUSABLE,
                    reason=reason[:500],
                    now=self._clock.now(),
                    usable_state=AccountState.ACTIVE,
                    version=account.version,
                ),
            )
        return Written([], {})

    async def account_refused(self, team_id: UUID, account_id: UUID, detail: str, at: datetime) -> Written:
        """The same, told at a time: who was changed since, as by renewing it, is left alone."""
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(
                *QUERIES.bind(
                    "set_account_refused",
                    team_id=team_id,
                    account_id=account_id,
                    state=AccountState.UNUSABLE,
                    reason=detail[:500],
                    at=at,
                    now=self._clock.now(),
                    usable_state=AccountState.ACTIVE,
                ),
            )
        return Written([], {})

    async def account_noticed(
        self, team_id: UUID, account_id: UUID, about: str, detail: str, at: datetime
    ) -> Written:
        """What the channel warns of stands beside an active account until it is over (an empty `detail`), something
        else is told, or the account is changed."""
        async with transaction(self._pool, [team_id]) as connection:
            query = QUERIES.bind(
                "note_account_notice",
                team_id=team_id,
                account_id=account_id,
                about=f"{about}: ",
                detail=detail,
                at=at,
                usable_state=AccountState.ACTIVE,
            )
            await connection.execute(*query)
        return Written([], {})

    async def account_unpaid(self, team_id: UUID, account_id: UUID, detail: str, at: datetime) -> Written:
        """The channel takes nothing that costs through the account, as it said at a time: a fact says so."""
        async with transaction(self._pool, [team_id]) as connection:
            return await write_facts(connection, [gone(team_id, GoneKind.PAYMENT, account_id, detail, at)])

    async def templates_of(self, team_id: UUID, effect_keys: Collection[UUID]) -> dict[UUID, AccountTemplate]:
        """Of the sends of templates among some, by the keys of their effects."""
        query = QUERIES.bind("templates_of_sends", team_id=team_id, effect_keys=list(effect_keys))
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(*query)
        return {row["effect_key"]: (row["account_id"], row["name"], row["language"]) for row in rows}

    async def person_refused(self, account: Account, person: RefusedPerson) -> Written:
        """Somebody is to be told to segment as who left, which the inbox does. They are back when they write."""
        await self._inbox.store([refusal_webhook(account, person, self._clock.now())])
        return Written([], {})

    async def person_limited(self, account: Account, recipient: str) -> Written:
        """Somebody gets no marketing for a day."""
        limited = {(int(account.channel), recipient): self._clock.now()}
        await self._limits.note(account.team_id, limited)
        return Written([], {})

    async def note_templates(
        self,
        team_id: UUID,
        states: Mapping[AccountTemplate, tuple[datetime, TemplateState, str]],
        categories: Mapping[AccountTemplate, tuple[datetime, str]],
    ) -> Written:
        """How a channel says that templates stand; of those that are gone by it a fact says so, once. What is older
        than what was told before changes nothing."""
        now = self._clock.now()
        async with transaction(self._pool, [team_id]) as connection:
            if categories:
                ids, names, languages, times, values = columns(_rows(categories), 5)
                query = QUERIES.bind(
                    "tell_template_categories",
                    team_id=team_id,
                    account_ids=ids,
                    names=names,
                    languages=languages,
                    times=times,
                    categories=values,
                    now=now,
                )
                await connection.execute(*query)
            if not states:
                return Written([], {})
            ids, names, languages, times, values, reasons = columns(_rows(states), 6)
            query = QUERIES.bind(
                "tell_template_states",
                team_id=team_id,
                account_ids=ids,
                names=names,
                languages=languages,
                times=times,
                states=values,
                reasons=reasons,
                now=now,
            )
            lost = [row["template_id"] for row in await connection.fetch(*query) if _is_lost(row)]
            facts = [gone(team_id, GoneKind.TEMPLATE, each, GONE_AT_CHANNEL, now) for each in sorted(lost)]
            return await write_facts(connection, facts)

    async def template_state(self, team_id: UUID, template_id: UUID, state: TemplateState) -> Written:
        """An approved template is as the channel says until it tells otherwise, or somebody does."""
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(
                *QUERIES.bind(
                    "set_template_aside",
                    team_id=team_id,
                    template_id=template_id,
                    now=self._clock.now(),
                    state=state,
                    approved=TemplateState.APPROVED,
                )
            )
        return Written([], {})

    async def template_read(self, team_id: UUID, template_id: UUID, found: ListedTemplate) -> Written:
        """A template is what the channel says of it; one that is gone there by it is told of, once."""
        now = self._clock.now()
        async with transaction(self._pool, [team_id]) as connection:
            try:
                ours = await content.hold_template(connection, team_id, template_id)
            except NotFound:
                return Written([], {})  # deleted meanwhile
            changes = compared([ours], [found])
            for template in changes.changed:
                await content.update_template(connection, template, now)
            lost = [gone(team_id, GoneKind.TEMPLATE, each, GONE_AT_CHANNEL, now) for each in changes.stopping]
            return await write_facts(connection, lost)

    async def template_gone(self, team_id: UUID, template_id: UUID) -> Written:
        """A template is disabled, and a fact says so, once."""
        now = self._clock.now()
        async with transaction(self._pool, [team_id]) as connection:
            changed = await connection.fetchval(
                *QUERIES.bind(
                    "set_template_state",
                    team_id=team_id,
                    template_id=template_id,
                    state=TemplateState.DISABLED,
                    now=now,
                )
            )
            facts = [gone(team_id, GoneKind.TEMPLATE, template_id, GONE_AT_CHANNEL, now)] if changed else []
            return await write_facts(connection, facts)


def _rows(reports: Mapping[AccountTemplate, tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    return ((*template, *what) for template, what in sorted(reports.items(), key=lambda item: item[0]))


def _is_lost(row: Any) -> bool:
    disabled = TemplateState.DISABLED
    return bool(row["state"] == disabled and row["before_state"] != disabled)
