"""The fold: a batch of postings, one after the other, over the state that was locked for it.

Item k sees what item k-1 did, also when k-1 was rejected. The fold itself touches nothing outside: the store loads a
book, the fold fills it, the store writes what is new in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from services.points.domain.decide import Change, Decision, decide, order_key_of, source_of
from services.points.domain.earning import Formula
from services.points.domain.identity import EPOCH, fingerprint, hash_of
from services.points.domain.model import (
    FIGURE_MAX,
    UNDO_NOTE,
    Account,
    AccountKey,
    CouponSpend,
    Earn,
    Entry,
    ImportRow,
    ImportUndo,
    JourneyChange,
    Manual,
    Merge,
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

_TICK = timedelta(microseconds=1)
_NEW = Account()


class Book:
    """State of a batch, and what the fold adds to it.

    Args:
        accounts: figures of the customers that the batch touches; of those that have any.
        orders: orders that the batch names, as far as they are recorded.
        formulas: formula of each team that has one.
        outcomes: outcomes recorded so far under the batch's keys.
        now: domain time, taken after all of these were read.
        without_module: teams that lack the module POINTS.
    """

    def __init__(
        self,
        accounts: Mapping[AccountKey, Account],
        orders: Mapping[OrderKey, Order],
        formulas: Mapping[UUID, Formula],
        outcomes: Mapping[PostingKey, PostingOutcome],
        now: datetime,
        *,
        without_module: Collection[UUID] = (),
    ) -> None:
        self._loaded = accounts
        self._accounts = dict(accounts)
        self._orders = dict(orders)
        self._formulas = formulas
        self._outcomes = dict(outcomes)
        self.now = now
        self._without_module = without_module
        self.entries: list[Entry] = []
        self.outcomes: list[PostingOutcome] = []
        self._last_entries: dict[AccountKey, int] = {}
        self._touched_orders: set[OrderKey] = set()

    def fold(self, postings: Iterable[Posting]) -> list[PostingAnswer]:
        """Answers each posting in order."""
        return [self._take(posting) for posting in postings]

    @property
    def changed_accounts(self) -> list[tuple[AccountKey, Account]]:
        """Accounts that got entries, as they are now."""
        return [(key, self._accounts[key]) for key in self._last_entries]

    @property
    def first_sequences(self) -> list[int | None]:
        """Beside each entry: with an account's last one, the sequence that the account had before all of them."""
        befores: list[int | None] = [None] * len(self.entries)
        for key, index in self._last_entries.items():
            befores[index] = self._loaded.get(key, _NEW).sequence
        return befores

    @property
    def changed_orders(self) -> list[tuple[OrderKey, Order]]:
        """Orders that are new or changed, as they are now."""
        return [(key, self._orders[key]) for key in sorted(self._touched_orders)]

    def _take(self, posting: Posting) -> PostingAnswer:
        key = PostingKey((posting.team_id, posting.key))
        content = fingerprint(posting)
        before = self._outcomes.get(key)
        if before is not None and before.fingerprint == content:
            return PostingAnswer(before, replayed=True)
        if before is not None:
            account = self._account(posting.team_id, posting.customer_id)
            refused = Decision(Status.REFUSED, Reason.KEY_REUSED)
            return PostingAnswer(self._outcome(posting, content, refused, account), replayed=False)
        outcome = self._apply(posting, content)
        if outcome.status == Status.REFUSED:
            return PostingAnswer(outcome, replayed=False)
        self._outcomes[key] = outcome
        self.outcomes.append(outcome)
        return PostingAnswer(outcome, replayed=False)

    def _apply(self, posting: Posting, content: bytes) -> PostingOutcome:
        account = self._account(posting.team_id, posting.customer_id)
        order_id = order_key_of(posting)
        order_key = OrderKey((posting.team_id, order_id)) if order_id is not None else None
        order = self._orders.get(order_key) if order_key is not None else None
        decision = decide(
            posting,
            account,
            order,
            self._formulas.get(posting.team_id),
            has_module=posting.team_id not in self._without_module,
        )
        after = self._write(posting, decision.changes)
        if after is None:
            decision = Decision(Status.REJECTED, Reason.OUT_OF_RANGE, requested=decision.requested)
        elif after:
            account = after[0]
        if decision.order is not None and order_key is not None:
            self._orders[order_key] = decision.order
            self._touched_orders.add(order_key)
        return self._outcome(posting, content, decision, account)

    def _write(self, posting: Posting, changes: Sequence[Change]) -> list[Account] | None:
        """Writes an entry for each change, all or none; None when a figure would leave its range."""
        entries: list[Entry] = []
        for change in changes:
            account = self._account(posting.team_id, change.customer_id)
            entry = make_entry(posting, change, account, self.now)
            if not (0 <= entry.balance <= FIGURE_MAX and 0 <= entry.cumulative <= FIGURE_MAX):
                return None
            entries.append(entry)
        after = []
        for entry in entries:
            account_key = AccountKey((entry.team_id, entry.customer_id))
            state = Account(entry.balance, entry.cumulative, entry.sequence, entry.posted_at, entry.hash)
            self._accounts[account_key] = state
            self._last_entries[account_key] = len(self.entries)
            self.entries.append(entry)
            after.append(state)
        return after

    def _account(self, team_id: UUID, customer_id: UUID) -> Account:
        return self._accounts.get(AccountKey((team_id, customer_id)), _NEW)

    def _outcome(
        self, posting: Posting, content: bytes, decision: Decision, account: Account
    ) -> PostingOutcome:
        change = decision.changes[0] if decision.changes else None
        return PostingOutcome(
            posting.team_id,
            posting.key,
            content,
            posting.customer_id,
            source_of(posting),
            decision.status,
            decision.reason,
            decision.requested,
            change.balance if change else 0,
            change.cumulative if change else 0,
            decision.shortfall,
            account.balance,
            account.cumulative,
            account.sequence,
            # An entry tells when it was posted, which may be a tick after now; nothing else does.
            account.last_at if change and account.last_at else self.now,
        )


