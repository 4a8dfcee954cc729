"""Customers, profiles and attribute definitions: messages ⇄ domain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from libs.common.audience.expressions import AttributeType
from libs.common.audience.values import KEY
from libs.common.hints import NAME_LENGTH_MAX
from libs.common.rpc.values import timestamp
from libs.common.text import as_seen
from omnijourney.internal.v1 import profile_pb2
from omnijourney.segment.v1 import attribute_pb2, customer_pb2, identity_conflict_pb2
from services.segment.convert.checks import Check, local_numbers, reason_number
from services.segment.convert.facts import identity_key_message
from services.segment.domain.edits import Basics, Profile
from services.segment.domain.model import Attribute, Customer, CustomerView
from services.segment.domain.views import CustomerParts

_PARTS: Final = frozenset(profile_pb2.ProfilePart.values()) - {profile_pb2.PROFILE_PART_UNSPECIFIED}
_TAGS_MAX = 500
_IDENTITIES_MAX = 100
_ATTRIBUTES_MAX = 500


def read_profile(check: Check, message: customer_pb2.Customer, path: str, country: str) -> Profile:
    """A customer as a person writes it down, the phone as in `country`."""
    check.count(f"{path}.tags", message.tags, most=_TAGS_MAX)
    check.count(f"{path}.attributes", message.attributes, most=_ATTRIBUTES_MAX)
    check.count(f"{path}.identities", message.identities, most=_IDENTITIES_MAX)
    basics = read_basics(check, message, path, country)
    check.country = country
    return Profile(
        customer_id=check.optional_uuid(f"{path}.customer_id", message.customer_id),
        member_id=basics.member_id,
        name=basics.name,
        phone=basics.phone,
        email=basics.email,
        tags=check.tags(f"{path}.tags", message.tags),
        attributes=tuple(sorted(message.attributes.items())),
        identities=tuple(
            check.identity(f"{path}.identities[{index}].key", identity.key)
            for index, identity in enumerate(message.identities)
        ),
    )


def numbers_in(message: customer_pb2.Customer) -> list[str]:
    """What is read as people of the team's country write it."""
    return [message.phone, *local_numbers(identity.key for identity in message.identities)]


def read_basics(check: Check, message: customer_pb2.Customer, path: str, country: str) -> Basics:
    """Basic data, the phone as people of `country` write it."""
    return Basics(
        member_id=check.member(f"{path}.member_id", message.member_id),
        name=check.line(f"{path}.name", as_seen(message.name), length_max=NAME_LENGTH_MAX, required=False),
        phone=check.phone(f"{path}.phone", message.phone, country),
        email=check.email(f"{path}.email", message.email),
    )


def customer_message(view: CustomerView) -> customer_pb2.Customer:
    """A customer, whole."""
    customer = view.customer
    assert customer.create_time is not None
    assert customer.update_time is not None
    return customer_pb2.Customer(
        customer_id=str(customer.customer_id),
        member_id=customer.member_id or "",
        name=customer.name,
        phone=customer.phone or "",
        email=customer.email or "",
        tags=view.tags,
        attributes=view.attributes,
        identities=_identities(view),
        times=_times(customer),
        etag=str(customer.revision),
        merged_into=str(view.merged_into or ""),
        create_time=timestamp(customer.create_time),
        update_time=timestamp(customer.update_time),
    )


def normalized_phone(written: str, phone: str | None) -> identity_conflict_pb2.NormalizedPhone:
    """A number as it was written and as it is kept."""
    if phone is not None:
        return identity_conflict_pb2.NormalizedPhone(written=written, phone=phone)
    return identity_conflict_pb2.NormalizedPhone(written=written, reason=reason_number("INVALID_FIELDS"))


def read_parts(check: Check, field: str, parts: Iterable[int]) -> frozenset[int]:
    """The parts of profiles that are wanted; none named means all."""
    wanted = frozenset(parts)
    if not wanted <= _PARTS:
        check.fault(field, "holds what is no part of a profile")
    return wanted or _PARTS


