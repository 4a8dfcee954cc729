"""Coupons and claims in PostgreSQL. Claims lock in the ledger's order: the account, then the coupon, then the rest."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.queries import QueryBook
from libs.common.errors import NotFound
from services.points.domain.coupons import Claim, Coupon, CouponType, CouponUse, Terms
from services.points.domain.views import ClaimRequest, ClaimSearch, ListPosition


class CouponStore:
    """Keeps coupons. Methods that take a connection work in the transaction of their caller."""

    def __init__(self, pool: Pool, queries: QueryBook) -> None:
        """`queries`: sql/queries/ of this service."""
        self._pool = pool
        self._sql = queries

    async def insert(self, connection: Connection, coupon: Coupon) -> None:
        """Writes a new coupon."""
        fields = {**_keys(coupon), **_terms(coupon.terms), "created_at": coupon.created_at}
        await connection.execute(*self._sql.bind("insert_coupon", **fields))

    async def read(self, team_id: UUID, coupon_id: UUID) -> Coupon:
        """Reads a coupon. Raises NotFound."""
        async with transaction(self._pool, [team_id]) as connection:
            return await self._one(connection, "read_coupon", team_id, coupon_id)

    async def lock(self, connection: Connection, team_id: UUID, coupon_id: UUID) -> Coupon:
        """Reads and locks a coupon. Raises NotFound."""
        return await self._one(connection, "lock_coupon", team_id, coupon_id)

    async def update(self, connection: Connection, coupon: Coupon, terms: Terms, *, archived: bool) -> Coupon:
        """Writes new terms of a locked coupon; returns it as it is then."""
        fields = {**_keys(coupon), **_terms(terms), "archived": archived}
        await connection.execute(*self._sql.bind("update_coupon", **fields))
        return msgspec.structs.replace(coupon, terms=terms, archived=archived, version=coupon.version + 1)

    async def list_coupons(
        self, team_id: UUID, *, archived: bool, after: ListPosition | None, limit: int
    ) -> list[Coupon]:
        """A page of coupons, newest first."""
        created_at, coupon_id = after or (None, None)
        query = self._sql.bind(
            "list_coupons",
            team_id=team_id,
            include_archived=archived,
            after_created_at=created_at,
            after_coupon_id=coupon_id,
            row_max=limit,
        )
        async with transaction(self._pool, [team_id]) as connection:
            records = await connection.fetch(*query)
        return [_coupon(row) for row in records]

    async def find_claim(self, connection: Connection, team_id: UUID, claim_id: UUID) -> Claim | None:
        """The claim of an id, None if there is none."""
        row = await connection.fetchrow(*self._sql.bind("read_claim", team_id=team_id, claim_id=claim_id))
        return None if row is None else _claim(row)

    async def claims_of_customer(
        self, connection: Connection, team_id: UUID, coupon_id: UUID, customer_id: UUID
    ) -> int:
        """How often a customer has claimed a coupon."""
        query = self._sql.bind("count_claims", team_id=team_id, coupon_id=coupon_id, customer_id=customer_id)
        count: int = await connection.fetchval(*query)
        return count

    async def insert_claim(self, connection: Connection, claim: Claim, offer_id: UUID | None) -> None:
        """Writes a claim of a locked coupon, and counts it."""
        row = {**msgspec.structs.asdict(claim), "offer_id": offer_id}
        del row["used_at"]
        await connection.execute(*self._sql.bind("insert_claim", **row))
        keys = {"team_id": claim.team_id, "coupon_id": claim.coupon_id}
        await connection.execute(*self._sql.bind("count_up_coupon", **keys))

    async def read_claim(self, team_id: UUID, *, claim_id: UUID | None, code: str) -> Claim:
        """Reads a claim by its id, else by its code. Raises NotFound."""
        async with transaction(self._pool, [team_id]) as connection:
            return await self.claim_in(connection, team_id, claim_id=claim_id, code=code)

    async def claim_of_offer(self, connection: Connection, wanted: ClaimRequest) -> Claim | None:
        """The claim of what offered the coupon; None where it was not claimed, or nothing is named."""
        if wanted.offer_id is None:
            return None
        query = self._sql.bind(
            "read_claim_of_offer",
            team_id=wanted.team_id,
            customer_id=wanted.customer_id,
            coupon_id=wanted.coupon_id,
            offer_id=wanted.offer_id,
        )
        row = await connection.fetchrow(*query)
        return None if row is None else _claim(row)

    async def use(self, connection: Connection, claim: Claim, use: CouponUse, now: datetime) -> bool:
        """Marks a claim as used; whether this call did it."""
        query = self._sql.bind(
            "insert_coupon_use",
            team_id=claim.team_id,
            claim_id=claim.claim_id,
            used_at=now,
            place=use.place,
            actor=use.actor,
        )
        return await connection.fetchval(*query) is not None

    async def claim_in(
        self, connection: Connection, team_id: UUID, *, claim_id: UUID | None, code: str
    ) -> Claim:
        """See `read_claim`."""
        query = self._sql.bind("read_claim_by_code", team_id=team_id, code=code)
        if claim_id is not None:
            query = self._sql.bind("read_claim", team_id=team_id, claim_id=claim_id)
        row = await connection.fetchrow(*query)
        if row is None:
            raise NotFound.of("coupon_claim", str(claim_id or code))
        return _claim(row)

    async def list_claims(self, search: ClaimSearch, after: ListPosition | None, limit: int) -> list[Claim]:
        """A page of claims, newest first."""
        created_at, claim_id = after or (None, None)
        query = self._sql.bind(
            "list_claims",
            **msgspec.structs.asdict(search),
            after_created_at=created_at,
            after_claim_id=claim_id,
            row_max=limit,
        )
        async with transaction(self._pool, [search.team_id]) as connection:
            return [_claim(row) for row in await connection.fetch(*query)]

    async def _one(self, connection: Connection, query: str, team_id: UUID, coupon_id: UUID) -> Coupon:
        row = await connection.fetchrow(*self._sql.bind(query, team_id=team_id, coupon_id=coupon_id))
        if row is None:
            raise NotFound.of("coupon", coupon_id)
        return _coupon(row)


def _keys(coupon: Coupon) -> dict[str, Any]:
    return {"team_id": coupon.team_id, "coupon_id": coupon.coupon_id}


def _terms(terms: Terms) -> dict[str, Any]:
    return msgspec.structs.asdict(terms)


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