def not_stored(posting: Posting) -> PostingAnswer:
    """The answer to a posting that could not be written: nothing is recorded, and it may come again."""
    outcome = Book({}, {}, {}, {}, EPOCH)._outcome(posting, b"", Decision(Status.FAILED), _NEW)
    return PostingAnswer(outcome, replayed=False)


def make_entry(posting: Posting, change: Change, account: Account, now: datetime) -> Entry:
    """The entry that follows an account's last one: numbered, timed later than it, chained to it."""
    posted_at = now if account.last_at is None else max(now, account.last_at + _TICK)
    source_id, source_name = naming_of(posting)
    body = posting.body
    journey = body if isinstance(body, JourneyChange) else None
    fields = (
        posting.team_id,
        change.customer_id,
        account.sequence + 1,
        source_of(posting),
        source_id,
        source_name,
        change.balance,
        change.cumulative,
        change.requested_balance,
        change.requested_cumulative,
        account.balance + change.balance,
        account.cumulative + change.cumulative,
        posting.occurred_at or now,
        posted_at,
        posting.key,
        posting.actor,
        order_key_of(posting),
        journey.enrolment_id if journey else None,
        journey.node_id if journey else "",
        note_of(posting),
    )
    return Entry(*fields, hash_of(account.last_hash, fields))


def accounts_of(postings: Sequence[Posting]) -> list[AccountKey]:
    """Every account that the postings may touch, each once, in the one order in which accounts are locked."""
    keys = {AccountKey((posting.team_id, posting.customer_id)) for posting in postings}
    for posting in postings:
        if isinstance(posting.body, Merge):
            keys.add(AccountKey((posting.team_id, posting.body.survivor_id)))
    return sorted(keys)


def note_of(posting: Posting) -> str:
    """The note of the entries that a posting makes."""
    body = posting.body
    if isinstance(body, Manual):
        return body.note
    return UNDO_NOTE if isinstance(body, ImportUndo) else ""


def naming_of(posting: Posting) -> tuple[str, str]:
    """Id and name of the source, as a person meets them in the history report."""
    body = posting.body
    match body:
        case Earn():
            return body.order_id, body.order_number or body.order_id
        case Refund():
            return body.refund_id, body.order_number or body.order_id or body.refund_id
        case JourneyChange():
            return str(body.journey_id), body.journey_name
        case CouponSpend():
            return str(body.coupon_id), body.coupon_name
        case ImportRow() | ImportUndo():
            return str(body.import_id), body.file_name
        case Manual():
            return "", ""
        case Merge():
            return str(body.merge_id), ""
