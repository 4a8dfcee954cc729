"""Points in memory: the fold of the ledger itself, on dictionaries."""

from __future__ import annotations

from typing import Final

from libs.common.clock import SteppedClock
from libs.testing.mails import TEAM
from services.journey.domain import effects as fx
from services.points.domain.book import Book, accounts_of
from services.points.domain.earning import Formula
from services.points.domain.model import (
    Account,
    AccountKey,
    Earn,
    Entry,
    JourneyChange,
    Order,
    OrderKey,
    Posting,
    PostingAnswer,
    PostingKey,
    PostingOutcome,
    Reason,
    Refund,
    Status,
)

FORMULA: Final = Formula(amount_micros=10_000_000, points_micros=1_000_000)
"""Ten of a currency earn a point."""
Effect = fx.EarnPoints | fx.RefundPoints | fx.ChangePoints


class Points:
    """The tables, and `PostEntries`."""

    def __init__(self, clock: SteppedClock) -> None:
        self.entries: list[Entry] = []
        """The ledger, in the order of commits."""
        self.outcomes: dict[PostingKey, PostingOutcome] = {}
        self.orders: dict[OrderKey, Order] = {}
        self.accounts: dict[AccountKey, Account] = {}
        self._clock = clock

    def post(self, effect: Effect, phone: str | None) -> fx.Answer:
        """Posts what an effect asks for; `phone` is asked of segment for those that do not tell."""
        posting = Posting(
            effect.key, TEAM, effect.customer_id, effect.at, "journey", _body(effect, has_phone=bool(phone))
        )
        accounts = {key: self.accounts.get(key, Account()) for key in accounts_of([posting])}
        book = Book(accounts, self.orders, {TEAM: FORMULA}, self.outcomes, self._clock.now())
        [answer] = book.fold([posting])
        self.accounts |= book.changed_accounts
        self.orders |= book.changed_orders
        self.outcomes |= {PostingKey((outcome.team_id, outcome.key)): outcome for outcome in book.outcomes}
        self.entries += book.entries
        return _answer(answer)


def _body(effect: Effect, *, has_phone: bool) -> Earn | Refund | JourneyChange:
    match effect:
        case fx.EarnPoints():
            return Earn(
                effect.key,
                effect.shop_id,
                effect.order_id,
                effect.amount_micros,
                effect.currency,
                effect.has_phone,
            )
        case fx.RefundPoints():
            return Refund(
                effect.key,
                effect.order_key,
                effect.shop_id,
                effect.refund_id,
                "",
                effect.amount_micros,
                effect.currency,
            )
        case fx.ChangePoints():
            return JourneyChange(
                effect.delta,
                effect.journey_id,
                effect.journey_name,
                effect.enrolment_id,
                effect.node_id,
                has_phone,
            )


def _answer(answer: PostingAnswer) -> fx.ChangeAnswer:
    outcome = answer.outcome
    reason = "" if outcome.reason is Reason.NONE else outcome.reason.name
    match outcome.status:
        case Status.POSTED:
            return fx.ChangeAnswer(fx.ChangeState.APPLIED, reason)
        case Status.REJECTED if outcome.reason is Reason.INSUFFICIENT:
            return fx.ChangeAnswer(fx.ChangeState.INSUFFICIENT, reason)
        case Status.SKIPPED:
            return fx.ChangeAnswer(fx.ChangeState.SKIPPED, reason)
        case _:
            return fx.ChangeAnswer(fx.ChangeState.REFUSED, reason)
