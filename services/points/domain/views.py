"""What the edge and the stores both name: searches, places in lists, rows of reports, sums. Pure."""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from services.points.domain.coupons import Claim
from services.points.domain.earning import Formula
from services.points.domain.imports import ImportState, ImportTerms, Row, RowOutcome
from services.points.domain.model import Entry, Source

ListPosition = tuple[datetime, UUID]
"""Where a page of coupons, claims or imports ended: time and id of its last row."""


class FormulaSetting(msgspec.Struct, frozen=True):
    """A team's formula, and when it was set."""

    formula: Formula
    created_at: datetime


class LedgerSums(msgspec.Struct, frozen=True):
    """Sums over a team's ledger, in points and rows; see the contract's LedgerSummary for each."""

    entries: int
    earned: int
    refunded: int
    refund_shortfall: int
    journey_added: int
    journey_deducted: int
    redeemed: int
    imported: int
    manual: int
    balance: int
    cumulative: int
    accounts: int
    rejected: int
    skipped: int


class PlacedEntry(msgspec.Struct, frozen=True):
    """An entry and its place in the feed."""

    partition: int
    position: int
    entry: Entry


class PointChange(NamedTuple):
    """An entry, as far as it concerns figures; `journey_id` is that of a journey's node, empty for others."""

    occurred_at: datetime
    delta_balance: int
    delta_cumulative: int
    journey_id: str


class ChangedPoints(NamedTuple):
    """Figures of a customer as they are, and what has changed them, in order."""

    balance: int
    cumulative: int
    changes: list[PointChange]


class EntrySearch(msgspec.Struct, frozen=True):
    """A search in the history: posted from `start` to `end` (exclusive); no `sources` are all of them.

    `keyword`: folded; part of what the customer is called or reached by. Empty: every customer.
    """

    team_id: UUID
    start: datetime
    end: datetime
    sources: tuple[Source, ...] = ()
    customer_id: UUID | None = None
    keyword: str = ""


class EntryPosition(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of the history report ended."""

    posted_at: datetime
    customer_id: UUID
    sequence: int


class CustomerName(msgspec.Struct, frozen=True):
    """What the report calls a customer; empty where nothing is known."""

    name: str = ""
    member_id: str = ""


class RowSetAside(NamedTuple):
    """A row of segment's history that could not be applied to the copy of customers."""

    partition: int
    position: int
    reason: str
    set_aside_at: datetime

    @property
    def place(self) -> tuple[int, int]:
        """Where it is found."""
        return self[:2]


class NamedEntry(msgspec.Struct, frozen=True):
    """A line of the history report."""

    placed: PlacedEntry
    customer: CustomerName


def position_of(line: NamedEntry) -> EntryPosition:
    """Where a line stands."""
    entry = line.placed.entry
    return EntryPosition(entry.posted_at, entry.customer_id, entry.sequence)


class DayChanges(msgspec.Struct, frozen=True):
    """Changes of a day's balances by where they came from."""

    earned: int = 0
    redeemed: int = 0
    refunded: int = 0
    imported: int = 0
    journeys: int = 0
    manual: int = 0
    merged: int = 0


class DailyStatement(msgspec.Struct, frozen=True):
    """One day of a team: opening plus all changes is closing."""

    day: date
    beginning: datetime
    opening: int
    changes: DayChanges
    closing: int


class CheckScope(msgspec.Struct, frozen=True):
    """What to check; None is no bound. Bounds are of the posting time, `end` exclusive."""

    team_id: UUID
    customer_id: UUID | None = None
    start: datetime | None = None
    end: datetime | None = None
    incremental: bool = False
    """Only what changed from `start` on: accounts and orders without new entries are passed over."""

    @property
    def changed_since(self) -> datetime | None:
        """From when on accounts and orders must have entries to be looked at; None: all are."""
        return self.start if self.incremental else None


class CheckCounts(msgspec.Struct):
    """What a check went over, counted as it goes."""

    accounts: int = 0
    entries: int = 0
    outcomes: int = 0
    orders: int = 0


class ClaimRequest(msgspec.Struct, frozen=True):
    """A claim as it is asked for. `claim_id` follows from the request: a repetition means the same claim."""

    team_id: UUID
    claim_id: UUID
    coupon_id: UUID
    customer_id: UUID
    actor: str
    offer_id: UUID | None = None
    """What offered the coupon: it is claimed once."""


class ClaimResult(msgspec.Struct, frozen=True):
    """The claim, or None and the coupon's text where points were too few; the balance after it."""

    claim: Claim | None
    insufficient_text: str
    balance: int


class ClaimSearch(msgspec.Struct, frozen=True):
    """Whose claims of which coupon; None is no filter."""

    team_id: UUID
    coupon_id: UUID | None
    customer_id: UUID | None


class Import(msgspec.Struct, frozen=True):
    """An import as it stands."""

    team_id: UUID
    import_id: UUID
    terms: ImportTerms
    state: ImportState
    created_at: datetime
    ended_at: datetime | None


class ImportCounts(msgspec.Struct, frozen=True):
    """Rows by outcome; `delta_balance`: net change of balances."""

    total: int = 0
    waiting: int = 0
    applied: int = 0
    unchanged: int = 0
    invalid: int = 0
    insufficient: int = 0
    undone: int = 0
    not_undone: int = 0
    delta_balance: int = 0


class ReportedRow(msgspec.Struct, frozen=True):
    """A row as the report shows it. `repeated`: its customer stands in another row, too."""

    row: Row
    outcome: RowOutcome
    repeated: bool
