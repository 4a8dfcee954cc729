# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Customers, their tags, attributes and identities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection, transaction
from libs.common.errors import NotFound
from libs.common.paging import page_key, page_size, page_token
from libs.common.text import fold
from omnijourney.segment.v1 import customer_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.checks import Check, error_line, reason_number
from services.segment.convert.customers import (
    customer_message,
    read_basics,
    read_profile,
)
from services.segment.convert.events import read_selector, read_tag_change
from services.segment.domain.desk import CustomerKey
from services.segment.domain.editing import Basics, Created, Editor, Profile
from services.segment.domain.facts import Fact
from services.segment.domain.model import Customer
from services.segment.servicer.base import Base, check_etag, read_mask
from services.segment.store import customers, teams
from services.segment.worker.writers import ids_of

_BATCH_MAX: Final = 500
_KEYWORD_LENGTH_MAX: Final = 100
_WHOLE: Final = customers.Wanted(archived=True)

Edit = Callable[[Editor, Customer], None]


class CustomerCalls(Base):
    """See the contract."""

    async def CreateCustomer(
        self, request: pb.CreateCustomerRequest, context: Any
    ) -> pb.CreateCustomerResponse:
        """A new customer."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        profile = read_profile(check, request.customer, "customer")
        check.done()

        async def work(connection: Connection, facts: list[Fact]) -> pb.CreateCustomerResponse:
            (created,) = await self._create(connection, team_id, [profile], facts)
            if created.error is not None:
                raise created.error
            assert created.customer_id is not None
            return pb.CreateCustomerResponse(customer=await _whole(connection, team_id, created.customer_id))

        return await self._write(team_id, request, pb.CreateCustomerResponse, work)

    async def BatchCreateCustomers(
        self, request: pb.BatchCreateCustomersRequest, context: Any
    ) -> pb.BatchCreateCustomersResponse:
        """New customers; each that cannot be created says why."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.count("customers", request.customers, least=1, most=_BATCH_MAX)
        profiles = [
            read_profile(check, customer, f"customers[{index}]")
            for index, customer in enumerate(request.customers)
        ]
        check.done()

        async def work(connection: Connection, facts: list[Fact]) -> pb.BatchCreateCustomersResponse:
            created = await self._create(connection, team_id, profiles, facts)
            return pb.BatchCreateCustomersResponse(results=map(_created_message, created))

        return await self._write(team_id, request, pb.BatchCreateCustomersResponse, work)

    async def UpsertCustomer(
        self, request: pb.UpsertCustomerRequest, context: Any
    ) -> pb.UpsertCustomerResponse:
        """The customer of a member id, new or completed."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        profile = read_profile(check, request.customer, "customer")
        if profile.member_id is None:
            check.fault("customer.member_id", "is required")
        check.done()

        async def work(connection: Connection, facts: list[Fact]) -> pb.UpsertCustomerResponse:
            known = await customers.load_for_creation(connection, team_id, [profile])
            owner = known.members.get((team_id, fold(profile.member_id or "")))
            if owner is None:
                (created,) = await self._create(connection, team_id, [profile], facts)
                if created.error is not None:
                    raise created.error
                assert created.customer_id is not None
                customer = await _whole(connection, team_id, created.customer_id)
                return pb.UpsertCustomerResponse(customer=customer, created=True)

            def complete(editor: Editor, customer: Customer) -> None:
                editor.complete(customer, profile)

            customer = await self._edit(connection, (team_id, owner), profile, complete, facts)
            return pb.UpsertCustomerResponse(customer=customer)

        return await self._write(team_id, request, pb.UpsertCustomerResponse, work)

    async def GetCustomer(self, request: pb.GetCustomerRequest, context: Any) -> pb.GetCustomerResponse:
        """A customer, whole."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        customer_id = check.uuid("customer_id", request.customer_id)
        check.done()
        async with transaction(self._parts.pool, [team_id]) as connection:
            return pb.GetCustomerResponse(customer=await _whole(connection, team_id, customer_id))

    async def FindCustomer(self, request: pb.FindCustomerRequest, context: Any) -> pb.FindCustomerResponse:
        """Whom an event with this selector would go to."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        selector = read_selector(check, request.selector)
        if selector.is_empty():
            check.fault("selector", "is required")
        check.done()
        async with transaction(self._parts.pool, [team_id]) as connection:
            customer_id = await customers.find_customer(connection, team_id, selector)
            if customer_id is None:
                raise NotFound.of("customer", "(selector)")
            return pb.FindCustomerResponse(customer=await _whole(connection, team_id, customer_id))

    async def BatchFindCustomers(
        self, request: pb.BatchFindCustomersRequest, context: Any
    ) -> pb.BatchFindCustomersResponse:
        """Whom the lines of a list name."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.count("items", request.items, least=1, most=_BATCH_MAX)
        check.done()
        # PostgreSQL cannot hold U+0000, so nobody has it.
        hints = [(_known(item.member_id), _known(item.email), _known(item.phone)) for item in request.items]
        async with transaction(self._parts.pool, [team_id]) as connection:
            found = await customers.find_listed(connection, team_id, hints)
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

    async def UpdateCustomer(
        self, request: pb.UpdateCustomerRequest, context: Any
    ) -> pb.UpdateCustomerResponse:
        """The customer with new basic data."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        customer_id = check.uuid("customer.customer_id", request.customer.customer_id)
        told = msgspec.structs.asdict(read_basics(check, request.customer, "customer"))
        fields = read_mask(check, request.update_mask, told)
        check.done()

        def set_basics(editor: Editor, customer: Customer) -> None:
            check_etag(request.customer.etag, customer.revision)
            basics = {name: told[name] if name in fields else getattr(customer, name) for name in told}
            editor.set_basics(customer, Basics(**basics))

        async def work(connection: Connection, facts: list[Fact]) -> pb.UpdateCustomerResponse:
            named = Profile(member_id=told["member_id"])
            customer = await self._edit(connection, (team_id, customer_id), named, set_basics, facts)
            return pb.UpdateCustomerResponse(customer=customer)

        return await self._write(team_id, request, pb.UpdateCustomerResponse, work)

    async def ListCustomers(self, request: pb.ListCustomersRequest, context: Any) -> pb.ListCustomersResponse:
        """Customers in order of their ids."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        keyword = check.line("keyword", request.keyword, length_max=_KEYWORD_LENGTH_MAX, required=False)
        check.done()
        size = page_size(request.page_size)
        after = page_key(request.page_token, UUID, "customers", team_id, keyword)
        async with transaction(self._parts.pool, [team_id]) as connection:
            rows = await customers.list_customers(
                connection, team_id, keyword=keyword, after=after, row_max=size + 1
            )
            page = [(team_id, row.customer_id) for row in rows[:size]]
            views = await customers.load_views(connection, page, _WHOLE)
        token = page_token(page[-1][1], "customers", team_id, keyword) if len(rows) > size else ""
        return pb.ListCustomersResponse(
            customers=[customer_message(views[key]) for key in page], next_page_token=token
        )

    async def ChangeCustomerTags(
        self, request: pb.ChangeCustomerTagsRequest, context: Any
    ) -> pb.ChangeCustomerTagsResponse:
        """The customer with and without tags."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        customer_id = check.uuid("customer_id", request.customer_id)
        change = read_tag_change(check, request.add, request.remove)
        check.done()

        def edit(editor: Editor, customer: Customer) -> None:
            editor.change_tags(customer, change.add, change.remove)

        async def work(connection: Connection, facts: list[Fact]) -> pb.ChangeCustomerTagsResponse:
            named = Profile(tags=(*change.add, *change.remove))
            customer = await self._edit(connection, (team_id, customer_id), named, edit, facts)
            return pb.ChangeCustomerTagsResponse(customer=customer)

        return await self._write(team_id, request, pb.ChangeCustomerTagsResponse, work)

    async def SetCustomerAttributes(
        self, request: pb.SetCustomerAttributesRequest, context: Any
    ) -> pb.SetCustomerAttributesResponse:
        """The customer with new values."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        customer_id = check.uuid("customer_id", request.customer_id)
        values: dict[str, str | None] = {**dict.fromkeys(request.clear), **request.values}
        for key in set(request.clear) & set(request.values):
            check.fault("clear", f"{key} is also to be set")
        for key, text in request.values.items():
            if "\x00" in text:
                check.fault(f"values[{key}]", "must not hold the character U+0000")
        check.done()

        def edit(editor: Editor, customer: Customer) -> None:
            editor.set_values(customer, values)

        async def work(connection: Connection, facts: list[Fact]) -> pb.SetCustomerAttributesResponse:
            named = Profile(attributes=tuple((key, "") for key in values))
            customer = await self._edit(connection, (team_id, customer_id), named, edit, facts)
            return pb.SetCustomerAttributesResponse(customer=customer)

        return await self._write(team_id, request, pb.SetCustomerAttributesResponse, work)

    async def ListTags(self, request: pb.ListTagsRequest, context: Any) -> pb.ListTagsResponse:
        """Tags in use."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        size = page_size(request.page_size)
        after = page_key(request.page_token, str, "tags", team_id)
        async with transaction(self._parts.pool, [team_id]) as connection:
            rows = await customers.list_tags(connection, team_id, after or "", size + 1)
        token = page_token(rows[size - 1][0], "tags", team_id) if len(rows) > size else ""
        tags = [pb.TagUse(tag=tag, customer_count=count) for _, tag, count in rows[:size]]
        return pb.ListTagsResponse(tags=tags, next_page_token=token)

    async def _create(
        self, connection: Connection, team_id: UUID, profiles: Sequence[Profile], facts: list[Fact]
    ) -> list[Created]:
        await teams.load_team(connection, team_id)
        known = await customers.load_for_creation(connection, team_id, profiles)
        now = self._parts.clock.now()
        editor = Editor(known, now, ids_of(now))
        created = editor.create_many(team_id, profiles)
        facts += await customers.save_edited(connection, editor.edited(), known.customers, now)
        return created

    async def _edit(
        self,
        connection: Connection,
        key: CustomerKey,
        named: Profile,
        edit: Edit,
        facts: list[Fact],
    ) -> customer_pb2.Customer:
        """Edits one customer; `named` holds the traits, identities and member id that the edit names."""
        known = await customers.load_for_edit(connection, key[0], [(key[1], named)])
        customer = known.customers.get(key)
        if customer is None:
            raise NotFound.of("customer", key[1])
        now = self._parts.clock.now()
        editor = Editor(known, now, ids_of(now))
        edit(editor, customer)
        facts += await customers.save_edited(connection, editor.edited(), known.customers, now)
        return await _whole(connection, *key)


async def _whole(connection: Connection, team_id: UUID, customer_id: UUID) -> customer_pb2.Customer:
    key = (team_id, customer_id)
    view = (await customers.load_views(connection, [key], _WHOLE)).get(key)
    if view is None:
        raise NotFound.of("customer", customer_id)
    return customer_message(view)


def _known(text: str) -> str:
    return "" if "\x00" in text else text


def _created_message(created: Created) -> pb.CreateCustomerResult:
    message = pb.CreateCustomerResult(customer_id=str(created.customer_id or ""))
    if created.error is not None:
        message.reason = reason_number(created.error.reason)
        message.message = error_line(created.error)
    return message
