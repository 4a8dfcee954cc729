"""Who uses a thing: asked before it is deleted, archived or changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from libs.common.text import fold
from services.journey.clients.modules import Modules
from services.journey.domain.references import ReferenceKind
from services.journey.domain.views import Referring
from services.journey.store.references import ReferenceStore
from services.journey.worker.references import ReferenceIndexer

Things = list[tuple[ReferenceKind, str]]


class Subject(StrEnum):
    """What may be asked about, by the names of the contract."""

    ACCOUNT = "channel_account_id"
    BOT_MODULE = "bot_module_id"
    TEMPLATE = "message_template_id"
    ATTRIBUTE = "attribute_key"
    TAG = "tag"
    SAVED_AUDIENCE = "saved_audience_id"
    COUPON = "coupon_id"


class Uses:
    """Journeys by what they name, themselves or in the bot modules that they send."""

    def __init__(self, store: ReferenceStore, indexer: ReferenceIndexer, modules: Modules) -> None:
        """`indexer` brings the index up to date first."""
        self._store = store
        self._indexer = indexer
        self._modules = modules

    async def page(
        self, team_id: UUID, subject: Subject, thing: str, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[Referring]:
        """Journeys that are drafts or live and use a thing, newest first. Raises Unavailable where the gateway has to
        be asked and does not answer."""
        await self._indexer.catch_up(team_id)
        things = await self._things(team_id, subject, thing)
        return await self._store.referring(team_id, things, after, limit) if things else []

    async def _things(self, team_id: UUID, subject: Subject, thing: str) -> Things:
        """What a journey that uses the thing names."""
        match subject:
            case Subject.ACCOUNT:
                return [(ReferenceKind.ACCOUNT, thing), (ReferenceKind.BOUND_ACCOUNT, thing)]
            case Subject.BOT_MODULE:
                return [(ReferenceKind.BOT_MODULE, thing)]
            case Subject.TEMPLATE:
                return [(ReferenceKind.TEMPLATE, thing)]
            case Subject.TAG:
                return [(ReferenceKind.TAG, fold(thing))]
            case Subject.ATTRIBUTE:
                found = await self._modules.naming_attributes(team_id, await self._sent(team_id), {thing})
                return [(ReferenceKind.ATTRIBUTE, thing), *_modules(found)]
            case Subject.COUPON:
                return _modules(await self._modules.naming_coupon(team_id, await self._sent(team_id), thing))
            case Subject.SAVED_AUDIENCE:
                return [(ReferenceKind.SAVED_AUDIENCE, thing)]

    async def _sent(self, team_id: UUID) -> list[str]:
        """The modules that journeys send."""
        return sorted({each.thing for each in await self._store.naming(team_id, ReferenceKind.BOT_MODULE)})


def _modules(found: Iterable[str]) -> Things:
    return [(ReferenceKind.BOT_MODULE, module_id) for module_id in sorted(found)]
