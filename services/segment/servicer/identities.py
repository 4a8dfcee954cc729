# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Identities of customers on channels."""

from __future__ import annotations

from typing import Any, Final

from libs.common.db.pool import Connection, transaction
from libs.common.errors import FailedPrecondition
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.checks import Check, reason_number
from services.segment.domain.editing import Editor, Profile
from services.segment.domain.facts import Fact
from services.segment.domain.model import Customer
from services.segment.servicer.customers import CustomerCalls
from services.segment.store import customers
from services.segment.worker.writers import ids_of

_BATCH_MAX: Final = 500


class IdentityCalls(CustomerCalls):
    """Binding and unbinding."""

    async def BindIdentity(self, request: pb.BindIdentityRequest, context: Any) -> pb.BindIdentityResponse:
        """The customer with the identity."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        customer_id = check.uuid("customer_id", request.customer_id)
        key = check.identity("identity", request.identity)
        check.done()
        bound: list[bool] = []

        def bind(editor: Editor, customer: Customer) -> None:
            bound.append(editor.bind(customer, key))

        async def work(connection: Connection, facts: list[Fact]) -> pb.BindIdentityResponse:
            named = Profile(identities=(key,))
            customer = await self._edit(connection, (team_id, customer_id), named, bind, facts)
            return pb.BindIdentityResponse(customer=customer, bound=bound[-1])

        return await self._write(team_id, request, pb.BindIdentityResponse, work)

    async def UnbindIdentity(
        self, request: pb.UnbindIdentityRequest, context: Any
    ) -> pb.UnbindIdentityResponse:
        """The customer without the identity."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        customer_id = check.uuid("customer_id", request.customer_id)
        key = check.identity("identity", request.identity)
        check.done()

        def unbind(editor: Editor, customer: Customer) -> None:
            editor.unbind(customer, key)

        async def work(connection: Connection, facts: list[Fact]) -> pb.UnbindIdentityResponse:
            named = Profile(identities=(key,))
            customer = await self._edit(connection, (team_id, customer_id), named, unbind, facts)
            return pb.UnbindIdentityResponse(customer=customer)

        return await self._write(team_id, request, pb.UnbindIdentityResponse, work)

    async def BatchBindIdentities(
        self, request: pb.BatchBindIdentitiesRequest, context: Any
    ) -> pb.BatchBindIdentitiesResponse:
        """One result per binding; binding again changes nothing, so no request id is needed."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.count("bindings", request.bindings, least=1, most=_BATCH_MAX)
        edits = [
            (
                check.uuid(f"bindings[{index}].customer_id", binding.customer_id),
                Profile(identities=(check.identity(f"bindings[{index}].identity", binding.identity),)),
            )
            for index, binding in enumerate(request.bindings)
        ]
        check.done()

        async def once() -> pb.BatchBindIdentitiesResponse:
            async with transaction(self._parts.pool, [team_id]) as connection:
                known = await customers.load_for_edit(connection, team_id, edits)
                now = self._parts.clock.now()
                editor = Editor(known, now, ids_of(now))
                results = [
                    _bind(editor, known.customers.get((team_id, customer_id)), profile)
                    for customer_id, profile in edits
                ]
                facts = await customers.save_edited(connection, editor.edited(), known.customers, now)
            self._parts.announcer.committed(facts)
            return pb.BatchBindIdentitiesResponse(results=results)

        return await self._parts.writer.until_alone("edits", once)


def _bind(editor: Editor, customer: Customer | None, profile: Profile) -> pb.BindResult:
    if customer is None:
        return pb.BindResult(reason=reason_number("RESOURCE_NOT_FOUND"))
    try:
        return pb.BindResult(bound=editor.bind(customer, profile.identities[0]))
    except FailedPrecondition as error:
        return pb.BindResult(reason=reason_number(error.reason))