def profile_message(
    team_id: UUID, customer_id: UUID, view: CustomerView | None, parts: frozenset[int]
) -> profile_pb2.Profile:
    """What is needed to address a customer: of the customer's own row what is in `parts`, and all that was read."""
    profile = profile_pb2.Profile(found=view is not None, team_id=str(team_id), customer_id=str(customer_id))
    if view is None:
        return profile
    customer = view.customer
    if profile_pb2.PROFILE_PART_BASICS in parts:
        profile.name = customer.name
        profile.member_id = customer.member_id or ""
        profile.phone = customer.phone or ""
        profile.email = customer.email or ""
    if view.tags:
        profile.tags.extend(view.tags)
    if view.attributes:
        profile.attributes.update(view.attributes)
    if view.identities:
        profile.identities.extend(_identities(view))
    if profile_pb2.PROFILE_PART_TIMES in parts:
        profile.times.CopyFrom(_times(customer))
    return profile


def read_customer_parts(parts: Iterable[int]) -> CustomerParts:
    """What is to be read for these parts of customers."""
    wanted = frozenset(parts)
    return CustomerParts(
        tags=customer_pb2.CUSTOMER_PART_TAGS in wanted,
        attributes=customer_pb2.CUSTOMER_PART_ATTRIBUTES in wanted,
        identities=customer_pb2.CUSTOMER_PART_IDENTITIES in wanted,
    )


def partial_message(
    customer_id: UUID, view: CustomerView | None, parts: Collection[int]
) -> customer_pb2.Customer:
    """A customer's id with these parts, of what was read for them; None is one who is gone."""
    message = customer_pb2.Customer(customer_id=str(customer_id))
    if view is None:
        return message
    if customer_pb2.CUSTOMER_PART_BASICS in parts:
        message.name = view.customer.name
        message.member_id = view.customer.member_id or ""
        message.phone = view.customer.phone or ""
        message.email = view.customer.email or ""
    message.tags.extend(view.tags)
    message.attributes.update(view.attributes)
    message.identities.extend(_identities(view))
    return message


def fitting(
    customers: Iterable[customer_pb2.Customer], bytes_max: int
) -> Iterator[list[customer_pb2.Customer]]:
    """Customers in groups of at most so many bytes each, in their order; one that is larger goes alone."""
    group: list[customer_pb2.Customer] = []
    room = bytes_max
    for customer in customers:
        size = customer.ByteSize()
        if group and size > room:
            yield group
            group, room = [], bytes_max
        group.append(customer)
        room -= size
    if group:
        yield group


def _identities(view: CustomerView) -> list[customer_pb2.Identity]:
    return [
        customer_pb2.Identity(
            key=identity_key_message(identity.key),
            blocked=identity.blocked,
            bind_time=timestamp(identity.bind_time),
        )
        for identity in view.identities
    ]


def _times(customer: Customer) -> customer_pb2.CustomerTimes:
    return customer_pb2.CustomerTimes(
        customer_interact_time=_when(customer.customer_interact_time),
        team_interact_time=_when(customer.team_interact_time),
        marketed_time=_when(customer.marketed_time),
        checkout_time=_when(customer.checkout_time),
    )


def _when(at: datetime | None) -> Timestamp | None:
    return None if at is None else timestamp(at)


def read_attribute_key(check: Check, field: str, key: str) -> str:
    """The key of an attribute."""
    if not KEY.fullmatch(key):
        check.fault(field, "must be a letter, then up to 63 letters, digits and _")
    return key


def read_attribute_type(check: Check, field: str, number: int) -> AttributeType:
    """A data type."""
    if number in set(AttributeType):
        return AttributeType(number)
    check.fault(field, "is required")
    return AttributeType.TEXT


def attribute_message(attribute: Attribute) -> attribute_pb2.Attribute:
    """A definition."""
    archived = attribute_pb2.ATTRIBUTE_STATE_ARCHIVED
    return attribute_pb2.Attribute(
        key=attribute.key,
        display_name=attribute.display_name,
        type=int(attribute.type),  # type: ignore[arg-type]  # the numbers are those of the contract
        state=archived if attribute.archived else attribute_pb2.ATTRIBUTE_STATE_ACTIVE,
        etag=str(attribute.revision),
        create_time=timestamp(attribute.create_time),
        update_time=timestamp(attribute.update_time),
    )
