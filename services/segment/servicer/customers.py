# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Customers, their tags and attributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.paging import Page, fitting, page_key, page_of, page_size, page_token
from libs.common.phones import read_phone
from libs.common.rpc.servicing import changed_fields
from libs.common.rpc.validation import plain_faults
from libs.common.text import trimmed
from omnijourney.segment.v1 import customer_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.checks import Check, error_line, reason_number
from services.segment.convert.customers import (
    customer_message,
    normalized_phone,
    numbers_in,
    read_basics,
    read_profile,
)
from services.segment.convert.events import numbers_of, read_selector, read_tag_change
from services.segment.domain.edits import Created, Profile
from services.segment.domain.model import CustomerView
from services.segment.servicer.base import Base
from services.segment.usecases.edits import Once

_BATCH_MAX: Final = 500
_KEYWORD_LENGTH_MAX: Final = 100


class CustomerRpcs(Base):
    """See the contract."""

    async def CreateCustomer(
        self, request: pb.CreateCustomerRequest, context: Any
    ) -> pb.CreateCustomerResponse:
        """A new customer."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        country = await self.country_for(request.team_id, numbers_in(request.customer))
        profile = read_profile(check, request.customer, "customer", country)
        check.done()
        once = Once(team_id, request, pb.CreateCustomerResponse, _create_reply)
        return await self._deps.customers.create(once, team_id, profile, triggers=request.triggers)

    async def BatchCreateCustomers(
        self, request: pb.BatchCreateCustomersRequest, context: Any
    ) -> pb.BatchCreateCustomersResponse:
        """New customers; each that cannot be created says why."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.count("customers", request.customers, least=1, most=_BATCH_MAX)
        check.done()
        numbers = [number for each in request.customers for number in numbers_in(each)]
        country = await self.country_for(request.team_id, numbers)
        read = [
            _read_one(customer, f"customers[{index}]", country)
            for index, customer in enumerate(request.customers)
        ]

        def reply(created: list[Created]) -> pb.BatchCreateCustomersResponse:
            results = iter(created)
            return _create_many_reply(each if isinstance(each, Created) else next(results) for each in read)

        once = Once(team_id, request, pb.BatchCreateCustomersResponse, reply)
        sound = [profile for profile in read if isinstance(profile, Profile)]
        return await self._deps.customers.create_many(once, team_id, sound, triggers=request.triggers)

    async def UpsertCustomer(
        self, request: pb.UpsertCustomerRequest, context: Any
    ) -> pb.UpsertCustomerResponse:
        """The customer of a member id, new or completed."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        country = await self.country_for(request.team_id, numbers_in(request.customer))
        profile = read_profile(check, request.customer, "customer", country)
        if profile.member_id is None:
            check.fault("customer.member_id", "is required")
        check.done()
        once = Once(team_id, request, pb.UpsertCustomerResponse, _upsert_reply)
        return await self._deps.customers.upsert(once, team_id, profile, triggers=request.triggers)

    async def GetCustomer(self, request: pb.GetCustomerRequest, context: Any) -> pb.GetCustomerResponse:
        """A customer, whole."""
        check = Check()
        key = check.customer(request)
        check.done()
        return pb.GetCustomerResponse(customer=customer_message(await self._deps.customers.get(key)))

    async def FindCustomer(self, request: pb.FindCustomerRequest, context: Any) -> pb.FindCustomerResponse:
        """Whom an event with this selector would go to."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        country = await self.country_for(request.team_id, numbers_of(request.selector))
        selector = read_selector(check, request.selector, country)
        if selector.is_empty():
            check.fault("selector", "is required")
        check.done()
        view = await self._deps.customers.find(team_id, selector)
        return pb.FindCustomerResponse(customer=customer_message(view))

    async def BatchFindCustomers(
        self, request: pb.BatchFindCustomersRequest, context: Any
    ) -> pb.BatchFindCustomersResponse:
        """Whom the lines of a list name."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.count("items", request.items, least=1, most=_BATCH_MAX)
        check.done()
        # PostgreSQL cannot hold U+0000, so nobody has it.
        country = await self.country_for(request.team_id, [item.phone for item in request.items])
        hints = [
            (
                _known(item.member_id),
                _known(item.email),
                _known(read_phone(item.phone, country) or item.phone),
            )
            for item in request.items
        ]
        found = await self._deps.customers.find_listed(team_id, hints)
        return pb.BatchFindCustomersResponse(
            found=[
                pb.FoundCustomer(
                    customer_id=str(each.customer_id or ""),
                    ambiguous=each.ambiguous,
                    channels=each.channels,  # type: ignore[arg-type]  # the numbers are those of the contract
                )
                for each in found
            ]
        )

    async def NormalizePhones(
        self, request: pb.NormalizePhonesRequest, context: Any
    ) -> pb.NormalizePhonesResponse:
        """Numbers as people in the team's country write them."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        country = (await self._deps.teams.get(team_id)).settings.country
        return pb.NormalizePhonesResponse(
            phones=[normalized_phone(written, read_phone(written, country)) for written in request.phones]
        )

    async def UpdateCustomer(
        self, request: pb.UpdateCustomerRequest, context: Any
    ) -> pb.UpdateCustomerResponse:
        """The customer with new basic data."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        customer_id = check.uuid("customer.customer_id", request.customer.customer_id)
        country = await self.country_for(request.team_id, [request.customer.phone])
        basics = msgspec.structs.asdict(read_basics(check, request.customer, "customer", country))
        fields = changed_fields(check, request.update_mask.paths, basics, request.customer)
        check.done()
        once = Once(team_id, request, pb.UpdateCustomerResponse, _update_reply)
        changes = {name: basics[name] for name in fields}
        return await self._deps.customers.update(once, (team_id, customer_id), request.etag, changes)

    async def ListCustomers(self, request: pb.ListCustomersRequest, context: Any) -> pb.ListCustomersResponse:
        """Customers in order of their ids."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        keyword = check.line(
            "keyword", trimmed(request.keyword), length_max=_KEYWORD_LENGTH_MAX, required=False
        )
        check.done()
        size = page_size(request.page_size)
        after = page_key(request.page_token, UUID, "customers", team_id, keyword)
        phone = ""
        if keyword:
            country = (await self._deps.teams.get(team_id)).settings.country
            phone = read_phone(keyword, country) or ""
        page, more = await self._deps.customers.page(
            team_id, keyword=keyword, phone=phone, after=after, size=size
        )
        arguments = ("customers", team_id, keyword)
        token = page_token(page[-1].customer.customer_id, *arguments) if more else ""
        messages = [customer_message(view) for view in page]
        shown, token = fitting(Page(page, token), messages, _id_of, *arguments)
        return pb.ListCustomersResponse(customers=shown, next_page_token=token)

    async def ChangeCustomerTags(
        self, request: pb.ChangeCustomerTagsRequest, context: Any
    ) -> pb.ChangeCustomerTagsResponse:
        """The customer with and without tags."""
        check = Check()
        key = check.customer(request)
        change = read_tag_change(check, request.add, request.remove)
        check.done()
        once = Once(key[0], request, pb.ChangeCustomerTagsResponse, _change_tags_reply)
        return await self._deps.customers.change_tags(once, key, change)

    async def SetCustomerAttributes(
        self, request: pb.SetCustomerAttributesRequest, context: Any
    ) -> pb.SetCustomerAttributesResponse:
        """The customer with new values."""
        check = Check()
        customer_key = check.customer(request)
        values: dict[str, str | None] = {**dict.fromkeys(request.clear), **request.values}
        for key in set(request.clear) & set(request.values):
            check.fault("clear", f"{key} is also to be set")
        for key, text in request.values.items():
            if "\x00" in text:
                check.fault(f"values[{key}]", "must not hold the character U+0000")
        check.done()
        once = Once(customer_key[0], request, pb.SetCustomerAttributesResponse, _set_attributes_reply)
        return await self._deps.customers.set_attributes(once, customer_key, values)

    async def ListTags(self, request: pb.ListTagsRequest, context: Any) -> pb.ListTagsResponse:
        """Tags in use."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        size = page_size(request.page_size)
        after = page_key(request.page_token, str, "tags", team_id)
        rows = await self._deps.customers.tags(team_id, after or "", size + 1)
        page = page_of(rows, size, lambda row: row[0], "tags", team_id)
        tags = [pb.TagUse(tag=tag, customer_count=count) for _, tag, count in page.rows]
        return pb.ListTagsResponse(tags=tags, next_page_token=page.next_token)


def _create_reply(view: CustomerView) -> pb.CreateCustomerResponse:
    return pb.CreateCustomerResponse(customer=customer_message(view))


def _read_one(message: customer_pb2.Customer, path: str, country: str) -> Profile | Created:
    """A profile, or the answer to one that is faulty whatever is stored."""
    check = Check()
    faults = plain_faults(message)
    check.violations += [FieldViolation(f"{path}.{fault.field}", fault.description) for fault in faults]
    profile = read_profile(check, message, path, country)
    return Created(None, InvalidArgument.of(*check.violations)) if check.violations else profile


def _create_many_reply(created: Iterable[Created]) -> pb.BatchCreateCustomersResponse:
    return pb.BatchCreateCustomersResponse(results=map(_created_message, created))


def _upsert_reply(result: tuple[CustomerView, bool]) -> pb.UpsertCustomerResponse:
    view, created = result
    return pb.UpsertCustomerResponse(customer=customer_message(view), created=created)


def _update_reply(view: CustomerView) -> pb.UpdateCustomerResponse:
    return pb.UpdateCustomerResponse(customer=customer_message(view))


def _change_tags_reply(view: CustomerView) -> pb.ChangeCustomerTagsResponse:
    return pb.ChangeCustomerTagsResponse(customer=customer_message(view))


def _set_attributes_reply(view: CustomerView) -> pb.SetCustomerAttributesResponse:
    return pb.SetCustomerAttributesResponse(customer=customer_message(view))


def _known(text: str) -> str:
    return "" if "\x00" in text else text


def _created_message(created: Created) -> pb.CreateCustomerResult:
    message = pb.CreateCustomerResult(customer_id=str(created.customer_id or ""))
    if created.error is not None:
        message.reason = reason_number(created.error.reason)
        message.message = error_line(created.error)
    return message


def _id_of(view: CustomerView) -> UUID:
    return view.customer.customer_id
