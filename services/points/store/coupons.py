"""Coupons and claims in PostgreSQL. Claims lock in the ledger's order: the account, then the coupon, then the rest."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.queries import QueryBook
from libs.common.errors import Aborted, NotFound
from services.points.domain.coupons import Claim, Coupon, CouponType, Terms
from services.points.domain.views import ClaimSearch, ListPosition


class CouponStore:
    """Keeps coupons. Methods that take a connection work in the transaction of their caller."""

    def __init__(self, pool: Pool, queries: QueryBook) -> None:
        """`queries`: sql/queries/ of this service."""
        self._pool = pool
        self._sql = queries

    async def insert(self, connection: Connection, coupon: Coupon) -> None:
        """Writes a new coupon."""
        keys, terms = (coupon.team_id, coupon.coupon_id), _columns(coupon.terms)
        await connection.execute(self._sql["insert_coupon"], *keys, *terms, coupon.created_at)

    async def read(self, team_id: UUID, coupon_id: UUID) -> Coupon:
        """Reads a coupon. Raises NotFound."""
        async with transaction(self._pool, [team_id]) as connection:
            return await self._one(connection, "read_coupon", team_id, coupon_id)

    async def lock(self, connection: Connection, team_id: UUID, coupon_id: UUID, etag: str = "") -> Coupon:
        """Reads and locks a coupon. Raises NotFound; Aborted `ETAG_MISMATCH` when an etag is given and another."""
        coupon = await self._one(connection, "lock_coupon", team_id, coupon_id)
        if etag and etag != str(coupon.version):
            raise Aborted.etag_mismatch(str(coupon.version))
        return coupon

    async def update(self, connection: Connection, coupon: Coupon, terms: Terms, *, archived: bool) -> Coupon:
        """Writes new terms of a locked coupon; returns it as it is then."""
        keys = (coupon.team_id, coupon.coupon_id)
        await connection.execute(self._sql["update_coupon"], *keys, *_columns(terms), archived)
        return msgspec.structs.replace(coupon, terms=terms, archived=archived, version=coupon.version + 1)

    async def list_coupons(
        self, team_id: UUID, *, archived: bool, after: ListPosition | None, limit: int
    ) -> list[Coupon]:
        """A page of coupons, newest first."""
        place = after or (None, None)
        async with transaction(self._pool, [team_id]) as connection:
            records = await connection.fetch(self._sql["list_coupons"], team_id, archived, *place, limit)
        return [_coupon(row) for row in records]

    async def find_claim(self, connection: Connection, team_id: UUID, claim_id: UUID) -> Claim | None:
        """The claim of an id, None if there is none."""
        row = await connection.fetchrow(self._sql["read_claim"], team_id, claim_id)
        return None if row is None else _claim(row)

    async def claims_of_customer(
        self, connection: Connection, team_id: UUID, coupon_id: UUID, customer_id: UUID
    ) -> int:
        """How often a customer has claimed a coupon."""
        count: int = await connection.fetchval(self._sql["count_claims"], team_id, coupon_id, customer_id)
        return count

    async def insert_claim(self, connection: Connection, claim: Claim) -> None:
        """Writes a claim of a locked coupon, and counts it."""
        await connection.execute(self._sql["insert_claim"], *msgspec.structs.astuple(claim))
        await connection.execute(self._sql["count_up_coupon"], claim.team_id, claim.coupon_id)

    async def read_claim(self, team_id: UUID, *, claim_id: UUID | None, code: str) -> Claim:
        """Reads a claim by its id, else by its code. Raises NotFound."""
        name, key = ("read_claim", claim_id) if claim_id is not None else ("read_claim_by_code", code)
        async with transaction(self._pool, [team_id]) as connection:
            row = await connection.fetchrow(self._sql[name], team_id, key)
        if row is None:
            raise NotFound.of("coupon_claim", str(key))
        return _claim(row)

    async def list_claims(self, search: ClaimSearch, after: ListPosition | None, limit: int) -> list[Claim]:
        """A page of claims, newest first."""
        arguments = (*msgspec.structs.astuple(search), *(after or (None, None)), limit)
        async with transaction(self._pool, [search.team_id]) as connection:
            return [_claim(row) for row in await connection.fetch(self._sql["list_claims"], *arguments)]

    async def _one(self, connection: Connection, query: str, team_id: UUID, coupon_id: UUID) -> Coupon:
        row = await connection.fetchrow(self._sql[query], team_id, coupon_id)
        if row is None:
            raise NotFound.of("coupon", coupon_id)
        return _coupon(row)


def _columns(terms: Terms) -> tuple[Any, ...]:
    return msgspec.structs.astuple(terms)


def _coupon(row: Any) -> Coupon:
    terms = Terms(
        name=row["name"],
        type=CouponType(row["type"]),
        cost=row["cost"],
        insufficient_text=row["insufficient_text"],
        claims_per_customer_max=row["claims_per_customer_max"],
        claims_max=row["claims_max"],
        start_at=row["start_at"],
        expires_at=row["expires_at"],
    )
    keys = (row["team_id"], row["coupon_id"])
    return Coupon(*keys, terms, row["claims"], row["archived"], row["version"], row["created_at"])


def _claim(row: Any) -> Claim:
    return Claim(*(row[name] for name in Claim.__struct_fields__))
