"""Coupons and claims in PostgreSQL. Claims lock in the ledger's order: the account, then the coupon, then the rest."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.queries import QueryBook
from libs.common.errors import Aborted, NotFound
from libs.common.ids import epoch_ms, new_id
from services.points.domain.coupons import Claim, Coupon, CouponType, Terms, refusal
from services.points.domain.errors import coupon_not_claimable
from services.points.domain.model import Answer, CouponSpend, Posting, Status
from services.points.store.ledger import LedgerStore

_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Of codes: what nobody mistakes for another letter when reading it out."""
_CODE_LENGTH: Final = 12
"""60 random bits: no two codes of a team will ever meet, and nobody guesses one."""

Place = tuple[datetime, UUID]
"""Where a page ended: time and id of its last row."""


class Claiming(msgspec.Struct, frozen=True):
    """A wish to claim. `claim_id` follows from the request: the same request is the same claim, for ever."""

    team_id: UUID
    claim_id: UUID
    coupon_id: UUID
    customer_id: UUID
    actor: str


class ClaimSearch(msgspec.Struct, frozen=True):
    """Whose claims of which coupon; None is no filter."""

    team_id: UUID
    coupon_id: UUID | None
    customer_id: UUID | None


class Claimed(msgspec.Struct, frozen=True):
    """What became of it: the claim, or None and the coupon's text where points were too few; the balance after it."""

    claim: Claim | None
    insufficient_text: str
    balance: int


class CouponStore:
    """Keeps coupons. Methods that take a connection work in the transaction of their caller."""

    def __init__(self, pool: Pool, queries: QueryBook, clock: Clock, ledger: LedgerStore) -> None:
        """`ledger` posts what claims cost."""
        self._pool = pool
        self._sql = queries
        self._clock = clock
        self._ledger = ledger

    async def create(self, connection: Connection, team_id: UUID, terms: Terms) -> Coupon:
        """Creates a coupon."""
        now = self._clock.now()
        coupon_id = new_id(epoch_ms(now))
        await connection.execute(self._sql["insert_coupon"], team_id, coupon_id, *_columns(terms), now)
        return Coupon(team_id, coupon_id, terms, 0, False, 1, now)

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

    async def change(self, connection: Connection, coupon: Coupon, terms: Terms, *, archived: bool) -> Coupon:
        """Writes new terms of a locked coupon."""
        keys = (coupon.team_id, coupon.coupon_id)
        await connection.execute(self._sql["update_coupon"], *keys, *_columns(terms), archived)
        return msgspec.structs.replace(coupon, terms=terms, archived=archived, version=coupon.version + 1)

    async def list_coupons(
        self, team_id: UUID, *, archived: bool, after: Place | None, limit: int
    ) -> list[Coupon]:
        """A page of coupons, newest first."""
        place = after or (None, None)
        async with transaction(self._pool, [team_id]) as connection:
            records = await connection.fetch(self._sql["list_coupons"], team_id, archived, *place, limit)
        return [_coupon(row) for row in records]

    async def claim(self, connection: Connection, wish: Claiming) -> Claimed:
        """Claims: one deduction and one claim, or neither (P-20, P-21).

        Raises NotFound and FailedPrecondition `COUPON_NOT_CLAIMABLE`.
        """
        await self._ledger.lock_account(connection, (wish.team_id, wish.customer_id))
        made = await connection.fetchrow(self._sql["read_claim"], wish.team_id, wish.claim_id)
        coupon = await self.lock(connection, wish.team_id, wish.coupon_id)
        if made is not None:
            return Claimed(
                _claim(made), "", await self._ledger.balance_in(connection, wish.team_id, wish.customer_id)
            )
        spent: Answer | None = None
        await self._check(connection, coupon, wish)
        if coupon.terms.cost is not None:
            spent = await self._spend(connection, coupon, coupon.terms.cost, wish)
            if spent.outcome.status != Status.POSTED:
                return Claimed(None, coupon.terms.insufficient_text, spent.outcome.balance)
        claim = await self._write(connection, coupon, wish, spent)
        return Claimed(claim, "", await self._ledger.balance_in(connection, wish.team_id, wish.customer_id))

    async def _check(self, connection: Connection, coupon: Coupon, wish: Claiming) -> None:
        arguments = (wish.team_id, wish.coupon_id, wish.customer_id)
        claims_of_customer = await connection.fetchval(self._sql["count_claims"], *arguments)
        cause = refusal(coupon, claims_of_customer, self._clock.now())
        if cause is not None:
            raise coupon_not_claimable(cause)

    async def _spend(self, connection: Connection, coupon: Coupon, cost: int, wish: Claiming) -> Answer:
        body = CouponSpend(cost, coupon.coupon_id, coupon.terms.name, wish.claim_id)
        posting = Posting(wish.claim_id, wish.team_id, wish.customer_id, None, wish.actor, body)
        (answer,) = (await self._ledger.post_within(connection, [posting])).answers
        return answer

    async def _write(
        self, connection: Connection, coupon: Coupon, wish: Claiming, spent: Answer | None
    ) -> Claim:
        claim = Claim(
            team_id=wish.team_id,
            claim_id=wish.claim_id,
            coupon_id=wish.coupon_id,
            customer_id=wish.customer_id,
            code="".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH)),
            points_paid=-spent.outcome.delta_balance if spent else 0,
            sequence=spent.outcome.sequence if spent else 0,
            created_at=self._clock.now(),
            expires_at=coupon.terms.expires_at,
        )
        await connection.execute(self._sql["insert_claim"], *msgspec.structs.astuple(claim))
        await connection.execute(self._sql["count_up_coupon"], wish.team_id, wish.coupon_id)
        return claim

    async def read_claim(self, team_id: UUID, *, claim_id: UUID | None, code: str) -> Claim:
        """Reads a claim by its id, else by its code. Raises NotFound."""
        name, key = ("read_claim", claim_id) if claim_id is not None else ("read_claim_by_code", code)
        async with transaction(self._pool, [team_id]) as connection:
            row = await connection.fetchrow(self._sql[name], team_id, key)
        if row is None:
            raise NotFound.of("coupon_claim", str(key))
        return _claim(row)

    async def list_claims(self, search: ClaimSearch, after: Place | None, limit: int) -> list[Claim]:
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
