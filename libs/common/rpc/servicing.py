"""What the edges of all services do alike: hold what they call, and read the fields that every request has."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from libs.common.errors import Aborted
from libs.common.rpc.fields import FieldCheck

D = TypeVar("D")


class Edge(Generic[D]):
    """The base of a servicer, or of one noun's part of it: holds the service's `Dependencies`, a frozen dataclass that
    the composition root makes."""

    def __init__(self, deps: D) -> None:
        """`deps` outlive the servicer."""
        self._deps = deps


def team_of(text: str) -> UUID:
    """The required field `team_id`. Raises InvalidArgument."""
    check = FieldCheck()
    team_id = check.uuid("team_id", text)
    check.done()
    return team_id


def ids_of(team: str, field: str, text: str) -> tuple[UUID, UUID]:
    """The required field `team_id` and one more id, all faults of both at once. Raises InvalidArgument."""
    check = FieldCheck()
    ids = check.uuid("team_id", team), check.uuid(field, text)
    check.done()
    return ids


def check_etag(given: str, version: int) -> None:
    """Raises Aborted `ETAG_MISMATCH` when an etag was given and is not that of the present version."""
    if given and given != str(version):
        raise Aborted.etag_mismatch(str(version))


def changed_fields(
    check: FieldCheck, mask: Sequence[str], changeable: Collection[str], resource: Message
) -> frozenset[str]:
    """The fields that an update changes, out of `changeable`; a path may go deeper than those, to what there is.

    An empty mask changes what is set in the resource and clears nothing. A path of another field is a fault.
    """
    for path in mask:
        field, dot, _ = path.partition(".")
        if field not in changeable:
            check.fault("update_mask", f"{path!r} cannot be changed")
        elif dot and not _is_path_of(resource, path):
            check.fault("update_mask", f"{path!r} is no field")
    if mask:
        return frozenset(path.partition(".")[0] for path in mask)
    return frozenset(field for field in changeable if _is_set(resource, field))


def _is_path_of(message: Message, path: str) -> bool:
    """Whether there is a field at the end of a path."""
    form: Any = message.DESCRIPTOR  # of one of two classes, which are alike
    return FieldMask(paths=[path]).IsValidForDescriptor(form)


def _is_set(message: Message, field: str) -> bool:
    """Whether a field, or one of a oneof, has another value than its default."""
    if field in message.DESCRIPTOR.oneofs_by_name:
        return message.WhichOneof(field) is not None
    return bool(message.HasField(field)) if _has_presence(message, field) else bool(getattr(message, field))


def _has_presence(message: Message, field: str) -> bool:
    return bool(message.DESCRIPTOR.fields_by_name[field].has_presence)
