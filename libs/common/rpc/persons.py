# ruff: noqa: N802 - the generated base names the methods
"""What every service beside segment answers of a person: a part of an erasure, and what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from libs.common.ids import CustomerKey
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.server import GrpcServer
from omnijourney.internal.v1 import persons_service_pb2 as pb
from omnijourney.internal.v1 import persons_service_pb2_grpc as pb_grpc

DESCRIPTOR: Final = pb.DESCRIPTOR.services_by_name["PersonsService"]


class Person(NamedTuple):
    """A customer, with all that they were known by."""

    team_id: UUID
    customer_id: UUID
    identifiers: Sequence[str]

    @property
    def key(self) -> CustomerKey:
        """Team and customer."""
        return self.team_id, self.customer_id


class Asked(NamedTuple):
    """When the erasure, or this step of it, began, and the number of segment's last mail to the customer."""

    began_at: datetime
    last_mail_number: int


class Part(NamedTuple):
    """What became of a part. `cursor` is empty where it is done; `waits`: to be asked for again later."""

    cursor: str = ""
    waits: bool = False

    @property
    def done(self) -> bool:
        """Nothing is left to be done."""
        return not self.cursor and not self.waits


DONE: Final = Part()
WAITS: Final = Part(waits=True)


class Persons(Protocol):
    """What one service does. The same again is safe, whatever of it was done before."""

    async def settle(self, person: Person, asked: Asked) -> Part:
        """Works off what came in before the erasure began, and ends what goes on."""
        ...

    async def remove(self, person: Person, asked: Asked, cursor: str) -> Part:
        """Removes the next of what is held, from a cursor on."""
        ...

    async def read(self, person: Person, cursor: str) -> tuple[Sequence[str], str]:
        """The next of what is held, a JSON object each, and where to go on, empty at the end."""
        ...


class PersonsServicer(pb_grpc.PersonsServiceServicer):
    """See `protos/omnijourney/internal/v1/persons_service.proto`."""

    def __init__(self, persons: Persons) -> None:
        """What the service does."""
        self._persons = persons

    async def ErasePerson(self, request: pb.ErasePersonRequest, context: Any) -> pb.ErasePersonResponse:
        """The next part of an erasure."""
        check = FieldCheck()
        began_at = check.time("start_time", request, "start_time")
        check.done()
        assert began_at is not None
        person, asked = _person(request.person), Asked(began_at, request.last_mail_number)
        if request.part == pb.ERASURE_PART_SETTLE:
            part = await self._persons.settle(person, asked)
        else:
            part = await self._persons.remove(person, asked, request.cursor)
        return pb.ErasePersonResponse(done=part.done, next_cursor=part.cursor, waits=part.waits)

    async def ReadPerson(self, request: pb.ReadPersonRequest, context: Any) -> pb.ReadPersonResponse:
        """The next of what is held."""
        records, cursor = await self._persons.read(_person(request.person), request.cursor)
        return pb.ReadPersonResponse(records=records, next_cursor=cursor)


def serve_persons(server: GrpcServer, persons: Persons) -> None:
    """Adds it to the server."""
    server.add(pb_grpc.add_PersonsServiceServicer_to_server, PersonsServicer(persons), DESCRIPTOR)


def _person(message: pb.Person) -> Person:
    return Person(UUID(message.team_id), UUID(message.customer_id), list(message.identifiers))
