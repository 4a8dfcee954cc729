"""Who changed what: the entry of a write, made of its request, its answer, and what the use case says was before.

`answer_once` writes the entry of its write in the write's own transaction, and so does `note_with` for a write that
its key makes safe to repeat; of batches whose items have keys the guard has one written before the answer leaves.
Secrets are cleared (`libs.common.redaction`), texts are bounded.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from libs.common.callers import INSTALLATION, ITSELF, Caller, caller
from libs.common.redaction import is_secret, redacted

TEXT_BYTES_MAX: Final = 16 * 1024
"""Bytes of UTF-8 kept of a resource as it was, and of one as it became."""
FIELDS_MAX: Final = 100
"""Paths of changed fields that are kept."""
NOBODY: Final = UUID(int=0)
"""Whose the entries of changes of no team are."""
_INTERNAL: Final = "omnijourney.internal."
_FROM_REQUESTS: Final = frozenset({"team_id", "request_id", "etag", "update_mask"})
_NO_CHANGE: Final = frozenset({"etag", "update_time"})
_SCALARS_MAX: Final = 20


class Entry(NamedTuple):
    """What is kept of a write, beside who called and when."""

    method: str
    request_id: str
    resource_type: str
    resource_id: str
    fields: list[str]
    before: str
    after: str
    cut: bool


@dataclass(slots=True)
class Recording:
    """What a running call has to do with the audit log."""

    before: Message | None = None
    after: Message | None = None
    """The resource as it became, where the answer does not hold it."""
    settled: bool = False
    """Whether the call's entry is written, or none is due since the call is a repetition."""


_RECORDING: ContextVar[Recording | None] = ContextVar("audit", default=None)


@contextlib.contextmanager
def recording() -> Iterator[Recording]:
    """The recording of the running call; begun here where there is none."""
    running = _RECORDING.get()
    if running is not None:
        yield running
        return
    token = _RECORDING.set(running := Recording())
    try:
        yield running
    finally:
        _RECORDING.reset(token)


def note_before(message: Message) -> None:
    """Says how the resource of the running write was: itself, or as the answer shows it. The last word counts."""
    running = _RECORDING.get()
    if running is not None:
        running.before = message


def note_change(before: Message, after: Message) -> None:
    """Says how the resource of the running write was and became, where the answer does not hold it."""
    running = _RECORDING.get()
    if running is not None:
        running.before, running.after = before, after


def wants_before() -> bool:
    """Whether the running write is written down, so that how its resource was is worth a read."""
    return _RECORDING.get() is not None and is_audited(caller())


def is_audited(found: Caller) -> bool:
    """Whether a caller's writes are written down: not those of our own services, whose facts name them."""
    return not found.is_internal or found in (INSTALLATION, ITSELF)


@functools.cache
def is_write(rpc: str) -> bool:
    """Whether an RPC (`package.Service/Method`) is a public one that changes something."""
    service, _, name = rpc.rpartition("/")
    if service.startswith(_INTERNAL) or not service.startswith("omnijourney."):
        return False
    method = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    return method.GetOptions().idempotency_level != MethodOptions.NO_SIDE_EFFECTS


def entry_of(request: Message, answer: Message, noted: Recording) -> Entry:
    """The entry of a write, of which the use case has `noted` how things were; of one of many items it counts them."""
    return _counted(request, answer) if _is_batch(request) else _single(request, answer, noted)


def _single(request: Message, answer: Message, noted: Recording) -> Entry:
    method, before = _method_of(request.DESCRIPTOR), noted.before
    was = _resource(before) if before is not None and type(before) is type(answer) else before
    became = _resource(answer) if noted.after is None else noted.after
    deletes = not answer.ListFields() and method.rpartition("/")[2].startswith("Delete")
    after = "" if deletes else _text(became) if answer.ListFields() else _text(request, _FROM_REQUESTS)
    shown = next((each for each in (became, was) if each is not None and each is not answer), None)
    kind = shown.DESCRIPTOR.name if shown is not None else _noun(method)
    before_text = _text(was) if was is not None else ""
    kept = _bounded(before_text), _bounded(after)
    return Entry(
        method,
        getattr(request, "request_id", ""),
        kind,
        _id_of(kind, [each for each in (shown, request, answer) if each is not None]),
        _changed(request, was, None if deletes else _like(was, became)),
        kept[0],
        kept[1],
        kept != (before_text, after),
    )


def _counted(request: Message, answer: Message) -> Entry:
    """How many items a batch had, and what became of them."""
    counts = {"request": _counts(request), "answer": _counts(answer)}
    text = _bounded(json.dumps(counts, ensure_ascii=False))
    method = _method_of(request.DESCRIPTOR)
    request_id = getattr(request, "request_id", "")
    kind = _noun(method)
    return Entry(
        method, request_id, kind, _id_of(kind, [request]), fields=[], before="", after=text, cut=False
    )


def _is_batch(request: Message) -> bool:
    return any(field.is_repeated and field.message_type is not None for field in request.DESCRIPTOR.fields)


