"""What customers want: told to the gateway, which keeps it, and read there (ADR 46)."""

from __future__ import annotations

from uuid import UUID

from libs.common.audit import recording
from libs.common.callers import caller
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.requests import answer_after
from libs.common.ids import CustomerKey
from services.segment.clients.consents import ConsentsClient
from services.segment.domain.consents import (
    ACTOR_MAX,
    SOURCE_API,
    ChangePlace,
    Consent,
    ConsentChange,
    Consenting,
    NewConsent,
)
from services.segment.domain.views import CustomerParts
from services.segment.store import customers, teams
from services.segment.store.merged import absent
from services.segment.usecases.edits import Once, Reply

_IDENTITIES = CustomerParts(tags=False, attributes=False)


class Consents:
    """Each method raises NotFound for a team or customer that is not there, Unavailable while the gateway is away."""

    def __init__(self, pool: Pool, gateway: ConsentsClient) -> None:
        """One per process."""
        self._pool = pool
        self._gateway = gateway

    async def set(
        self, once: Once[Consent, Reply], key: CustomerKey, channel: int, state: int, note: str
    ) -> Reply:
        """What holds on the channel from now on. The gateway has it before this answers; if only we fail then, the
        request may be repeated, and changes nothing there. No transaction waits for the gateway."""
        said = NewConsent(channel, state, SOURCE_API, note, caller().name[:ACTOR_MAX])

        async def work() -> Reply:
            recorded = await self._gateway.record(await self._named(key), said)
            if recorded.before is not None:
                once.note_before(recorded.before)
            return once.written(recorded.consent)

        with recording():
            return await answer_after(self._pool, once.scope, once.request, once.reply, work)

    async def holding(self, key: CustomerKey) -> list[Consent]:
        """What holds on each channel of which something was said, in order."""
        return await self._gateway.holding(await self._named(key))

    async def changes(
        self, key: CustomerKey, after: ChangePlace | None, most: int
    ) -> list[tuple[ChangePlace, ConsentChange]]:
        """Changes, newest first, after a place, each with its own."""
        return await self._gateway.changes(await self._named(key), after, most)

    async def _named(self, key: CustomerKey) -> Consenting:
        async with transaction(self._pool, [key[0]]) as connection:
            return await _consenting(connection, key)


async def _consenting(connection: Connection, key: CustomerKey) -> Consenting:
    team_id, customer_id = key
    await teams.load_team(connection, team_id)
    view = (await customers.load_views(connection, [key], _IDENTITIES)).get(key)
    if view is None:
        raise await absent(connection, key)
    persons = {(identity.key.channel, identity.key.external_id) for identity in view.identities}
    return Consenting(team_id, customer_id, tuple(sorted(persons)))


def place_of(found: tuple[ChangePlace, ConsentChange]) -> tuple[object, UUID]:
    """By which the next page is found."""
    return found[0].at, found[0].change_id
