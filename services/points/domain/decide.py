"""One posting against the figures as they stand: what changes, or why nothing does."""

from __future__ import annotations

from uuid import UUID

import msgspec

from services.points.domain.earning import AMOUNT_MICROS_MAX, Formula, earned, no_longer_earned
from services.points.domain.model import (
    Account,
    Body,
    CouponSpend,
    Earn,
    ImportRow,
    ImportUndo,
    JourneyChange,
    Manual,
    Merge,
    Order,
    Posting,
    Reason,
    Refund,
    Source,
    Status,
)


class Change(msgspec.Struct, frozen=True):
    """A change of one customer's figures; what was asked for where it differs from what is done."""

    customer_id: UUID
    balance: int
    cumulative: int
    requested_balance: int
    requested_cumulative: int


class Decision(msgspec.Struct, frozen=True):
    """What a posting does: its changes (none unless POSTED) and the order as it is afterwards (None: as before)."""

    status: Status
    reason: Reason = Reason.NONE
    changes: tuple[Change, ...] = ()
    requested: int = 0
    shortfall: int = 0
    order: Order | None = None


def decide(
    posting: Posting,
    account: Account,
    order: Order | None,
    formula: Formula | None,
    *,
    has_module: bool = True,
) -> Decision:
    """Decides one posting. Total: every posting gets a decision, none raises.

    `has_module`: the team has the module POINTS. Without it nothing is earned, added or spent (P-09); what undoes or
    moves points that were given before goes on.
    """
    customer_id, body = posting.customer_id, posting.body
    if not has_module and (refused := _without_module(customer_id, body, order)) is not None:
        return refused
    match body:
        case Earn():
            return _earn(customer_id, body, order, formula)
        case Refund():
            return _refund(customer_id, body, account, order, formula)
        case JourneyChange():
            return _journey(customer_id, body, account)
        case CouponSpend():
            return _spend(customer_id, body.points, account)
        case ImportRow() | Manual():
            return _by_hand(customer_id, body.points, body.deduct_cumulative, account)
        case ImportUndo():
            return _undo(customer_id, body, account)
        case Merge():
            return _merge(customer_id, body, account)


def source_of(posting: Posting) -> Source:
    """Source of the entries that a posting makes."""
    return _SOURCES[type(posting.body)]


def order_key_of(posting: Posting) -> UUID | None:
    """Key of the order that a posting earns from or refunds."""
    body = posting.body
    return body.order_key if isinstance(body, (Earn, Refund)) else None


def needs_formula(posting: Posting) -> bool:
    """Whether what a posting does depends on the team's formula."""
    return isinstance(posting.body, (Earn, Refund))


def _without_module(customer_id: UUID, body: Body, order: Order | None) -> Decision | None:
    """What becomes of a posting of a team without POINTS; None for one that is decided as with it."""
    match body:
        case Earn():
            # Seen as an order that earns nothing: neither it nor its refunds change points later.
            return _earn(customer_id, body, order, None, Reason.MODULE_MISSING)
        case Refund(order_key=None) | JourneyChange() | CouponSpend() | ImportRow():
            return Decision(Status.SKIPPED, Reason.MODULE_MISSING)
        case Manual():
            # Not recorded: the person may ask for it again when the team has the module.
            return Decision(Status.REFUSED, Reason.MODULE_MISSING)
        case _:
            return None


def _earn(
    customer_id: UUID,
    body: Earn,
    order: Order | None,
    formula: Formula | None,
    without_formula: Reason = Reason.NO_FORMULA,
) -> Decision:
    if order is not None and order.posted:
        return Decision(Status.SKIPPED, Reason.ORDER_POSTED)
    if body.amount_micros > AMOUNT_MICROS_MAX:
        return Decision(Status.REJECTED, Reason.OUT_OF_RANGE)
    refunded = order.refunded_micros if order is not None else 0
    seen = Order(customer_id, posted=True, amount_micros=max(body.amount_micros, 0), refunded_micros=refunded)
    if formula is None:
        return Decision(Status.SKIPPED, without_formula, order=seen)
    if not body.has_phone:
        return Decision(Status.SKIPPED, Reason.NO_PHONE, order=seen)
    points = earned(seen.amount_micros - refunded, formula)
    seen = msgspec.structs.replace(seen, earning=True, earned=points)
    if points == 0:
        return Decision(Status.SKIPPED, Reason.ZERO_POINTS, order=seen)
    return Decision(Status.POSTED, changes=(_both(customer_id, points),), requested=points, order=seen)


def _refund(
    customer_id: UUID, body: Refund, account: Account, order: Order | None, formula: Formula | None
) -> Decision:
    if body.amount_micros > AMOUNT_MICROS_MAX:
        return Decision(Status.REJECTED, Reason.OUT_OF_RANGE)
    if body.order_key is not None:
        return _refund_of_order(customer_id, body.amount_micros, account, order, formula)
    if formula is None:
        return Decision(Status.SKIPPED, Reason.NO_FORMULA)
    return _take_back(customer_id, earned(body.amount_micros, formula), account, None)


