"""Which RPCs have no implementation: read from the servicers, kept in ``docs/unimplemented.md``.

An RPC counts as implemented when its service's servicer overrides the generated method.
"""

import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor

from libs.common.rpc import validation
from tools.paths import GENERATED, ROOT

PAGE: Final = ROOT / "docs" / "unimplemented.md"

# Where the servicer is that no service is named after: written once for all that serve it, or one service's for others.
_HOMES: Final = {
    "omnijourney.common.v1.InstallationService": "libs.common.rpc.operations",
    "omnijourney.common.v1.OperationsService": "libs.common.rpc.long_work",
    "omnijourney.internal.v1.ConsentsService": "services.channel_gateway.servicer.consents",
    "omnijourney.internal.v1.CustomersService": "services.segment.servicer.internal",
    "omnijourney.internal.v1.FollowersService": "libs.common.rpc.followers",
    "omnijourney.internal.v1.HistoryService": "libs.common.feeds.serving",
    "omnijourney.internal.v1.LedgerService": "services.points.servicer.internal",
    "omnijourney.internal.v1.MailService": "libs.common.feeds.serving",
    "omnijourney.internal.v1.MergesService": "services.points.servicer.merges",
    "omnijourney.internal.v1.OpensService": "services.channel_gateway.servicer.opens",
    "omnijourney.internal.v1.PersonsService": "libs.common.rpc.persons",
    "omnijourney.internal.v1.SendsService": "services.channel_gateway.servicer.internal",
}

_HEAD: Final = """\
# What the contracts have and this release has not

These RPCs answer `UNIMPLEMENTED`, and so does a request that sets one of the fields at the end; of a batch that answers
item by item only the item that sets one is refused, as `NOT_IMPLEMENTED`. Answers never set them. `make unimplemented`
writes this page from the servicers and the contracts, and a test holds it to them.
"""


class ServicerError(Exception):
    """A servicer module holds no class for the service it is named after."""


@dataclass(frozen=True)
class ServiceState:
    """One service of the contracts: its full name, all its RPCs, those without an implementation."""

    name: str
    rpcs: tuple[str, ...]
    missing: tuple[str, ...]


def services() -> list[ServiceState]:
    """Every service of the contracts, in the order of their names. Raises ServicerError."""
    return [
        ServiceState(service.full_name, _rpcs(service), _missing(service, bindings))
        for service, bindings in _generated()
    ]


def missing_rpcs() -> set[str]:
    """Full names (``package.Service.Rpc``) of the RPCs without an implementation. Raises ServicerError."""
    return {f"{service.name}.{rpc}" for service in services() for rpc in service.missing}


def page() -> str:
    """What ``docs/unimplemented.md`` has to say now. Raises ServicerError."""
    states = [service for service in services() if service.missing]
    sections = [_section(service) for service in states] + _fields_section()
    return "\n".join([_HEAD, *sections]) if sections else f"{_HEAD}\nNone: everything is implemented.\n"


def _section(service: ServiceState) -> str:
    lines = [f"## `{service.name}`: {len(service.missing)} of {len(service.rpcs)}", ""]
    return "\n".join([*lines, *(f"- `{rpc}`" for rpc in service.missing), ""])


def _fields_section() -> list[str]:
    """The fields that are marked in the contracts, by message."""
    found = [
        f"- `{message.full_name}`: {', '.join(f'`{name}`' for name in names)}"
        for _, bindings in _modules("*_pb2.py")
        for message in bindings.DESCRIPTOR.message_types_by_name.values()
        if (names := validation.unimplemented_fields(message))
    ]
    return ["\n".join(["## Fields", "", *found, ""])] if found else []


def _modules(pattern: str) -> Iterator[tuple[str, ModuleType]]:
    """The generated modules whose file's name fits, with their names, in order."""
    for file in sorted(GENERATED.rglob(pattern)):
        name = ".".join(file.relative_to(GENERATED).with_suffix("").parts)
        yield name, importlib.import_module(name)


def _generated() -> Iterator[tuple[ServiceDescriptor, ModuleType]]:
    """Each service's descriptor with the module that holds its generated servicer."""
    for name, bindings in _modules("*_pb2_grpc.py"):
        messages = importlib.import_module(name.removesuffix("_grpc"))
        described: FileDescriptor = messages.DESCRIPTOR
        for service in described.services_by_name.values():
            yield service, bindings


def _rpcs(service: ServiceDescriptor) -> tuple[str, ...]:
    return tuple(method.name for method in service.methods)


def _missing(service: ServiceDescriptor, bindings: ModuleType) -> tuple[str, ...]:
    base: type = getattr(bindings, f"{service.name}Servicer")
    home = _HOMES.get(service.full_name, f"services.{service.full_name.split('.')[1]}.servicer")
    if not _exists(home):
        return _rpcs(service)
    found = [
        entry
        for entry in vars(importlib.import_module(home)).values()
        if isinstance(entry, type) and issubclass(entry, base) and entry is not base
    ]
    if not found:
        raise ServicerError(f"{home} holds no {base.__name__}")
    return tuple(
        rpc for rpc in _rpcs(service) if all(getattr(entry, rpc) is getattr(base, rpc) for entry in found)
    )


def _exists(module: str) -> bool:
    """Whether the module can be imported; its parents may be absent too."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