def teams_of(request: Message) -> set[UUID]:
    """The teams that a request names, itself or in its items; that of no team where it names none."""
    named = {getattr(request, "team_id", "")}
    for field, value in request.ListFields():
        if (
            field.is_repeated
            and field.message_type is not None
            and "team_id" in field.message_type.fields_by_name
        ):
            named |= {item.team_id for item in value}
    found = set()
    for text in filter(None, named):
        with contextlib.suppress(ValueError):  # the item was refused for it
            found.add(UUID(text))
    return found or {NOBODY}


@functools.cache
def _method_of(descriptor: Any) -> str:
    """`package.Service/Method` of a request's type, which is of that method alone."""
    for service in descriptor.file.services_by_name.values():
        for method in service.methods:
            if method.input_type.full_name == descriptor.full_name:
                return f"{service.full_name}/{method.name}"
    return str(descriptor.full_name)


def _noun(method: str) -> str:
    return re.sub(r"^[A-Z][a-z]+", "", method.rpartition("/")[2])


def _resource(answer: Message) -> Message:
    """The one resource that an answer holds, else the answer."""
    held = [value for field, value in answer.ListFields() if _is_message(field) and not field.is_repeated]
    return held[0] if len(held) == 1 else answer


def _like(was: Message | None, became: Message) -> Message:
    """What is to be compared with how the resource was: of an answer that holds several things, the one of its kind."""
    held = (value for field, value in became.ListFields() if _is_message(field) and not field.is_repeated)
    return next((value for value in held if was is not None and type(value) is type(was)), became)


def _is_message(field: FieldDescriptor) -> bool:
    return field.message_type is not None and not field.message_type.full_name.startswith("google.")


def _id_of(kind: str, messages: Sequence[Message]) -> str:
    own = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower() + "_id"
    for message in messages:
        fields = message.DESCRIPTOR.fields_by_name
        ids = [name for name in fields if name.endswith("_id") and name not in {"team_id", "request_id"}]
        for name in (own, *(["key"] if "key" in fields and own not in fields else []), *ids, "sequence"):
            if name in fields and fields[name].message_type is None and getattr(message, name):
                return str(getattr(message, name))
    return next((str(found) for m in messages if (found := getattr(m, "team_id", ""))), "")


def _changed(request: Message, was: Message | None, became: Message | None) -> list[str]:
    """Paths of what is another now, and of the secrets that the request sets, which nothing else shows."""
    paths: list[str] = []
    if was is not None and became is not None and type(was) is type(became):
        paths = list(_differences(redacted(was), redacted(became), ""))
    elif "update_mask" in request.DESCRIPTOR.fields_by_name:
        paths = list(request.update_mask.paths)  # type: ignore[attr-defined]  # its descriptor has the field
    return [*dict.fromkeys([*paths, *_secrets_set(request)])][:FIELDS_MAX]


def _differences(was: Any, became: Any, prefix: str) -> Iterator[str]:
    for field in was.DESCRIPTOR.fields:
        name = field.name
        if name in _NO_CHANGE or getattr(was, name) == getattr(became, name):
            continue
        if _is_message(field) and not field.is_repeated:
            yield from _differences(getattr(was, name), getattr(became, name), f"{prefix}{name}.")
        else:
            yield prefix + name


def _secrets_set(request: Message) -> Iterator[str]:
    """Paths of the secrets that a request sets, as its mask writes them: within the resource that it holds."""
    for field, value in request.ListFields():
        if is_secret(field):
            yield field.name
        elif _is_message(field) and not field.is_repeated:
            yield from _secrets_in(value, "")


def _secrets_in(message: Message, prefix: str) -> Iterator[str]:
    for field, value in message.ListFields():
        if is_secret(field):
            yield prefix + field.name
        elif _is_message(field) and not field.is_repeated:
            yield from _secrets_in(value, f"{prefix}{field.name}.")


def _text(message: Message, without: frozenset[str] = frozenset()) -> str:
    found = MessageToDict(redacted(message), preserving_proto_field_name=True)
    return json.dumps(
        {name: value for name, value in found.items() if name not in without}, ensure_ascii=False
    )


def _bounded(text: str) -> str:
    raw = text.encode()
    return text if len(raw) <= TEXT_BYTES_MAX else raw[:TEXT_BYTES_MAX].decode(errors="ignore")


def _counts(message: Message) -> dict[str, Any]:
    """How many items each list has, by their status where they have one; and the single values beside them."""
    counts: dict[str, Any] = {}
    for field, value in redacted(message).ListFields():
        if field.name in _FROM_REQUESTS:
            continue
        if field.is_repeated:
            counts[field.name] = _statuses(field, value)
        elif field.message_type is None and len(counts) < _SCALARS_MAX:
            counts[field.name] = value if isinstance(value, int | float | bool) else str(value)[:200]
    return counts


def _statuses(field: FieldDescriptor, items: Sequence[Any]) -> Any:
    status = field.message_type.fields_by_name.get("status") if field.message_type is not None else None
    if status is None or status.enum_type is None:
        return len(items)
    names = status.enum_type.values_by_number
    found = Counter([item.status for item in items])
    return {names[each].name if each in names else str(each): count for each, count in found.items()}
