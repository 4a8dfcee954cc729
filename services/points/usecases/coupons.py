"""Coupons: created, changed and archived once a request; claimed together with the one deduction that pays."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final
from uuid import UUID

import msgspec

from libs.common.audit import note_before
from libs.common.clients.using_journeys import Uses
from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool
from libs.common.db.requests import Reply, Write, answer_once
from libs.common.errors import DomainError, FieldViolation, InvalidArgument
from libs.common.ids import epoch_ms, new_id
from libs.common.rpc.servicing import check_etag
from services.points.clients.modules import PointsModule
from services.points.domain.coupons import Claim, Coupon, CouponUse, Terms, refusal
from services.points.domain.errors import coupon_claim_expired, coupon_claim_used, coupon_not_claimable
from services.points.domain.model import AccountKey, CouponSpend, Posting, PostingAnswer, Status
from services.points.domain.views import ClaimRequest, ClaimResult
from services.points.store.coupons import CouponStore
from services.points.usecases.ledger import Ledger

_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Of codes: without characters that are mistaken for others when read out."""
_CODE_LENGTH: Final = 12
"""60 random bits: the codes of a team do not collide and cannot be guessed."""


class Coupons:
    """Writes coupons and claims. A repeated request gets the first answer, see `answer_once`.

    `reply` is the message of the answer, `answer` makes it of what was done; it is recorded with it.
    """

    def __init__(
        self, pool: Pool, store: CouponStore, ledger: Ledger, clock: Clock, modules: PointsModule
    ) -> None:
        """`ledger` posts what claims cost; `modules` says which teams have the module POINTS."""
        self._pool = pool
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._modules = modules

    async def create(
        self,
        request: Write,
        team_id: UUID,
        terms: Terms,
        reply: type[Reply],
        answer: Callable[[Coupon], Reply],
    ) -> Reply:
        """Creates a coupon. Raises FailedPrecondition `MODULE_MISSING` for one that costs points."""
        forbidden = await self._modules.refusal(team_id) if terms.cost is not None else None

        async def create(connection: Connection) -> Reply:
            now = self._clock.now()
            coupon = Coupon(team_id, new_id(epoch_ms(now)), terms, 0, False, 1, now)
            await self._store.insert(connection, coupon)
            return answer(coupon)

        return await answer_once(self._pool, team_id, request, reply, create, forbidden=forbidden)

    async def update(
        self,
        request: Write,
        key: tuple[UUID, UUID],
        etag: str,
        change: Callable[[Coupon], Terms],
        *,
        reply: type[Reply],
        answer: Callable[[Coupon], Reply],
    ) -> Reply:
        """Gives a coupon (team, coupon) the terms that `change` makes of the present ones.

        Raises NotFound; Aborted `ETAG_MISMATCH` when an etag is given and another; InvalidArgument for a limit below
        the claims so far; FailedPrecondition `MODULE_MISSING` for another redemption with points; what `change` raises.
        """
        without_module = await self._modules.refusal(key[0])

        async def update(connection: Connection) -> Reply:
            present = await self._store.lock(connection, *key)
            check_etag(etag, present.version)
            note_before(answer(present))
            terms = change(present)
            if without_module is not None and _sets_points(terms, present.terms):
                raise without_module
            if terms.claims_max and terms.claims_max < present.claims:
                violation = FieldViolation("coupon.claims_max", f"must be at least {present.claims}, or 0")
                raise InvalidArgument.of(violation)
            return answer(await self._store.update(connection, present, terms, archived=present.archived))

        return await answer_once(self._pool, key[0], request, reply, update)

    async def archive(
        self,
        request: Write,
        key: tuple[UUID, UUID],
        reply: type[Reply],
        answer: Callable[[Coupon], Reply],
        *,
        uses: Uses,
    ) -> Reply:
        """Archives a coupon (team, coupon); one that is archived stays as it is. Raises NotFound, and the refusal of
        `uses`."""

        async def archive(connection: Connection) -> Reply:
            present = await self._store.lock(connection, *key)
            note_before(answer(present))
            if not present.archived:
                uses.check()
                present = await self._store.update(connection, present, present.terms, archived=True)
            return answer(present)

        return await answer_once(self._pool, key[0], request, reply, archive)

    async def claim(
        self,
        request: Write,
        wanted: ClaimRequest,
        reply: type[Reply],
        answer: Callable[[ClaimResult], Reply],
        *,
        forbidden: DomainError | None,
    ) -> tuple[Reply, bool]:
        """Claims: one deduction and one claim, or neither (P-20, P-21); and whether it happened in this very call.

        `forbidden`: why nothing can be claimed; a repeated request is answered all the same. Raises it, NotFound, and
        FailedPrecondition `COUPON_NOT_CLAIMABLE`, and `MODULE_MISSING` for a coupon that costs points.
        """
        fresh = False
        without_module = await self._modules.refusal(wanted.team_id)

        async def claim(connection: Connection) -> Reply:
            nonlocal fresh
            claimed = await self._claim(connection, wanted, without_module)
            fresh = True
            return answer(claimed)

        answered = await answer_once(self._pool, wanted.team_id, request, reply, claim, forbidden=forbidden)
        return answered, fresh

    async def use(
        self, request: Write, use: CouponUse, reply: type[Reply], answer: Callable[[Claim], Reply]
    ) -> Reply:
        """Marks a claim as used in the shop, once. Raises NotFound; FailedPrecondition `COUPON_CLAIM_USED`,
        `COUPON_CLAIM_EXPIRED`."""

        async def mark(connection: Connection) -> Reply:
            claim = await self._store.claim_in(connection, use.team_id, claim_id=use.claim_id, code=use.code)
            if use.code and use.code != claim.code:
                raise InvalidArgument.of(FieldViolation("code", "is of another claim: give one of the two"))
            now = self._clock.now()
            if claim.used_at is not None:
                raise coupon_claim_used(claim.used_at)
            if claim.expires_at is not None and now >= claim.expires_at:
                raise coupon_claim_expired(claim.expires_at)
            note_before(answer(claim))
            if not await self._store.use(connection, claim, use, now):
                # Another call did meanwhile.
                claim = await self._store.claim_in(connection, use.team_id, claim_id=claim.claim_id, code="")
                raise coupon_claim_used(claim.used_at or now)
            return answer(msgspec.structs.replace(claim, used_at=now))

        return await answer_once(self._pool, use.team_id, request, reply, mark)

    async def _claim(
        self, connection: Connection, wanted: ClaimRequest, without_module: DomainError | None
    ) -> ClaimResult:
        account = AccountKey((wanted.team_id, wanted.customer_id))
        await self._ledger.lock_account(connection, account)
        claim = await self._store.find_claim(
            connection, wanted.team_id, wanted.claim_id
        ) or await self._store.claim_of_offer(connection, wanted)
        coupon = await self._store.lock(connection, wanted.team_id, wanted.coupon_id)
        if claim is None:
            await self._check(connection, coupon, wanted)
            if without_module is not None and coupon.terms.cost is not None:
                raise without_module
            spent = await self._spend(connection, coupon, wanted)
            if spent is not None and spent.outcome.status != Status.POSTED:
                return ClaimResult(None, coupon.terms.insufficient_text, spent.outcome.balance)
            claim = self._claim_of(coupon, wanted, spent)
            await self._store.insert_claim(connection, claim, wanted.offer_id)
        shown = await self._ledger.balance_in(connection, account) if without_module is None else 0
        return ClaimResult(claim, "", shown)

    async def _check(self, connection: Connection, coupon: Coupon, wanted: ClaimRequest) -> None:
        count = await self._store.claims_of_customer(
            connection, wanted.team_id, wanted.coupon_id, wanted.customer_id
        )
        cause = refusal(coupon, count, self._clock.now())
        if cause is not None:
            raise coupon_not_claimable(cause)

    async def _spend(
        self, connection: Connection, coupon: Coupon, wanted: ClaimRequest
    ) -> PostingAnswer | None:
        """Posts the deduction; None of a coupon that is free."""
        if coupon.terms.cost is None:
            return None
        body = CouponSpend(coupon.terms.cost, coupon.coupon_id, coupon.terms.name, wanted.claim_id)
        posting = Posting(wanted.claim_id, wanted.team_id, wanted.customer_id, None, wanted.actor, body)
        (answer,) = (await self._ledger.post_in_transaction(connection, [posting])).answers
        return answer

    def _claim_of(self, coupon: Coupon, wanted: ClaimRequest, spent: PostingAnswer | None) -> Claim:
        return Claim(
            team_id=wanted.team_id,
            claim_id=wanted.claim_id,
            coupon_id=wanted.coupon_id,
            customer_id=wanted.customer_id,
            code="".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH)),
            points_paid=-spent.outcome.delta_balance if spent else 0,
            sequence=spent.outcome.sequence if spent else 0,
            created_at=self._clock.now(),
            expires_at=coupon.terms.expires_at,
        )


def _sets_points(terms: Terms, present: Terms) -> bool:
    """Whether a change gives the coupon a redemption with points, or another one."""
    redemption = terms.cost, terms.insufficient_text
    return terms.cost is not None and redemption != (present.cost, present.insufficient_text)
