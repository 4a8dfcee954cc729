"""Applying lines of a contact import: whose each is, and what it changes; later ones see earlier ones."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from libs.common.errors import DomainError
from libs.common.text import fold
from services.segment.domain.conflicts import Conflict, candidates, conflicts_of, index_customer
from services.segment.domain.contact_files import ContactLine
from services.segment.domain.edits import EditContext, Edited, Editor, Profile
from services.segment.domain.facts import (
    AttributeChanged,
    ContactJoined,
    CustomerChanged,
    CustomerCreated,
    Fact,
    TagApplied,
)
from services.segment.domain.model import Binding, Customer, IdentityKey, Selector


class RowStatus(IntEnum):
    """What became of a line; stored, and as in the contract. WAITING ones have points that are not posted yet."""

    WAITING = 0
    APPLIED = 1
    UNCHANGED = 2
    FAILED = 3


class RowOutcome(NamedTuple):
    """What became of a line."""

    status: RowStatus
    message: str = ""
    reason: str = ""
    """Name of an `ErrorReason` for a failed one."""
    customer_id: UUID | None = None
    points: int = 0
    """To be posted."""
    is_new: bool = False
    """The customer was not known before."""


class RowContext(NamedTuple):
    """Whom lines may be of, and what they name."""

    edits: EditContext
    phones: dict[tuple[UUID, str], UUID]
    emails: dict[tuple[UUID, str], UUID]


def selector_of(profile: Profile) -> Selector:
    """Whom a line names, as an event would."""
    identity = profile.identities[0] if profile.identities else None
    return Selector(
        member_id=profile.member_id,
        phone=profile.phone or (identity.phone if identity else None),
        email=profile.email,
        identity=identity,
    )


class ContactRows:
    """One per transaction."""

    def __init__(
        self, team_id: UUID, context: RowContext, now: datetime, ids: Iterator[UUID], *, triggers: bool
    ) -> None:
        """`context` is read-only."""
        self._team = team_id
        self._context = context
        self._known = {customer for _, customer in context.edits.customers}
        self._editor = Editor(context.edits, now, ids, triggers=triggers)
        self.members = dict(context.edits.members)
        self.identities: dict[tuple[UUID, IdentityKey], Binding] = dict(context.edits.identities)
        self.phones = dict(context.phones)
        self.emails = dict(context.emails)
        self.tokens: dict[tuple[UUID, str], UUID] = {}
        self._conflicts: dict[tuple[UUID, frozenset[UUID]], Conflict] = {}

    def edited(self) -> Edited:
        """Everything that is to be written."""
        return self._editor.edited()

    def conflicts(self) -> list[Conflict]:
        """Pairs of customers whom one line named."""
        return sorted(self._conflicts.values())

    def is_ready(self, line: ContactLine) -> bool:
        """Whether what the line names was read of whom it is of. It was not where an earlier line made its hints lead
        to somebody known: then the line is the first of another batch."""
        if line.fault or not (line.profile.tags or line.profile.attributes):
            return True
        selector = selector_of(line.profile)
        found = self._find(selector)
        if found is None or found.customer_id not in self._known:
            return True
        return found.customer_id in hinted(self._context, self._team, selector)

    def apply(self, line: ContactLine) -> RowOutcome:
        """What becomes of a line. Never raises for what it says."""
        if line.fault:
            return RowOutcome(RowStatus.FAILED, line.fault, "INVALID_FIELDS")
        facts_before = len(self._editor.facts)
        try:
            customer, before = self._write(line.profile)
        except DomainError as error:
            said = "; ".join(f"{each.field} {each.description}" for each in error.violations)
            return RowOutcome(RowStatus.FAILED, said or error.message, error.reason)
        self._index(customer, line.profile)
        facts = self._editor.facts[facts_before:]
        message = _changes(before, customer, facts)
        status = RowStatus.APPLIED if facts else RowStatus.UNCHANGED
        if line.points:
            status = RowStatus.WAITING
            message = "; ".join(filter(None, (message, f"points {line.points:+}")))
        return RowOutcome(status, message, "", customer.customer_id, line.points, before is None)

    def _write(self, profile: Profile) -> tuple[Customer, Customer | None]:
        """The customer as it is then, and as it was."""
        found = self._find(selector_of(profile))
        if found is None:
            return self._editor.create(self._team, profile), None
        before = copy(found)
        named = list(conflicts_of(self, found, selector_of(profile), self._editor.customer))
        self._editor.complete(found, profile)
        present = self._editor.customer(self._team, found.customer_id)
        assert present is not None
        for each in named:
            self._conflicts.setdefault(each.pair, each)
        return present, before

    def _find(self, selector: Selector) -> Customer | None:
        for found in candidates(self, self._team, selector):
            customer = self._editor.customer(self._team, found.customer_id)
            if customer is not None and (found.is_strong or not _is_another_member(customer, selector)):
                return customer
        return None

    def _index(self, customer: Customer, profile: Profile) -> None:
        """Lets later lines find the customer, as if the earlier ones were stored."""
        index_customer(self, customer, self._editor.customer)
        for key in profile.identities:
            self.identities.setdefault((self._team, key), Binding(customer.customer_id, blocked=False))


def hinted(context: RowContext, team_id: UUID, selector: Selector) -> set[UUID]:
    """All whom a line may be of, by what is stored."""
    edits = context.edits
    bound = edits.identities.get((team_id, selector.identity)) if selector.identity else None
    found = {
        edits.members.get((team_id, fold(selector.member_id or ""))),
        context.phones.get((team_id, selector.phone or "")),
        context.emails.get((team_id, fold(selector.email or ""))),
        bound and bound.customer_id,
    }
    return {each for each in found if each is not None}


def _is_another_member(customer: Customer, selector: Selector) -> bool:
    if customer.member_id is None or selector.member_id is None:
        return False
    return fold(customer.member_id) != fold(selector.member_id)


def _changes(before: Customer | None, after: Customer, facts: list[Fact]) -> str:
    """What a line changes, for people."""
    said: list[str] = []
    for fact in facts:
        match fact.body:
            case CustomerCreated():
                said.append("new customer")
            case CustomerChanged(fields=fields):
                said += [
                    f"{each}: {getattr(before, each, '') or '-'} → {getattr(after, each)}" for each in fields
                ]
            case TagApplied(tag=tag):
                said.append(f"tag {tag}")
            case AttributeChanged(key=key, old=old, new=new):
                said.append(f"{key}: {old or '-'} → {new}")
            case ContactJoined():
                said.append("new contact")
            case _:
                pass
    return "; ".join(said)
