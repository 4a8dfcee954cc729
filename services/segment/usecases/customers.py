"""Customers: created, found, edited and read whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar
from uuid import UUID

from libs.common.audit import wants_before
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import NotFound
from libs.common.ids import CustomerKey
from libs.common.rpc.servicing import check_etag
from libs.common.text import fold
from services.segment.domain.edits import Basics, Created, Editor, Profile
from services.segment.domain.facts import Fact
from services.segment.domain.model import Customer, CustomerView, Listed, Selector, TagChange
from services.segment.domain.views import CustomerParts
from services.segment.store import customers, teams
from services.segment.store.merged import absent, merged_view
from services.segment.usecases.accounts import strange_accounts
from services.segment.usecases.edits import Edits, Once, Reply
from services.segment.worker.writers import ids_of

_WHOLE: Final = CustomerParts(archived=True)

Result = TypeVar("Result")


class Customers:
    """Each method raises NotFound for a team or a customer that is not there, what `Editor` raises, and of one who was
    merged, unless they are only read, FailedPrecondition `CUSTOMER_MERGED`."""

    def __init__(self, pool: Pool, edits: Edits) -> None:
        """One per process."""
        self._pool = pool
        self._edits = edits

    # ---- creating

    async def create(
        self, once: Once[CustomerView, Reply], team_id: UUID, profile: Profile, *, triggers: bool
    ) -> Reply:
        """A new customer; `triggers`: what it comes with starts journeys."""

        async def work(connection: Connection, facts: list[Fact]) -> CustomerView:
            return await self._create_one(connection, team_id, profile, facts, triggers=triggers)

        return await self._edits.once(once, work)

    async def create_many(
        self,
        once: Once[list[Created], Reply],
        team_id: UUID,
        profiles: Sequence[Profile],
        *,
        triggers: bool,
    ) -> Reply:
        """New customers, each by itself: one that cannot be created keeps none of the others. `triggers` as there."""

        async def work(connection: Connection, facts: list[Fact]) -> list[Created]:
            return await self._create(connection, team_id, profiles, facts, triggers=triggers)

        return await self._edits.once(once, work)

    async def upsert(
        self,
        once: Once[tuple[CustomerView, bool], Reply],
        team_id: UUID,
        profile: Profile,
        *,
        triggers: bool,
    ) -> Reply:
        """The customer of the profile's member id, and whether it is new. `triggers`: see `create`."""

        async def work(connection: Connection, facts: list[Fact]) -> tuple[CustomerView, bool]:
            context = await customers.load_for_creation(connection, team_id, [profile])
            owner = context.members.get((team_id, fold(profile.member_id or "")))
            if owner is None:
                made = await self._create_one(connection, team_id, profile, facts, triggers=triggers)
                return made, True

            def complete(editor: Editor, customer: Customer) -> None:
                editor.complete(customer, profile)

            if wants_before():
                once.note_before((await _whole(connection, (team_id, owner)), False))
            await self._edit_one(connection, (team_id, owner), profile, complete, facts, triggers=triggers)
            return await _whole(connection, (team_id, owner)), False

        return await self._edits.once(once, work)

    # ---- editing

    async def update(
        self, once: Once[CustomerView, Reply], key: CustomerKey, etag: str, changes: Mapping[str, str | None]
    ) -> Reply:
        """The customer with other basic data; `changes` by the names of `Basics`."""

        def set_basics(editor: Editor, customer: Customer) -> None:
            check_etag(etag, customer.revision)
            present = {name: getattr(customer, name) for name in Basics.__struct_fields__}
            editor.set_basics(customer, Basics(**{**present, **changes}))

        named = Profile(member_id=changes.get("member_id"))
        return await self._edit(once, key, named, set_basics)

    async def change_tags(
        self, once: Once[CustomerView, Reply], key: CustomerKey, change: TagChange
    ) -> Reply:
        """The customer with some tags and without others."""

        def change_tags(editor: Editor, customer: Customer) -> None:
            editor.change_tags(customer, change.add, change.remove)

        return await self._edit(once, key, Profile(tags=(*change.add, *change.remove)), change_tags)

    async def set_attributes(
        self, once: Once[CustomerView, Reply], key: CustomerKey, values: Mapping[str, str | None]
    ) -> Reply:
        """The customer with other values of attributes; None: without a value."""

        def set_values(editor: Editor, customer: Customer) -> None:
            editor.set_values(customer, values)

        named = Profile(attributes=tuple((attribute, "") for attribute in values))
        return await self._edit(once, key, named, set_values)

    async def edit(
        self,
        once: Once[tuple[CustomerView, Result], Reply],
        key: CustomerKey,
        named: Profile,
        edit: Callable[[Editor, Customer], Result],
    ) -> Reply:
        """The customer after `edit`, and what that returned; `named` holds the traits, identities and member id that
        the edit names."""

        async def work(connection: Connection, facts: list[Fact]) -> tuple[CustomerView, Result]:
            if wants_before():
                once.note_before((await _whole(connection, key), False))
            result = await self._edit_one(connection, key, named, edit, facts)
            return await _whole(connection, key), result

        return await self._edits.once(once, work)

    # ---- reading

    async def get(self, key: CustomerKey) -> CustomerView:
        """A customer, whole; one who was merged as they were."""
        async with transaction(self._pool, [key[0]]) as connection:
            view = (await customers.load_views(connection, [key], _WHOLE)).get(key)
            view = view or await merged_view(connection, key)
        if view is None:
            raise NotFound.of("customer", key[1])
        return view

    async def find(self, team_id: UUID, selector: Selector) -> CustomerView:
        """Whom an event with this selector would go to."""
        async with transaction(self._pool, [team_id]) as connection:
            customer_id = await customers.find_customer(connection, team_id, selector)
            if customer_id is None:
                raise NotFound.of("customer", "(selector)")
            return await _whole(connection, (team_id, customer_id))

    async def find_listed(self, team_id: UUID, hints: Sequence[tuple[str, str, str]]) -> list[Listed]:
        """Whom each line of a list names by member id, e-mail address and phone; "" is no hint."""
        async with transaction(self._pool, [team_id]) as connection:
            return await customers.find_listed(connection, team_id, hints)

    async def views(
        self, keys: Iterable[CustomerKey], parts: CustomerParts
    ) -> dict[CustomerKey, CustomerView]:
        """Customers with these parts; those that are not there are left out."""
        return await customers.read_views(self._pool, keys, parts)

    async def page(
        self, team_id: UUID, *, keyword: str, phone: str, after: UUID | None, size: int
    ) -> tuple[list[CustomerView], bool]:
        """Customers, whole, in the order of their ids, and whether there are more; `keyword` empty: all; `phone` is the
        number that it is, empty for none."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = await customers.list_customers(
                connection, team_id, keyword=keyword, phone=phone, after=after, row_max=size + 1
            )
            keys = [(team_id, row.customer_id) for row in rows[:size]]
            views = await customers.load_views(connection, keys, _WHOLE)
        return [views[key] for key in keys], len(rows) > size

    async def tags(self, team_id: UUID, after: str, row_max: int) -> list[tuple[str, str, int]]:
        """Tags in use in the order of their folded texts: folded, as somebody wrote it, customers."""
        async with transaction(self._pool, [team_id]) as connection:
            return await customers.list_tags(connection, team_id, after, row_max)

    # ---- steps

    async def _create_one(
        self,
        connection: Connection,
        team_id: UUID,
        profile: Profile,
        facts: list[Fact],
        *,
        triggers: bool,
    ) -> CustomerView:
        (created,) = await self._create(connection, team_id, [profile], facts, triggers=triggers)
        if created.error is not None:
            raise created.error
        assert created.customer_id is not None
        return await _whole(connection, (team_id, created.customer_id))

    async def _create(
        self,
        connection: Connection,
        team_id: UUID,
        profiles: Sequence[Profile],
        facts: list[Fact],
        *,
        triggers: bool,
    ) -> list[Created]:
        await teams.load_team(connection, team_id)
        context = await customers.load_for_creation(connection, team_id, profiles)
        identities = (key for profile in profiles for key in profile.identities)
        context.strange_accounts = await strange_accounts(connection, team_id, identities)
        now = self._edits.now()
        editor = Editor(context, now, ids_of(now), triggers=triggers)
        created = editor.create_many(team_id, profiles)
        facts += await customers.save_edited(connection, editor.edited(), context.customers, now)
        return created

    async def _edit(
        self,
        once: Once[CustomerView, Reply],
        key: CustomerKey,
        named: Profile,
        edit: Callable[[Editor, Customer], None],
    ) -> Reply:
        async def work(connection: Connection, facts: list[Fact]) -> CustomerView:
            if wants_before():
                once.note_before(await _whole(connection, key))
            await self._edit_one(connection, key, named, edit, facts)
            return await _whole(connection, key)

        return await self._edits.once(once, work)

    async def _edit_one(
        self,
        connection: Connection,
        key: CustomerKey,
        named: Profile,
        edit: Callable[[Editor, Customer], Result],
        facts: list[Fact],
        *,
        triggers: bool = True,
    ) -> Result:
        context = await customers.load_for_edit(connection, key[0], [(key[1], named)])
        customer = context.customers.get(key)
        if customer is None:
            raise await absent(connection, key)
        context.strange_accounts = await strange_accounts(connection, key[0], named.identities)
        now = self._edits.now()
        editor = Editor(context, now, ids_of(now), triggers=triggers)
        result = edit(editor, customer)
        facts += await customers.save_edited(connection, editor.edited(), context.customers, now)
        return result


async def _whole(connection: Connection, key: CustomerKey) -> CustomerView:
    view = (await customers.load_views(connection, [key], _WHOLE)).get(key)
    if view is None:
        raise await absent(connection, key)
    return view
