"""The fold: a batch of postings, one after the other, over the state that was locked for it.

Item k sees what item k-1 did, also when k-1 was rejected. The fold itself touches nothing outside: the store loads a
book, the fold fills it, the store writes what is new in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from services.points.domain.decide import Change, Decision, decide, order_key_of, source_of
from services.points.domain.earning import Formula
from services.points.domain.identity import chained, fingerprint
from services.points.domain.model import (
    FIGURE_MAX,
    UNDO_NOTE,
    Account,
    Answer,
    CouponSpend,
    Earn,
    Entry,
    ImportRow,
    ImportUndo,
    JourneyChange,
    Manual,
    Merge,
    Order,
    Outcome,
    Posting,
    Reason,
    Refund,
    Status,
)

Ref = tuple[UUID, UUID]
"""Team and customer, team and key, or team and order key."""

_TICK = timedelta(microseconds=1)


class Book:
    """State of a batch, and what the fold adds to it.

    Args:
        accounts: figures of every customer that the batch touches; all locked.
        orders: orders known so far among those that the batch names.
        formulas: formula of each team that has one.
        outcomes: outcomes recorded so far under the batch's keys.
        now: domain time, taken after the locks.
    """

    def __init__(
        self,
        accounts: Mapping[Ref, Account],
        orders: Mapping[Ref, Order],
        formulas: Mapping[UUID, Formula],
        outcomes: Mapping[Ref, Outcome],
        now: datetime,
    ) -> None:
        self._accounts = dict(accounts)
        self._orders = dict(orders)
        self._formulas = formulas
        self._outcomes = dict(outcomes)
        self._now = now
        self.entries: list[Entry] = []
        self.outcomes: list[Outcome] = []
        self._touched_accounts: set[Ref] = set()
        self._touched_orders: set[Ref] = set()

    def fold(self, postings: Iterable[Posting]) -> list[Answer]:
        """Answers each posting in order."""
        return [self._take(posting) for posting in postings]

    @property
    def changed_accounts(self) -> list[tuple[Ref, Account]]:
        """Accounts that got entries, as they are now."""
        return [(ref, self._accounts[ref]) for ref in sorted(self._touched_accounts)]

    @property
    def changed_orders(self) -> list[tuple[Ref, Order]]:
        """Orders that are new or changed, as they are now."""
        return [(ref, self._orders[ref]) for ref in sorted(self._touched_orders)]

    def _take(self, posting: Posting) -> Answer:
        ref = (posting.team_id, posting.key)
        mark = fingerprint(posting)
        before = self._outcomes.get(ref)
        if before is not None and before.fingerprint == mark:
            return Answer(before, replayed=True)
        if before is not None:
            account = self._accounts[posting.team_id, posting.customer_id]
            refused = Decision(Status.REFUSED, Reason.KEY_REUSED)
            return Answer(self._outcome(posting, mark, refused, account), replayed=False)
        outcome = self._apply(posting, mark)
        self._outcomes[ref] = outcome
        self.outcomes.append(outcome)
        return Answer(outcome, replayed=False)

    def _apply(self, posting: Posting, mark: bytes) -> Outcome:
        account = self._accounts[posting.team_id, posting.customer_id]
        order_key = order_key_of(posting)
        order_ref = (posting.team_id, order_key) if order_key is not None else None
        order = self._orders.get(order_ref) if order_ref is not None else None
        decision = decide(posting, account, order, self._formulas.get(posting.team_id))
        after = self._write(posting, decision.changes)
        if after is None:
            decision = Decision(Status.REJECTED, Reason.OUT_OF_RANGE, requested=decision.requested)
        elif after:
            account = after[0]
        if decision.order is not None and order_ref is not None:
            self._orders[order_ref] = decision.order
            self._touched_orders.add(order_ref)
        return self._outcome(posting, mark, decision, account)

    def _write(self, posting: Posting, changes: Sequence[Change]) -> list[Account] | None:
        """Writes an entry for each change, all or none; None when a figure would leave its range."""
        entries: list[Entry] = []
        for change in changes:
            account = self._accounts[posting.team_id, change.customer_id]
            entry = make_entry(posting, change, account, self._now)
            if not (0 <= entry.balance <= FIGURE_MAX and 0 <= entry.cumulative <= FIGURE_MAX):
                return None
            entries.append(entry)
        after = []
        for entry in entries:
            ref = (entry.team_id, entry.customer_id)
            state = Account(entry.balance, entry.cumulative, entry.sequence, entry.posted_at, entry.hash)
            self._accounts[ref] = state
            self._touched_accounts.add(ref)
            after.append(state)
        self.entries.extend(entries)
        return after

    def _outcome(self, posting: Posting, mark: bytes, decision: Decision, account: Account) -> Outcome:
        change = decision.changes[0] if decision.changes else None
        return Outcome(
            team_id=posting.team_id,
            key=posting.key,
            fingerprint=mark,
            customer_id=posting.customer_id,
            source=source_of(posting),
            status=decision.status,
            reason=decision.reason,
            requested_balance=decision.requested,
            delta_balance=change.balance if change else 0,
            delta_cumulative=change.cumulative if change else 0,
            shortfall=decision.shortfall,
            balance=account.balance,
            cumulative=account.cumulative,
            sequence=account.sequence,
            recorded_at=self._now,
        )


def make_entry(posting: Posting, change: Change, account: Account, now: datetime) -> Entry:
    """The entry that follows an account's last one: numbered, timed later than it, chained to it."""
    posted_at = now if account.last_at is None else max(now, account.last_at + _TICK)
    source_id, source_name = _naming(posting)
    body = posting.body
    entry = Entry(
        team_id=posting.team_id,
        customer_id=change.customer_id,
        sequence=account.sequence + 1,
        source=source_of(posting),
        source_id=source_id,
        source_name=source_name,
        delta_balance=change.balance,
        delta_cumulative=change.cumulative,
        requested_balance=change.requested_balance,
        requested_cumulative=change.requested_cumulative,
        balance=account.balance + change.balance,
        cumulative=account.cumulative + change.cumulative,
        occurred_at=posting.occurred_at or now,
        posted_at=posted_at,
        key=posting.key,
        actor=posting.actor,
        order_key=order_key_of(posting),
        enrolment_id=body.enrolment_id if isinstance(body, JourneyChange) else None,
        node_id=body.node_id if isinstance(body, JourneyChange) else "",
        note=_note(posting),
    )
    return msgspec.structs.replace(entry, hash=chained(account.last_hash, entry))


def accounts_of(postings: Sequence[Posting]) -> list[Ref]:
    """Every account that the postings may touch, each once, in the one order in which accounts are locked."""
    refs = {(posting.team_id, posting.customer_id) for posting in postings}
    for posting in postings:
        if isinstance(posting.body, Merge):
            refs.add((posting.team_id, posting.body.survivor_id))
    return sorted(refs)


def _note(posting: Posting) -> str:
    body = posting.body
    if isinstance(body, Manual):
        return body.note
    return UNDO_NOTE if isinstance(body, ImportUndo) else ""


def _naming(posting: Posting) -> tuple[str, str]:
    """Id and name of the source, as a person meets them in the history report."""
    body = posting.body
    match body:
        case Earn():
            return body.order_id, body.order_number or body.order_id
        case Refund():
            return body.refund_id, body.order_id or body.refund_id
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
