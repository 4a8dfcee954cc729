# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Identities of customers on channels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.checks import Check, local_numbers, reason_number
from services.segment.convert.customers import customer_message
from services.segment.domain.edits import Bound
from services.segment.domain.model import CustomerView, IdentityKey
from services.segment.servicer.base import Base
from services.segment.usecases.edits import Once

_BATCH_MAX: Final = 500
_FAULTY: Final = Bound(False, "INVALID_FIELDS")


class IdentityRpcs(Base):
    """Binding and unbinding."""

    async def BindIdentity(self, request: pb.BindIdentityRequest, context: Any) -> pb.BindIdentityResponse:
        """The customer with the identity."""
        check = Check()
        key = check.customer(request)
        check.country = await self.country_for(request.team_id, local_numbers([request.identity]))
        identity = check.identity("identity", request.identity)
        check.done()
        once = Once(key[0], request, pb.BindIdentityResponse, _bind_reply)
        return await self._deps.identities.bind(once, key, identity)

    async def UnbindIdentity(
        self, request: pb.UnbindIdentityRequest, context: Any
    ) -> pb.UnbindIdentityResponse:
        """The customer without the identity."""
        check = Check()
        key = check.customer(request)
        check.country = await self.country_for(request.team_id, local_numbers([request.identity]))
        identity = check.identity("identity", request.identity, any_form=True)
        check.done()
        once = Once(key[0], request, pb.UnbindIdentityResponse, _unbind_reply)
        return await self._deps.identities.unbind(once, key, identity)

    async def BatchBindIdentities(
        self, request: pb.BatchBindIdentitiesRequest, context: Any
    ) -> pb.BatchBindIdentitiesResponse:
        """One result per binding."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.count("bindings", request.bindings, least=1, most=_BATCH_MAX)
        check.done()
        numbers = local_numbers(each.identity for each in request.bindings)
        country = await self.country_for(request.team_id, numbers)
        read = [_read_binding(binding, country) for binding in request.bindings]

        def reply(bound: list[Bound]) -> pb.BatchBindIdentitiesResponse:
            results = iter(bound)
            return _bind_many_reply(_FAULTY if each is None else next(results) for each in read)

        once = Once(team_id, request, pb.BatchBindIdentitiesResponse, reply)
        sound = [binding for binding in read if binding is not None]
        return await self._deps.identities.bind_many(once, team_id, sound)


def _bind_reply(result: tuple[CustomerView, bool]) -> pb.BindIdentityResponse:
    view, bound = result
    return pb.BindIdentityResponse(customer=customer_message(view), bound=bound)


def _read_binding(message: pb.Binding, country: str) -> tuple[UUID, IdentityKey] | None:
    """Customer and identity, a number as people of `country` write it; None for a binding that is faulty whatever is
    stored."""
    check = Check()
    check.country = country
    binding = check.uuid("customer_id", message.customer_id), check.identity("identity", message.identity)
    return None if check.violations else binding


def _bind_many_reply(results: Iterable[Bound]) -> pb.BatchBindIdentitiesResponse:
    return pb.BatchBindIdentitiesResponse(
        results=[pb.BindResult(bound=each.bound, reason=reason_number(each.reason)) for each in results]
    )


def _unbind_reply(result: tuple[CustomerView, bool]) -> pb.UnbindIdentityResponse:
    return pb.UnbindIdentityResponse(customer=customer_message(result[0]))
