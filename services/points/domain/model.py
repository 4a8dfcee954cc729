"""Words of the ledger: postings, accounts, orders, entries, outcomes. Points and micros are plain integers."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import NewType
from uuid import UUID

import msgspec

POINTS_MAX = 10**12
"""Most points of one posting."""
FIGURE_MAX = 10**15
"""Most points of a balance or cumulative: sums over 9,000 such customers still fit 64 bits."""


AccountKey = NewType("AccountKey", tuple[UUID, UUID])
"""Team and customer."""
PostingKey = NewType("PostingKey", tuple[UUID, UUID])
"""Team and idempotency key of a posting."""
OrderKey = NewType("OrderKey", tuple[UUID, UUID])
"""Team and key of an order."""


class Source(IntEnum):
    """Where a change came from (P-05); the numbers are stored and are those of the contract."""

    WEB_ORDER = 1
    COUPON_REDEMPTION = 2
    JOURNEY = 3
    IMPORT = 4
    REFUND = 5
    MANUAL = 6
    MERGE = 7


class Status(IntEnum):
    """What became of a posting; stored, and as in the contract."""

    POSTED = 1
    REJECTED = 2
    SKIPPED = 3
    REFUSED = 4
    FAILED = 5


class Reason(IntEnum):
    """Why a posting was not, or not wholly, posted; stored, and as in the contract."""

    NONE = 0
    INSUFFICIENT = 1
    NO_PHONE = 2
    NO_FORMULA = 3
    ZERO_POINTS = 4
    ORDER_PENDING = 5
    ORDER_POSTED = 6
    NOTHING_LEFT = 7
    OUT_OF_RANGE = 8
    KEY_REUSED = 9
    CUT = 10
    MODULE_MISSING = 12


class Earn(msgspec.Struct, frozen=True):
    """An order earns what the formula gives."""

    order_key: UUID
    shop_id: str
    order_id: str
    amount_micros: int
    currency: str
    has_phone: bool
    order_number: str = ""


class Refund(msgspec.Struct, frozen=True):
    """A refund takes back; `order_key` is None when it names no order."""

    refund_key: UUID
    order_key: UUID | None
    shop_id: str
    refund_id: str
    order_id: str
    amount_micros: int
    currency: str
    order_number: str = ""


class JourneyChange(msgspec.Struct, frozen=True):
    """A journey's node adds (`points` > 0) or deducts (`points` < 0)."""

    points: int
    journey_id: UUID
    journey_name: str
    enrolment_id: UUID
    node_id: str
    has_phone: bool


class CouponSpend(msgspec.Struct, frozen=True):
    """`points` > 0 are spent on a claim."""

    points: int
    coupon_id: UUID
    coupon_name: str
    claim_id: UUID


class ImportRow(msgspec.Struct, frozen=True):
    """A row of an import adds or deducts."""

    points: int
    deduct_cumulative: bool
    import_id: UUID
    file_name: str
    row_number: int


class ImportUndo(msgspec.Struct, frozen=True):
    """A row of an import is taken back: the opposite of what it changed, in both figures."""

    balance: int
    cumulative: int
    import_id: UUID
    file_name: str
    row_number: int


UNDO_NOTE = "undo"
"""Note of an entry that takes a row of an import back."""


class Manual(msgspec.Struct, frozen=True):
    """An operator adds or deducts."""

    points: int
    deduct_cumulative: bool
    note: str


class Merge(msgspec.Struct, frozen=True):
    """Everything moves to the survivor."""

    survivor_id: UUID
    merge_id: UUID


Body = Earn | Refund | JourneyChange | CouponSpend | ImportRow | ImportUndo | Manual | Merge


class Posting(msgspec.Struct, frozen=True):
    """One intended change, known by its key within the team. `occurred_at` None: the time of posting."""

    key: UUID
    team_id: UUID
    customer_id: UUID
    occurred_at: datetime | None
    actor: str
    body: Body


class Account(msgspec.Struct, frozen=True):
    """A customer's figures after their last entry; `last_at` and `last_hash` are None before the first."""

    balance: int = 0
    cumulative: int = 0
    sequence: int = 0
    last_at: datetime | None = None
    last_hash: bytes | None = None


class Order(msgspec.Struct, frozen=True):
    """An order as far as its postings have been seen.

    `posted`: its own posting was seen. `earning`: it earned by the formula (there was one, and a phone), be it 0.
    `clawed`: points its refunds asked back since; `taken`: those they got. While `earning`,
    `earned - clawed` = what the formula gives for the amount less all refunds.
    """

    customer_id: UUID
    posted: bool = False
    earning: bool = False
    amount_micros: int = 0
    refunded_micros: int = 0
    earned: int = 0
    clawed: int = 0
    taken: int = 0


class Entry(msgspec.Struct, frozen=True):
    """One immutable change of one customer's points (P-07). Its place in the history is given when it is written."""

    team_id: UUID
    customer_id: UUID
    sequence: int
    source: Source
    source_id: str
    source_name: str
    delta_balance: int
    delta_cumulative: int
    requested_balance: int
    requested_cumulative: int
    balance: int
    cumulative: int
    occurred_at: datetime
    posted_at: datetime
    key: UUID
    actor: str
    order_key: UUID | None = None
    enrolment_id: UUID | None = None
    node_id: str = ""
    note: str = ""
    hash: bytes = b""


class PostingOutcome(msgspec.Struct, frozen=True):
    """What is recorded under a key and answered to every repetition (P-08)."""

    team_id: UUID
    key: UUID
    fingerprint: bytes
    customer_id: UUID
    source: Source
    status: Status
    reason: Reason
    requested_balance: int
    delta_balance: int
    delta_cumulative: int
    shortfall: int
    balance: int
    cumulative: int
    sequence: int
    recorded_at: datetime


class PostingAnswer(msgspec.Struct, frozen=True):
    """An outcome as it is answered. `replayed`: it was recorded before; REFUSED and FAILED ones are never recorded."""

    outcome: PostingOutcome
    replayed: bool


class Posted(msgspec.Struct, frozen=True):
    """Answers in the order of the postings, and the number of entries written."""

    answers: list[PostingAnswer]
    entries: int
