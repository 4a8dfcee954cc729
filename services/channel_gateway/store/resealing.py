"""Secrets that are in clear or under an earlier key, found and sealed with the present one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import IntEnum
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.sealing import CannotOpen
from services.channel_gateway.store.book import QUERIES
from services.channel_gateway.store.vault import Vault


class SecretKind(IntEnum):
    """What a secret is of; the numbers of `to_seal`."""

    ACCOUNT = 1
    SHOP_KEY = 2
    LINK_KEY = 3
    """Of no team: its place has the nil one."""
    SUBSCRIPTION = 4


class Place(NamedTuple):
    """A row that holds a secret. They are worked in this order."""

    kind: int
    team_id: UUID
    row_id: UUID


BEGINNING = Place(0, UUID(int=0), UUID(int=0))


class ResealStore:
    """Finds and reseals rows of all teams, each team in a transaction of its own."""

    def __init__(self, pool: Pool, vault: Vault) -> None:
        """`pool` of the service's own role; `vault` opens with all keys and seals with the present one."""
        self._pool = pool
        self._vault = vault

    async def next(self, after: Place, row_max: int) -> list[Place]:
        """The next rows after a place whose secrets are not sealed with the present key."""
        rows = await self._pool.fetch(
            *QUERIES.bind(
                "to_seal",
                present=self._vault.ring.present_id,
                after_kind=after.kind,
                after_team=after.team_id,
                after_id=after.row_id,
                most=row_max,
            )
        )
        return [Place(*row) for row in rows]

    async def reseal(self, places: Iterable[Place]) -> int:
        """Seals rows anew; returns how many. Those that cannot be opened, or are gone, stay as they are."""
        resealed = 0
        for team_id, own in groupby(places, key=lambda place: place.team_id):
            async with transaction(self._pool, [team_id]) as connection:
                for place in own:
                    resealed += await self._reseal_of(place.kind)(connection, place)
        return resealed

    def _reseal_of(self, kind: int) -> Callable[[Connection, Place], Awaitable[bool]]:
        return {
            SecretKind.ACCOUNT: self._account,
            SecretKind.SHOP_KEY: self._shop_key,
            SecretKind.LINK_KEY: self._link_key,
            SecretKind.SUBSCRIPTION: self._subscription,
        }[SecretKind(kind)]

    async def keys(self) -> Mapping[bytes | None, int]:
        """How many secrets each key seals, by its name; None: those in clear."""
        rows = await self._pool.fetch(QUERIES["sealing_keys"])
        return {row["key_id"]: row["row_count"] for row in rows}

    async def _account(self, connection: Connection, place: Place) -> bool:
        key = {"team_id": place.team_id, "account_id": place.row_id}
        row = await connection.fetchrow(*QUERIES.bind("hold_any_account", **key))
        if row is None:
            return False
        account = self._vault.bare_account_of(row) if row["deleted"] else self._vault.opened_account_of(row)
        if account is None:
            return False
        stored = self._vault.sealed_connection(account)
        await connection.execute(
            *QUERIES.bind("reseal_account", **key, connection=stored.connection, sealed=stored.sealed)
        )
        return True

    async def _shop_key(self, connection: Connection, place: Place) -> bool:
        row = await connection.fetchrow(
            *QUERIES.bind("hold_shop_key", team_id=place.team_id, key_id=place.row_id)
        )
        key = None if row is None else self._vault.key_of(row)
        if key is None or not key.secret:
            return False
        await connection.execute(
            *QUERIES.bind(
                "reseal_shop_key",
                team_id=key.team_id,
                shop_id=key.shop_id,
                key_id=key.key_id,
                sealed=self._vault.sealed_key(key),
            )
        )
        return True

    async def _link_key(self, connection: Connection, _place: Place) -> bool:
        sealed = await connection.fetchval(QUERIES["hold_link_key"])
        try:
            key = self._vault.link_key(sealed)
        except CannotOpen:
            return False
        await connection.execute(*QUERIES.bind("reseal_link_key", sealed=self._vault.sealed_link_key(key)))
        return True

    async def _subscription(self, connection: Connection, place: Place) -> bool:
        key = {"team_id": place.team_id, "subscription_id": place.row_id}
        row = await connection.fetchrow(*QUERIES.bind("hold_subscription", **key))
        subscription = None if row is None else self._vault.subscription_of(row)
        if subscription is None or not subscription.keys:
            return False
        sealed = self._vault.sealed_subscription_keys(subscription)
        await connection.execute(*QUERIES.bind("reseal_subscription", **key, sealed=sealed))
        return True
