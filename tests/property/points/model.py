"""A small independent model of the ledger: dictionaries, fractions, and the rules once more in other words."""

from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction
from uuid import UUID

from services.points.domain.earning import Formula
from services.points.domain.model import (
    Body,
    CouponSpend,
    Earn,
    ImportRow,
    ImportUndo,
    JourneyChange,
    Manual,
    Merge,
    Posting,
    Refund,
)


class Model:
    """What the rules say, said again: balances and cumulatives in dictionaries, orders as lists of refunds."""

    def __init__(self, formula: Formula | None) -> None:
        self.formula = formula
        self.balance: dict[UUID, int] = defaultdict(int)
        self.cumulative: dict[UUID, int] = defaultdict(int)
        self.orders: dict[UUID, int] = {}
        self.earning: set[UUID] = set()
        self.refunds: dict[UUID, list[int]] = defaultdict(list)
        self.shortfall = 0

    def worth(self, micros: int) -> int:
        if self.formula is None or micros <= 0:
            return 0
        exact = Fraction(micros * self.formula.points_micros, self.formula.amount_micros * 1_000_000)
        return math.floor(exact + Fraction(1, 2))

    def take(self, posting: Posting) -> bool:
        """Applies a posting; tells whether any figure changed."""
        before = self.figures()
        who, body = posting.customer_id, posting.body
        assert not isinstance(body, ImportUndo), "imports are taken back in tests of their own"
        if isinstance(body, Earn | Refund):
            self.trade(who, body)
        elif isinstance(body, Merge):
            for figures in (self.balance, self.cumulative):
                figures[body.survivor_id] += figures.pop(who, 0)
        elif not isinstance(body, JourneyChange) or body.has_phone:
            self.change(who, -body.points if isinstance(body, CouponSpend) else body.points, body)
        return before != self.figures()

    def figures(self) -> list[dict[UUID, int]]:
        return [{who: n for who, n in each.items() if n} for each in (self.balance, self.cumulative)]

    def trade(self, who: UUID, body: Earn | Refund) -> None:
        if isinstance(body, Earn):
            if body.order_key in self.orders:
                return
            self.orders[body.order_key] = body.amount_micros
            if self.formula is not None and body.has_phone:
                self.earning.add(body.order_key)
                self.add(who, self.worth(body.amount_micros - sum(self.refunds[body.order_key])))
        elif body.order_key is None:
            self.claw(who, self.worth(body.amount_micros))
        else:
            whole, back = self.orders.get(body.order_key, 0), self.refunds[body.order_key]
            was = self.worth(whole - sum(back))
            back.append(body.amount_micros)
            if body.order_key in self.earning:
                self.claw(who, was - self.worth(whole - sum(back)))

    def change(self, who: UUID, count: int, body: Body) -> None:
        if count > 0:
            self.add(who, count)
        elif -count <= self.balance[who]:
            self.balance[who] += count
            if isinstance(body, ImportRow | Manual) and body.deduct_cumulative:
                self.cumulative[who] = max(0, self.cumulative[who] + count)

    def add(self, who: UUID, count: int) -> None:
        self.balance[who] += count
        self.cumulative[who] += count

    def claw(self, who: UUID, count: int) -> None:
        taken = min(count, self.balance[who])
        self.balance[who] -= taken
        self.shortfall += count - taken
