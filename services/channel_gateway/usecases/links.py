"""Short links: made while messages are written, and opened."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.batching import Batcher
from libs.common.clock import Clock
from libs.common.db.pool import Pool
from libs.common.errors import Unavailable
from libs.common.feeds.publisher import CommitPublisher
from services.channel_gateway import metrics
from services.channel_gateway.config import Settings
from services.channel_gateway.domain.clicks import Opening
from services.channel_gateway.domain.link_tokens import TokenSeal
from services.channel_gateway.domain.links import Shorten
from services.channel_gateway.store.clicks import ClickStore
from services.channel_gateway.store.links import LinkStore, TargetKey
from services.channel_gateway.store.vault import Vault

NUMBERS_MAX: Final = 20_000
"""Addresses whose numbers are remembered; more than that, and all are asked for again."""
CLICKS_AT_ONCE: Final = 200
"""Openings recorded in one transaction."""
CLICKS_WAITING_MAX: Final = 5_000
"""Openings that wait to be recorded; more are answered 429."""


class LinkMaker:
    """Gives links their short form; remembers the numbers of addresses."""

    def __init__(self, store: LinkStore, seal: TokenSeal, base: str, clock: Clock) -> None:
        """`base` stands before tokens."""
        self.base = base
        self._store = store
        self._seal = seal
        self._clock = clock
        self._numbers: dict[TargetKey, int] = {}

    def batch(self) -> LinkBatch:
        """For the sends of one call."""
        return LinkBatch(self)

    def number(self, target: TargetKey) -> int | None:
        """The number of an address, as far as it is remembered."""
        return self._numbers.get(target)

    def token(self, link_id: int, effect_key: UUID) -> str:
        """See `TokenSeal`."""
        return self._seal.token(link_id, effect_key)

    async def learn(self, targets: set[TargetKey]) -> dict[TargetKey, int]:
        """The numbers of addresses, stored where they are new. Raises the driver's errors."""
        found = await self._store.numbers(targets, self._clock.now())
        if len(self._numbers) + len(found) > NUMBERS_MAX:
            self._numbers.clear()
        self._numbers |= found
        return found


class LinkBatch:
    """A `LinkWriter` of one call. What it does not know yet goes out as it is, and is in `unknown`: once that is
    learnt, the sends that have it are written again."""

    def __init__(self, maker: LinkMaker) -> None:
        """Nothing is unknown yet."""
        self.base = maker.base
        self.unknown: set[TargetKey] = set()
        self._unwritten: set[UUID] = set()
        self._maker = maker
        self._learnt: dict[TargetKey, int] = {}

    def of(self, team_id: UUID, effect_key: UUID) -> Shorten:
        """See `LinkWriter`."""
        maker = self._maker

        def shorten(url: str) -> str | None:
            target = (team_id, url)
            link_id = maker.number(target) or self._learnt.get(target)
            if link_id is None:
                self.unknown.add(target)
                self._unwritten.add(effect_key)
                return None
            return maker.token(link_id, effect_key)

        return shorten

    async def learn(self) -> set[UUID]:
        """Learns what is unknown; the effect keys of the sends that have some of it. Raises the driver's errors."""
        self._learnt |= await self._maker.learn(self.unknown)
        self.unknown.clear()
        return self._unwritten


class Clicks:
    """Records openings of links: durable when it returns, batched."""

    def __init__(self, store: ClickStore, publisher: CommitPublisher, clock: Clock) -> None:
        """`publisher` tells readers of the history."""
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._batcher: Batcher[Opening, str | None] = Batcher(
            "clicks",
            self._record,
            size_max=CLICKS_AT_ONCE,
            waiting_max=CLICKS_WAITING_MAX,
            retry_after_s=1.0,
            away=(Unavailable,),
        )

    async def open(self, opening: Opening) -> str | None:
        """Where a link leads, once its opening is recorded; None for one that there is not, or not any more. Raises
        ResourceExhausted, Unavailable."""
        return await self._batcher.submit_one(opening)

    async def _record(self, openings: list[Opening]) -> list[str | None]:
        recorded = await self._store.record(openings, self._clock.now())
        self._publisher.publish(*recorded.written)
        for opening, url in zip(openings, recorded.urls, strict=True):
            kind = "none" if url is None else "program" if opening.agent else "person"
            metrics.CLICKS.labels(kind).inc()
        return recorded.urls


class LinkParts(NamedTuple):
    """What makes short links, and opens them."""

    store: LinkStore
    seal: TokenSeal
    maker: LinkMaker | None
    """None: no address is configured that customers could open links at."""
    clicks: Clicks


async def link_parts(
    settings: Settings, pool: Pool, clock: Clock, vault: Vault, publisher: CommitPublisher
) -> LinkParts:
    """All of this process. Raises the driver's errors."""
    store = LinkStore(pool, vault)
    seal = TokenSeal(await store.key(is_used=bool(settings.link_url)))
    maker = LinkMaker(store, seal, settings.link_url, clock) if settings.link_url else None
    clicks = Clicks(ClickStore(pool, timedelta(days=settings.link_days)), publisher, clock)
    return LinkParts(store, seal, maker, clicks)
