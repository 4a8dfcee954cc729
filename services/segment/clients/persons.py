"""The other services, in what they hold of a person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import grpc

from libs.common.errors import Unavailable
from libs.common.ids import CustomerKey
from libs.common.rpc.client import retrying
from libs.common.rpc.values import timestamp
from omnijourney.internal.v1 import persons_service_pb2 as pb
from omnijourney.internal.v1.persons_service_pb2_grpc import PersonsServiceStub

DEADLINE_S: Final = 30.0
"""Of one part of an erasure, some thousands of rows."""
Answer = TypeVar("Answer")


class Part(NamedTuple):
    """What became of a part: where to go on, empty when it is done; `waits`: later, not at once."""

    done: bool
    cursor: str
    waits: bool


class PersonsClient:
    """Asks a service by its name. Raises Unavailable while it does not answer."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        """Channels to the services, by their names."""
        self._stubs = {name: PersonsServiceStub(channel) for name, channel in channels.items()}

    @property
    def services(self) -> Sequence[str]:
        """Names of the services."""
        return list(self._stubs)

    async def settle(
        self,
        service: str,
        key: CustomerKey,
        identifiers: Sequence[str],
        began_at: datetime,
        last_mail_number: int = 0,
    ) -> Part:
        """Has a service work off what is under way for a person."""
        request = pb.ErasePersonRequest(
            person=_person(key, identifiers),
            part=pb.ERASURE_PART_SETTLE,
            start_time=timestamp(began_at),
            last_mail_number=last_mail_number,
        )
        return await self._erase(service, request)

    async def remove(
        self, service: str, key: CustomerKey, identifiers: Sequence[str], began_at: datetime, cursor: str
    ) -> Part:
        """Has a service remove what it holds of a person, from a cursor on."""
        request = pb.ErasePersonRequest(
            person=_person(key, identifiers),
            part=pb.ERASURE_PART_REMOVE,
            start_time=timestamp(began_at),
            cursor=cursor,
        )
        return await self._erase(service, request)

    async def read(
        self, service: str, key: CustomerKey, identifiers: Sequence[str], cursor: str
    ) -> tuple[Sequence[str], str]:
        """Some of what a service holds of a person, a JSON object each, and where to go on, empty at the end."""
        request = pb.ReadPersonRequest(person=_person(key, identifiers), cursor=cursor)
        stub = self._stubs[service]
        reply = await _asked(service, lambda: stub.ReadPerson(request, timeout=DEADLINE_S))
        return reply.records, reply.next_cursor

    async def _erase(self, service: str, request: pb.ErasePersonRequest) -> Part:
        stub = self._stubs[service]
        reply = await _asked(service, lambda: stub.ErasePerson(request, timeout=DEADLINE_S))
        return Part(reply.done, reply.next_cursor, reply.waits)


async def _asked(service: str, call: Callable[[], Awaitable[Answer]]) -> Answer:
    try:
        return await retrying(call)
    except grpc.aio.AioRpcError as error:
        raise Unavailable.dependency(service) from error


def _person(key: tuple[UUID, UUID], identifiers: Sequence[str]) -> pb.Person:
    return pb.Person(team_id=str(key[0]), customer_id=str(key[1]), identifiers=identifiers)
