"""Bot modules and templates: each write is one transaction and answered once; what is gone becomes a fact."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

from libs.common.clients.using_journeys import Uses
from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool
from libs.common.errors import DomainError, FailedPrecondition, FieldViolation, InvalidArgument, Unavailable
from libs.common.feeds.publisher import CommitPublisher
from libs.common.rpc.servicing import check_etag
from services.channel_gateway.clients.services import TeamCoupons
from services.channel_gateway.domain.content import BotModule, Card, Template
from services.channel_gateway.domain.model import Channel
from services.channel_gateway.domain.render import coupon_cards
from services.channel_gateway.store import accounts as account_store
from services.channel_gateway.store import content as store
from services.channel_gateway.store.facts import Written
from services.channel_gateway.store.vault import Vault
from services.channel_gateway.usecases.call import Call, Reply, once

_NO_COUPON: Final = "names no coupon of the team: take the id of one that ListCoupons of points shows"


class Content:
    """Writes content. All raise NotFound, and Aborted `ETAG_MISMATCH` where an etag is given."""

    def __init__(
        self, pool: Pool, vault: Vault, coupons: TeamCoupons, publisher: CommitPublisher, clock: Clock
    ) -> None:
        """`vault` opens accounts, `publisher` publishes that content is gone."""
        self._pool = pool
        self._vault = vault
        self._coupons = coupons
        self._publisher = publisher
        self._clock = clock

    async def create_module(self, call: Call[BotModule, Reply], module: BotModule) -> Reply:
        """Stores a bot module.

        Raises InvalidArgument for coupons that the team has not, Unavailable when points does not answer.
        """
        refusal = await self._refusal(call.team_id, module.cards)

        async def create(connection: Connection) -> BotModule:
            _raise(refusal)
            return await store.create_module(connection, module)

        return await once(self._pool, call, create)

    async def update_module(
        self,
        call: Call[BotModule, Reply],
        module_id: UUID,
        etag: str,
        change: Callable[[BotModule], BotModule],
        cards: Sequence[Card],
    ) -> Reply:
        """Stores what `change` makes of a bot module; `cards` that it gets are looked at as those of a new one."""
        refusal = await self._refusal(call.team_id, cards)

        async def update(connection: Connection) -> BotModule:
            _raise(refusal)
            module = await store.hold_module(connection, call.team_id, module_id)
            check_etag(etag, module.version)
            call.note_before(module)
            return await store.update_module(connection, change(module), self._clock.now())

        return await once(self._pool, call, update)

    async def delete_module(self, call: Call[None, Reply], module_id: UUID, uses: Uses) -> Reply:
        """Deletes a bot module. Raises the refusal of `uses`."""

        async def delete(connection: Connection) -> Written:
            call.note_before(await store.hold_module(connection, call.team_id, module_id))
            uses.check()
            return await store.delete_module(connection, call.team_id, module_id, self._clock.now())

        return await self._delete(call, delete)

    async def create_template(self, call: Call[Template, Reply], template: Template) -> Reply:
        """Stores a template of a WhatsApp account.

        Raises FailedPrecondition for an account of another channel, AlreadyExists `DUPLICATE_VALUE`.
        """

        async def create(connection: Connection) -> Template:
            account = await account_store.hold_account(
                connection, self._vault, call.team_id, template.account_id
            )
            if account.channel is not Channel.WHATSAPP:
                raise FailedPrecondition("INVALID_FIELDS", "only WhatsApp accounts have templates")
            return await store.create_template(connection, template)

        return await once(self._pool, call, create)

    async def update_template(
        self,
        call: Call[Template, Reply],
        template_id: UUID,
        etag: str,
        change: Callable[[Template], Template],
    ) -> Reply:
        """Stores what `change` makes of a template."""

        async def update(connection: Connection) -> Template:
            template = await store.hold_template(connection, call.team_id, template_id)
            check_etag(etag, template.version)
            call.note_before(template)
            return await store.update_template(connection, change(template), self._clock.now())

        return await once(self._pool, call, update)

    async def delete_template(self, call: Call[None, Reply], template_id: UUID, uses: Uses) -> Reply:
        """Deletes a template. Raises the refusal of `uses`."""

        async def delete(connection: Connection) -> Written:
            call.note_before(await store.hold_template(connection, call.team_id, template_id))
            uses.check()
            return await store.delete_template(connection, call.team_id, template_id, self._clock.now())

        return await self._delete(call, delete)

    async def _refusal(self, team_id: UUID, cards: Sequence[Card]) -> DomainError | None:
        """Why cards cannot be stored for what they name in other services. Asked for outside the transaction and raised
        inside: a repeated request gets its first answer whatever has become of the coupons."""
        named = [(path, card.coupon_id) for path, card in coupon_cards("module.cards", cards)]
        if not named:
            return None
        try:
            known = await self._coupons.known_coupons(team_id, {coupon_id for _, coupon_id in named})
        except Unavailable as error:
            return error
        strange = [FieldViolation(path, _NO_COUPON) for path, coupon_id in named if coupon_id not in known]
        return InvalidArgument.of(*strange) if strange else None

    async def _delete(
        self, call: Call[None, Reply], delete: Callable[[Connection], Awaitable[Written]]
    ) -> Reply:
        facts: list[Written] = []

        async def keep_facts(connection: Connection) -> None:
            facts.append(await delete(connection))

        reply = await once(self._pool, call, keep_facts)
        # A repeated call committed nothing: there is nothing to publish.
        for written in facts:
            self._publisher.publish(*written)
        return reply


def _raise(refusal: DomainError | None) -> None:
    if refusal is not None:
        raise refusal
