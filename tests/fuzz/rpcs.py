"""All RPCs that the services serve, from their own reflection and the descriptors."""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from libs.client import Client, ServiceName
from tools.contracts import unimplemented
from tools.paths import ROOT

OURS = "omnijourney."


@dataclass(frozen=True)
class Rpc:
    """One RPC of one service's process."""

    service: ServiceName
    method: MethodDescriptor
    implemented: bool

    @property
    def name(self) -> str:
        """`segment: SegmentService/GetTeam`, in tables."""
        return f"{self.service}: {self.method.containing_service.name}/{self.method.name}"

    @property
    def full_name(self) -> str:
        """`package.Service/Method`."""
        return f"{self.method.containing_service.full_name}/{self.method.name}"

    @property
    def is_internal(self) -> bool:
        """Whether only our own services call it."""
        return self.full_name.startswith("omnijourney.internal.")

    @property
    def names_team(self) -> bool:
        """Whether a client of one team may call it: it is public, and the request or each item says the team."""
        form = self.method.input_type
        parts = [f.message_type for f in form.fields if f.is_repeated and f.message_type is not None]
        named = any("team_id" in part.fields_by_name for part in (form, *parts))
        return named and not self.is_internal

    @property
    def is_read(self) -> bool:
        """Whether it says that it changes nothing."""
        return bool(self.method.GetOptions().idempotency_level == 1)

    @cached_property
    def asked(self) -> type[Message]:
        """Class of the request."""
        return class_of(self.method.input_type)

    @cached_property
    def answered(self) -> type[Message]:
        """Class of the answer."""
        return class_of(self.method.output_type)


def class_of(form: Descriptor) -> type[Message]:
    """The Python class of a message."""
    made: type[Message] = message_factory.GetMessageClass(form)
    return made


async def served(client: Client) -> list[Rpc]:
    """What runs now, in the same order each time."""
    load_all()
    missing = {state.name: set(state.missing) for state in unimplemented.services()}
    return [
        Rpc(service, method, method.name not in missing.get(name, set()))
        for service in client.known
        for name in sorted(await _listed(client.channel(service)))
        if name.startswith(OURS)
        for method in _methods(name)
    ]


def load_all() -> None:
    """Fills the pool of descriptors with all that is generated."""
    for path in sorted((ROOT / "libs" / "gen").rglob("omnijourney/**/*_pb2.py")):
        module = path.relative_to(ROOT / "libs" / "gen").with_suffix("")
        importlib.import_module(".".join(module.parts))


def _methods(service: str) -> Iterator[MethodDescriptor]:
    found = descriptor_pool.Default().FindServiceByName(service)
    yield from found.methods


async def _listed(channel: grpc.aio.Channel) -> Sequence[str]:
    make_stub: Any = reflection_pb2_grpc.ServerReflectionStub  # its types know blocking channels only
    stub = make_stub(channel)
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    (answer,) = [reply async for reply in stub.ServerReflectionInfo(asked, timeout=10)]
    return [entry.name for entry in answer.list_services_response.service]
