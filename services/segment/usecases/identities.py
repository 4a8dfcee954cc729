"""Identities of customers on channels."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from libs.common.db.pool import Connection
from libs.common.errors import DomainError
from libs.common.ids import CustomerKey
from services.segment.domain.edits import Bound, Editor, Profile
from services.segment.domain.facts import Fact
from services.segment.domain.model import Customer, CustomerView, IdentityKey
from services.segment.store import customers
from services.segment.store.merged import merged_customers
from services.segment.usecases.accounts import strange_accounts
from services.segment.usecases.customers import Customers
from services.segment.usecases.edits import Edits, Once, Reply
from services.segment.worker.writers import ids_of


class Identities:
    """Binds and unbinds."""

    def __init__(self, edits: Edits, people: Customers) -> None:
        """One per process."""
        self._edits = edits
        self._people = people

    async def bind(
        self, once: Once[tuple[CustomerView, bool], Reply], key: CustomerKey, identity: IdentityKey
    ) -> Reply:
        """The customer with the identity, and whether the binding is new.

        Raises NotFound, for an account too, FailedPrecondition `IDENTITY_TAKEN`.
        """

        def bind(editor: Editor, customer: Customer) -> bool:
            return editor.bind(customer, identity)

        return await self._people.edit(once, key, Profile(identities=(identity,)), bind)

    async def unbind(
        self, once: Once[tuple[CustomerView, bool], Reply], key: CustomerKey, identity: IdentityKey
    ) -> Reply:
        """The customer without the identity, and whether there was such a binding. Raises NotFound."""

        def unbind(editor: Editor, customer: Customer) -> bool:
            return editor.unbind(customer, identity)

        return await self._people.edit(once, key, Profile(identities=(identity,)), unbind)

    async def bind_many(
        self,
        once: Once[list[Bound], Reply],
        team_id: UUID,
        bindings: Sequence[tuple[UUID, IdentityKey]],
    ) -> Reply:
        """One result for each binding, in order; one that is refused keeps none of the others."""
        edits = [(customer_id, Profile(identities=(identity,))) for customer_id, identity in bindings]

        async def work(connection: Connection, facts: list[Fact]) -> list[Bound]:
            context = await customers.load_for_edit(connection, team_id, edits)
            context.strange_accounts = await strange_accounts(
                connection, team_id, [key for _, key in bindings]
            )
            now = self._edits.now()
            editor = Editor(context, now, ids_of(now))
            keys = {(team_id, customer_id) for customer_id, _ in bindings}
            merged = await merged_customers(connection, keys - context.customers.keys())
            results = [
                Bound(False, "CUSTOMER_MERGED")
                if (team_id, customer_id) in merged
                else _bind(editor, context.customers.get((team_id, customer_id)), identity)
                for customer_id, identity in bindings
            ]
            facts += await customers.save_edited(connection, editor.edited(), context.customers, now)
            return results

        return await self._edits.once(once, work)


def _bind(editor: Editor, customer: Customer | None, identity: IdentityKey) -> Bound:
    if customer is None:
        return Bound(False, "RESOURCE_NOT_FOUND")
    try:
        return Bound(editor.bind(customer, identity))
    except DomainError as error:
        return Bound(False, error.reason)
