"""People's edits: new customers, basic data, tags, attributes, bindings.

The same steps as for events and effects, without keys of their own: a repeated request is answered from its request id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from libs.common.audience.values import ValueFault, canonical
from libs.common.errors import (
    AlreadyExists,
    DomainError,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
)
from libs.common.ids import CustomerKey
from libs.common.text import fold
from services.segment.domain.accounts import StrangeAccount, of_channel
from services.segment.domain.attributes import is_usable
from services.segment.domain.changes import TAGS_MAX, TraitChanges, TraitEditor, Traits
from services.segment.domain.customer_changes import CustomerChanges, later
from services.segment.domain.facts import ContactJoined, ContactRemoved, Fact
from services.segment.domain.model import Binding, Customer, CustomerView, IdentityKey
from services.segment.domain.recorder import BoundIdentity

_TIMES: Final = ("customer_interact_time", "team_interact_time", "marketed_time", "checkout_time")


class Profile(msgspec.Struct, frozen=True):
    """A customer as a person writes it down. Texts are checked for form already; None or empty: not given."""

    customer_id: UUID | None = None
    member_id: str | None = None
    name: str = ""
    phone: str | None = None
    email: str | None = None
    tags: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    identities: tuple[IdentityKey, ...] = ()


class Basics(msgspec.Struct, frozen=True):
    """Basic data of a customer."""

    member_id: str | None
    name: str
    phone: str | None
    email: str | None


class EditContext(msgspec.Struct):
    """Everything that an edit names, as it is. Read-only."""

    customers: dict[CustomerKey, Customer] = {}
    members: dict[tuple[UUID, str], UUID] = {}
    identities: dict[tuple[UUID, IdentityKey], Binding] = {}
    traits: Traits = msgspec.field(default_factory=Traits)
    merged: Mapping[CustomerKey, UUID] = {}
    """Of the ids that new customers are to have those of customers who were merged."""
    strange_accounts: Mapping[StrangeAccount, int] = {}
    """Accounts that are named on a channel that they are not of, with the one that they are of; 0: the team has no such
    account. Nothing is bound to them."""


class Created(NamedTuple):
    """Answer to one new customer."""

    customer_id: UUID | None
    """The new one; on a member id that is taken, whose it is."""
    error: DomainError | None


class Bound(NamedTuple):
    """Answer to one binding of many."""

    bound: bool
    """It is new."""
    reason: str = ""
    """Name of an `ErrorReason` for a refused one."""


class Edited(msgspec.Struct):
    """What is to be written."""

    created: list[Customer]
    changed: list[Customer]
    bound: list[BoundIdentity]
    unbound: list[tuple[UUID, UUID, IdentityKey]]
    traits: TraitChanges
    facts: list[Fact]


class Editor:
    """Works out edits of one transaction. Methods raise a DomainError before they change anything."""

    def __init__(
        self, context: EditContext, now: datetime, ids: Iterator[UUID], *, triggers: bool = True
    ) -> None:
        """`context` is read-only. Without `triggers` what is told starts no journeys."""
        self._pending = CustomerChanges(context.customers, now, ids)
        self._pending.quiet = not triggers
        self._traits = TraitEditor(self._pending, context.traits)
        self._members = dict(context.members)
        self._identities = dict(context.identities)
        self._strange_accounts = context.strange_accounts
        self._merged = context.merged
        self._bound: list[BoundIdentity] = []
        self._unbound: list[tuple[UUID, UUID, IdentityKey]] = []

    @property
    def facts(self) -> list[Fact]:
        """What has happened so far; one more for each change."""
        return self._pending.facts

    def customer(self, team_id: UUID, customer_id: UUID) -> Customer | None:
        """A customer as it is by now."""
        return self._pending.customer(team_id, customer_id)

    def edited(self) -> Edited:
        """Everything that is to be written."""
        return Edited(
            created=self._pending.created_customers(),
            changed=self._pending.changed_customers(),
            bound=self._bound,
            unbound=self._unbound,
            traits=self._traits.changes(),
            facts=self._pending.facts,
        )

    def create(self, team_id: UUID, profile: Profile) -> Customer:
        """A new customer. Raises AlreadyExists, FailedPrecondition, InvalidArgument, NotFound for an account."""
        taken = profile.customer_id is not None and (team_id, profile.customer_id) in self._merged
        if taken or (profile.customer_id and self._pending.customer(team_id, profile.customer_id)):
            raise AlreadyExists.value_taken("customer_id")
        self._check_member_id(team_id, profile.member_id, None)
        self._check_additions(team_id, profile, None)
        customer = self._pending.create(
            team_id,
            self._pending.now,
            customer_id=profile.customer_id,
            member_id=profile.member_id,
            name=profile.name,
            phone=profile.phone or next(filter(None, (key.phone for key in profile.identities)), None),
            email=profile.email,
        )
        if profile.member_id is not None:
            self._members[team_id, fold(profile.member_id)] = customer.customer_id
        self._add(customer, profile)
        return customer

    def create_many(self, team_id: UUID, profiles: Sequence[Profile]) -> list[Created]:
        """New customers, each by itself."""
        results: list[Created] = []
        for profile in profiles:
            try:
                results.append(Created(self.create(team_id, profile).customer_id, None))
            except DomainError as error:
                owner = self._members.get((team_id, fold(profile.member_id or "")))
                taken = error.reason == "DUPLICATE_VALUE" and profile.member_id is not None
                results.append(Created(owner if taken else None, error))
        return results

    def complete(self, customer: Customer, profile: Profile) -> None:
        """Gives a customer what the profile has; empty fields change nothing. Raises as `create`, also AlreadyExists
        where the customer has another member id, and the profile's does not lead to them as that of somebody who was
        merged into them."""
        self._check_member_id(customer.team_id, profile.member_id, customer.customer_id)
        if profile.member_id is not None and customer.member_id is not None:
            named = fold(profile.member_id)
            leads_here = self._members.get((customer.team_id, named)) == customer.customer_id
            if not leads_here and fold(customer.member_id) != named:
                raise AlreadyExists.value_taken("member_id")
        self._check_additions(customer.team_id, profile, customer.customer_id)
        self._check_tags(customer, profile.tags, ())
        filled = {name: value for name in ("name", "phone", "email") if (value := getattr(profile, name))}
        if customer.member_id is None and profile.member_id is not None:
            filled["member_id"] = profile.member_id
        changed = {name: value for name, value in filled.items() if value != getattr(customer, name)}
        if changed:
            self._pending.change(customer, **changed)
        self._add(customer, profile)

    def set_basics(self, customer: Customer, basics: Basics) -> None:
        """Gives a customer new basic data. Raises AlreadyExists for a member id that is taken."""
        self._check_member_id(customer.team_id, basics.member_id, customer.customer_id)
        fields = msgspec.structs.asdict(basics)
        changed = {name: value for name, value in fields.items() if value != getattr(customer, name)}
        if changed:
            self._pending.change(customer, **changed)

    def change_tags(self, customer: Customer, add: Sequence[str], remove: Sequence[str]) -> None:
        """Adds and removes tags. Raises FailedPrecondition `CUSTOMER_LIMIT_REACHED`."""
        self._check_tags(customer, add, remove)
        self._traits.add_tags(customer, add, self._pending.now)
        for tag in remove:
            self._traits.remove_tag(customer, tag, self._pending.now)

    def change_traits(
        self, customer: Customer, add: Sequence[str], remove: Sequence[str], values: Mapping[str, str]
    ) -> None:
        """Changes tags and sets attributes. Raises as `change_tags` and `set_values`."""
        self._check_tags(customer, add, remove)
        self._checked_values(customer.team_id, values)
        self.change_tags(customer, add, remove)
        self.set_values(customer, values)

    def set_values(self, customer: Customer, values: Mapping[str, str | None]) -> None:
        """Sets attributes, or clears with None. Raises as `create`."""
        checked = self._checked_values(customer.team_id, values)
        for key, text in checked.items():
            attribute = self._traits.attribute(customer.team_id, key)
            assert attribute is not None
            self._traits.set_value(customer, attribute, text, self._pending.now)

    def take_over(self, customer: Customer, key: str, text: str) -> bool:
        """Gives a customer a canonical value of an attribute that another one is merged into, unless they have a value
        of it. Returns whether the given one is lost: theirs is another."""
        attribute = self._traits.attribute(customer.team_id, key)
        assert attribute is not None, "what is merged into is neither deleted nor archived meanwhile"
        own = self._traits.text(customer, attribute)
        if own is None:
            self._traits.set_value(customer, attribute, text, self._pending.now)
        return own not in {None, text}

    def bind(self, customer: Customer, key: IdentityKey) -> bool:
        """Binds an identity; returns whether that is new.

        Raises FailedPrecondition `IDENTITY_TAKEN`, NotFound for an account that the team has not.
        """
        self._check_identity(customer.team_id, key, customer.customer_id, "identity")
        if (customer.team_id, key) in self._identities:
            return False
        binding = Binding(customer.customer_id, blocked=False, seen_at=self._pending.now)
        self._identities[customer.team_id, key] = binding
        self._bound.append(BoundIdentity(customer.team_id, customer.customer_id, key, *binding[1:]))
        present = self._pending.change(customer)
        if present.phone is None and key.phone is not None:
            customer = self._pending.change(present, phone=key.phone)
        self._pending.emit(customer, self._pending.now, ContactJoined(key))
        return True

    def unbind(self, customer: Customer, key: IdentityKey) -> bool:
        """Removes a binding; returns whether there was one."""
        binding = self._identities.get((customer.team_id, key))
        if binding is None or binding.customer_id != customer.customer_id:
            return False
        del self._identities[customer.team_id, key]
        self._unbound.append((customer.team_id, customer.customer_id, key))
        self._pending.change(customer)
        self._pending.emit(customer, self._pending.now, ContactRemoved(key))
        return True

    def unite(self, customer: Customer, own: CustomerView, other: CustomerView) -> None:
        """Gives a customer what another one has beside it, who is merged into them: what they have themselves stays,
        of times the later. Raises FailedPrecondition `CUSTOMER_LIMIT_REACHED`."""
        team_id, now = customer.team_id, self._pending.now
        held = {fold(tag) for tag in own.tags}
        self.change_tags(customer, [tag for tag in other.tags if fold(tag) not in held], ())
        for key, text in other.attributes.items():
            attribute = self._traits.attribute(team_id, key)
            if attribute is not None and key not in own.attributes:
                self._traits.set_value(customer, attribute, text, now)
        gone = other.customer
        gaps = {name: value for name in Basics.__struct_fields__ if (value := getattr(gone, name))}
        gaps = {name: value for name, value in gaps.items() if not getattr(customer, name)}
        times = [name for name in _TIMES if getattr(gone, name) is not None]
        moved = {name: later(getattr(customer, name), getattr(gone, name)) for name in times}
        self._pending.change(customer, **gaps, **moved)
        for identity in other.identities:
            self._pending.emit(customer, now, ContactJoined(identity.key))

    def _add(self, customer: Customer, profile: Profile) -> None:
        self.change_tags(customer, profile.tags, ())
        self.set_values(customer, dict(profile.attributes))
        for key in profile.identities:
            self.bind(customer, key)

    def _check_additions(self, team_id: UUID, profile: Profile, customer_id: UUID | None) -> None:
        self._checked_values(team_id, dict(profile.attributes))
        for index, key in enumerate(profile.identities):
            self._check_identity(team_id, key, customer_id, f"customer.identities[{index}].key")

    def _check_tags(self, customer: Customer, add: Sequence[str], remove: Sequence[str]) -> None:
        if not self._traits.has_room(customer, add, remove):
            message = f"the customer would have more than {TAGS_MAX} tags"
            raise FailedPrecondition("CUSTOMER_LIMIT_REACHED", message, metadata={"limit": str(TAGS_MAX)})

    def _check_member_id(self, team_id: UUID, member_id: str | None, owner: UUID | None) -> None:
        if member_id is not None and self._members.get((team_id, fold(member_id)), owner) != owner:
            raise AlreadyExists.value_taken("member_id")

    def _check_identity(self, team_id: UUID, key: IdentityKey, owner: UUID | None, path: str) -> None:
        binding = self._identities.get((team_id, key))
        if binding is None:
            own = self._strange_accounts.get((team_id, key.account_id, int(key.channel)))
            if own:
                raise InvalidArgument.of(FieldViolation(f"{path}.account_id", of_channel(own)))
            if own is not None:
                raise NotFound.of("account", key.account_id)
        elif binding.customer_id != owner:
            raise FailedPrecondition(
                "IDENTITY_TAKEN",
                "the identity is bound to another customer",
                metadata={"customer_id": str(binding.customer_id)},
            )

    def _checked_values(self, team_id: UUID, values: Mapping[str, str | None]) -> dict[str, str | None]:
        """Canonical texts. Raises FailedPrecondition `ATTRIBUTE_UNAVAILABLE`, InvalidArgument."""
        checked: dict[str, str | None] = {}
        faults: list[FieldViolation] = []
        for key, text in values.items():
            attribute = self._traits.attribute(team_id, key)
            if attribute is None or not is_usable(attribute):
                message = f"the attribute {key} is missing or archived"
                raise FailedPrecondition("ATTRIBUTE_UNAVAILABLE", message, metadata={"key": key})
            try:
                checked[key] = None if text is None else canonical(attribute.type, text)
            except ValueFault as fault:
                faults.append(FieldViolation(f"attributes[{key}]", str(fault)))
        if faults:
            raise InvalidArgument.of(*faults)
        return checked