def _refund_of_order(
    customer_id: UUID, amount_micros: int, account: Account, order: Order | None, formula: Formula | None
) -> Decision:
    before = order if order is not None else Order(customer_id)
    # Refunds beyond the largest order change nothing more; the cut keeps their sum inside 64 bits.
    refunded = min(before.refunded_micros + amount_micros, AMOUNT_MICROS_MAX)
    after = msgspec.structs.replace(before, refunded_micros=refunded)
    if not before.posted:
        return Decision(Status.SKIPPED, Reason.ORDER_PENDING, order=after)
    if not before.earning or formula is None:
        return Decision(Status.SKIPPED, Reason.ZERO_POINTS, order=after)
    asked = no_longer_earned(before.amount_micros - before.refunded_micros, amount_micros, formula)
    return _take_back(customer_id, asked, account, after)


def _take_back(customer_id: UUID, asked: int, account: Account, order: Order | None) -> Decision:
    """A refund takes at most what is there; the rest is the shortfall."""
    if asked == 0:
        return Decision(Status.SKIPPED, Reason.ZERO_POINTS, order=order)
    taken = min(asked, account.balance)
    if order is not None:
        order = msgspec.structs.replace(order, clawed=order.clawed + asked, taken=order.taken + taken)
    if taken == 0:
        return Decision(Status.SKIPPED, Reason.NOTHING_LEFT, requested=-asked, shortfall=asked, order=order)
    return Decision(
        Status.POSTED,
        Reason.CUT if taken < asked else Reason.NONE,
        changes=(Change(customer_id, -taken, 0, -asked, 0),),
        requested=-asked,
        shortfall=asked - taken,
        order=order,
    )


def _journey(customer_id: UUID, body: JourneyChange, account: Account) -> Decision:
    if not body.has_phone:
        return Decision(Status.SKIPPED, Reason.NO_PHONE)
    if body.points < 0:
        return _spend(customer_id, -body.points, account)
    return Decision(Status.POSTED, changes=(_both(customer_id, body.points),), requested=body.points)


def _spend(customer_id: UUID, points: int, account: Account) -> Decision:
    if points > account.balance:
        return Decision(Status.REJECTED, Reason.INSUFFICIENT, requested=-points)
    change = Change(customer_id, -points, 0, -points, 0)
    return Decision(Status.POSTED, changes=(change,), requested=-points)


def _by_hand(customer_id: UUID, points: int, deduct_cumulative: bool, account: Account) -> Decision:
    if points > 0:
        return Decision(Status.POSTED, changes=(_both(customer_id, points),), requested=points)
    if -points > account.balance:
        return Decision(Status.REJECTED, Reason.INSUFFICIENT, requested=points)
    asked = points if deduct_cumulative else 0
    lowered = max(asked, -account.cumulative)
    return Decision(
        Status.POSTED,
        Reason.CUT if lowered != asked else Reason.NONE,
        changes=(Change(customer_id, points, lowered, points, asked),),
        requested=points,
        shortfall=lowered - asked,
    )


def _undo(customer_id: UUID, body: ImportUndo, account: Account) -> Decision:
    """Whole or not at all in the balance; the cumulative, which may have been lowered meanwhile, is cut at 0."""
    if -body.balance > account.balance:
        return Decision(Status.REJECTED, Reason.INSUFFICIENT, requested=body.balance)
    changed = max(body.cumulative, -account.cumulative)
    return Decision(
        Status.POSTED,
        Reason.CUT if changed != body.cumulative else Reason.NONE,
        changes=(Change(customer_id, body.balance, changed, body.balance, body.cumulative),),
        requested=body.balance,
        shortfall=changed - body.cumulative,
    )


def _merge(customer_id: UUID, body: Merge, account: Account) -> Decision:
    balance, cumulative = account.balance, account.cumulative
    if balance == 0 and cumulative == 0:
        return Decision(Status.SKIPPED, Reason.ZERO_POINTS)
    leaves = Change(customer_id, -balance, -cumulative, -balance, -cumulative)
    arrives = Change(body.survivor_id, balance, cumulative, balance, cumulative)
    return Decision(Status.POSTED, changes=(leaves, arrives), requested=-balance)


def _both(customer_id: UUID, points: int) -> Change:
    return Change(customer_id, points, points, points, points)


_SOURCES: dict[type, Source] = {
    Earn: Source.WEB_ORDER,
    Refund: Source.REFUND,
    JourneyChange: Source.JOURNEY,
    CouponSpend: Source.COUPON_REDEMPTION,
    ImportRow: Source.IMPORT,
    ImportUndo: Source.IMPORT,
    Manual: Source.MANUAL,
    Merge: Source.MERGE,
}
