"""Spoils one to three things of a good request, as a message or as bytes."""

import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tests.fuzz import traps
from tests.fuzz.pools import Pools
from tests.fuzz.rpcs import class_of
from tests.fuzz.valid import INTS, Maker

SHARP: Final = 0.5


@dataclass(frozen=True)
class Place:
    """A field of a message within a request."""

    holder: Any
    field: FieldDescriptor
    path: str

    @property
    def is_set(self) -> bool:
        """Whether it holds anything but its default."""
        if self.field.is_repeated:
            return len(getattr(self.holder, self.field.name)) > 0
        if self.field.has_presence:
            return bool(self.holder.HasField(self.field.name))
        return bool(getattr(self.holder, self.field.name))


def places(message: Message, path: str = "", depth: int = 0) -> Iterator[Place]:
    """All fields of a message and of those within it, also those that are not set."""
    form: Any = message.DESCRIPTOR
    for described in form.fields:
        here = f"{path}{described.name}"
        yield Place(message, described, here)
        if described.message_type is None or depth > 8:
            continue
        if described.message_type.GetOptions().map_entry:
            continue
        if described.is_repeated:
            for index, each in enumerate(getattr(message, described.name)):
                if index < 3:
                    yield from places(each, f"{here}[{index}].", depth + 1)
        elif message.HasField(described.name):
            yield from places(getattr(message, described.name), f"{here}.", depth + 1)


class Mutator:
    """Spoils messages. Each change is described in a few words."""

    def __init__(self, rng: random.Random, maker: Maker, own: Pools, foreign: Pools) -> None:
        self._rng = rng
        self._maker = maker
        self._own = own
        self._foreign = foreign

    def spoil(self, request: Message) -> list[str]:
        """One to three changes, in place; says which. Half of the time it is one of those that hurt most."""
        if self._rng.random() < SHARP and (place := self._any(places(request))):
            return [f"{place.path} {self._sharpen(place)}"]
        said = []
        for _ in range(self._rng.choice((1, 1, 1, 2, 3))):
            found = list(places(request))
            if not found:
                return ["nothing to spoil"]
            living = [place for place in found if place.is_set]
            place = self._rng.choice(living if living and self._rng.random() < 0.75 else found)
            said.append(f"{place.path} {self._change(place)}")
        return said

    def _any(self, found: Iterator[Place]) -> Place | None:
        """Each field is as likely as any other, however often it is there."""
        by_field: dict[str, list[Place]] = {}
        for place in found:
            by_field.setdefault(place.field.full_name, []).append(place)
        return self._rng.choice(by_field[self._rng.choice(list(by_field))]) if by_field else None

    def _sharpen(self, place: Place) -> str:
        form, kind = place.field.message_type, place.field.cpp_type
        if form is not None and not place.field.is_repeated:
            return self._change_message(place)
        if place.field.is_repeated:
            return self._change_list(place)
        value: Any = None
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            value = self._rng.choice((999, -1, 2**31 - 1, -(2**31)))
        elif place.field.type == FieldDescriptor.TYPE_STRING and self._rng.random() < 0.5:
            value = self._rng.choice((f"{traps.CANARY}\0b", "\0", str(uuid.UUID(int=0)) + "\0", "a" * 5_000))
        elif kind in INTS:
            low, high = INTS[kind]
            value = self._rng.choice((low, high, max(-1, low), 0))
        if value is None:
            return self._change(place)
        setattr(place.holder, place.field.name, value)
        return f"sharp {str(value)[:40]!r}"

    def _change(self, place: Place) -> str:
        if self._rng.random() < 0.08:
            place.holder.ClearField(place.field.name)
            return "cleared"
        if place.field.is_repeated:
            return self._change_list(place)
        if place.field.message_type is not None:
            return self._change_message(place)
        value, what = self.odd(place.field)
        setattr(place.holder, place.field.name, value)
        return what

    # ---- single values

    def odd(self, described: FieldDescriptor) -> tuple[Any, str]:
        """A value that is hardly right, and what it is."""
        kind = described.cpp_type
        if described.type == FieldDescriptor.TYPE_BYTES:
            return self._odd_bytes(), "odd bytes"
        if kind == FieldDescriptor.CPPTYPE_STRING:
            return self._odd_text(described)
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return self._rng.random() < 0.5, "a flag"
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            assert described.enum_type is not None
            known = [value.number for value in described.enum_type.values]
            number = self._rng.choice((*traps.ENUMS, max(known) + 1, *known))
            return number, f"enum {number}"
        if kind in INTS:
            number = traps.number(self._rng, *INTS[kind])
            return number, f"number {number}"
        value = self._rng.choice(traps.FLOATS)
        return value, f"number {value}"

    def _odd_text(self, described: FieldDescriptor) -> tuple[str, str]:
        name = described.name
        if name == "page_token":
            return self._odd_token(), "a tampered token"
        if name.endswith(("_id", "_ids", "_key", "key", "etag")) and self._rng.random() < 0.7:
            return self._odd_id(described)
        text = traps.text(self._rng)
        return text, f"text of {len(text)}: {text[:12]!r}"

    def _odd_id(self, described: FieldDescriptor) -> tuple[str, str]:
        foreign = self._foreign.values_of(described)
        if foreign and self._rng.random() < 0.5:
            return self._rng.choice(foreign), "another team's"
        known = self._own.values_of(described)
        kind = self._rng.randrange(5)
        if kind == 0 and known:
            return self._rng.choice(known).upper(), "in capitals"
        if kind == 1:
            others = sorted(name for name, values in self._own.values.items() if values)
            if others:
                return self._rng.choice(self._own.values[self._rng.choice(others)]), "of another kind"
        if kind == 2:
            text = traps.text(self._rng)
            return text, f"text of {len(text)}: {text[:12]!r}"
        return str(uuid.UUID(int=self._rng.getrandbits(128))), "of nothing"

    def _odd_token(self) -> str:
        known = [token for requests in self._own.tokens.values() for token in requests]
        if not known or self._rng.random() < 0.2:
            return traps.text(self._rng)
        token: str = getattr(self._rng.choice(known), "page_token", "")
        if not token or self._rng.random() < 0.4:
            return token
        at = self._rng.randrange(len(token))
        return self._rng.choice(
            (token[:at] + "A" + token[at + 1 :], token[:at], token + "=", token + token, token.swapcase())
        )

    def _odd_bytes(self) -> bytes:
        kind = self._rng.randrange(7)
        if kind == 0:
            return b""
        if kind == 1:
            return self._rng.randbytes(self._rng.choice((1, 16, 1_000, 100_000)))
        if kind == 2:
            return b"member_id,points\n" + b'"' + b"x" * 200_000
        if kind == 3:
            return b"member_id,points\n" + b"100,5\n" * self._rng.choice((10, 1_000, 100_001, 300_000))
        if kind == 4:
            return b",".join([b"member_id"] * 5_000) + b"\n"
        if kind == 5:
            rows = (traps.text(self._rng)[:500] for _ in range(5))
            return "\n".join(("member_id,points,note", *(f"100,{row},{row}" for row in rows))).encode()
        return "member_id,points\n100,5\n".encode(self._rng.choice(("utf-16", "utf-32", "big5", "utf-8-sig")))

    # ---- messages

    def _change_message(self, place: Place) -> str:
        part = getattr(place.holder, place.field.name)
        form = part.DESCRIPTOR
        if form.full_name == "google.protobuf.Timestamp":
            part.seconds, part.nanos = self._rng.choice(traps.SECONDS), self._rng.choice(traps.NANOS)
            return f"time {part.seconds} s {part.nanos} ns"
        if form.full_name == "google.protobuf.Duration":
            part.seconds, part.nanos = self._rng.choice(traps.SPANS), self._rng.choice(traps.NANOS)
            return f"span {part.seconds} s {part.nanos} ns"
        if form.full_name == "google.protobuf.FieldMask":
            part.paths.extend(self._rng.sample(traps.MASKS, k=self._rng.randint(1, 3)))
            return "odd mask"
        if self._rng.random() < 0.4 and (deep := self._deepen(place)):
            return deep
        part.CopyFrom(class_of(form)() if self._rng.random() < 0.4 else self._maker.message(form, 3))
        return "another message"

    def _deepen(self, place: Place) -> str:
        """Puts a message into itself, as deep as it may be; empty for types that cannot hold themselves."""
        part = getattr(place.holder, place.field.name)
        way = _way_back(part.DESCRIPTOR)
        if way is None:
            return ""
        depth = self._rng.choice(traps.DEPTHS)
        data = part.SerializeToString()
        for _ in range(depth):
            for described in reversed(way):
                data = _tagged(described.number, data)
            if len(data) > 500_000:
                break
        try:
            # The reading of bytes that are nested too deep fails here as it does there.
            part.MergeFromString(data)
        except Exception:  # noqa: BLE001 - protobuf's own kinds differ by implementation
            return ""
        return f"{depth} deep"

    # ---- lists

    def _change_list(self, place: Place) -> str:
        items = getattr(place.holder, place.field.name)
        form = place.field.message_type
        if form is not None and form.GetOptions().map_entry:
            return self._change_map(items, form)
        if self._rng.random() < 0.3 and len(items):
            return self._change_item(place, items)
        return self._lengthen(place, items)

    def _change_item(self, place: Place, items: Any) -> str:
        if place.field.message_type is not None:
            items.add()
            return "an empty item more"
        index = self._rng.randrange(len(items))
        items[index], what = self.odd(place.field)
        return f"[{index}] {what}"

    def _lengthen(self, place: Place, items: Any) -> str:
        huge = self._rng.random() < 0.03
        count = self._rng.choice(traps.HUGE_COUNTS if huge else traps.COUNTS)
        if place.field.message_type is not None:
            item = items[0] if len(items) else self._maker.message(place.field.message_type, 4)
            if self._rng.random() < 0.2:
                item = type(item)()
            count = min(count, max(2, 3_000_000 // max(1, item.ByteSize())))
            items.extend([item] * count)
            return f"{count} items more"
        same = self._rng.random() < 0.5
        value = self._maker.scalar(place.field, place.holder)
        made = (
            [value] * count
            if same
            else [self._maker.scalar(place.field, place.holder) for _ in range(min(count, 5_000))]
        )
        items.extend(made)
        return f"{len(made)} values more"

    def _change_map(self, held: Any, form: Any) -> str:
        key = form.fields_by_name["key"]
        if key.cpp_type != FieldDescriptor.CPPTYPE_STRING:
            return "left"
        for _ in range(self._rng.choice((1, 1, 101, 1_001))):
            name = traps.text(self._rng)[:2_000] if self._rng.random() < 0.5 else self._maker.request_id()
            if form.fields_by_name["value"].message_type is not None:
                held[name].CopyFrom(self._maker.message(form.fields_by_name["value"].message_type, 4))
            else:
                held[name] = self.odd(form.fields_by_name["value"])[0]
        return "odd keys"


def _way_back(form: Any, seen: tuple[Any, ...] = ()) -> list[FieldDescriptor] | None:
    """Fields that lead from a type to itself, the shortest way of a few steps."""
    start = seen[0] if seen else form
    if len(seen) > 3:
        return None
    best: list[FieldDescriptor] | None = None
    for described in form.fields:
        inner = described.message_type
        if inner is None or inner.GetOptions().map_entry:
            continue
        if inner is start or inner.full_name == start.full_name:
            return [described]
        if inner not in seen and inner is not form:
            rest = _way_back(inner, (*(seen or (form,)), inner))
            if rest is not None and (best is None or len(rest) + 1 < len(best)):
                best = [described, *rest]
    return best


# ---- bytes


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def _tagged(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))] if data else b"\x0a"


def _random(rng: random.Random, data: bytes) -> bytes:
    return rng.randbytes(rng.choice((1, 2, 7, 100, 5_000)))


def _flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(rng.choice((1, 1, 3, 10))):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _bad_utf8(rng: random.Random, data: bytes) -> bytes:
    odd = rng.choice(
        (b"\xff\xfe", b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80", b"caf\xe9")
    )
    return data + _tagged(rng.randint(1, 6), odd)


def _wrong_types(rng: random.Random, data: bytes) -> bytes:
    number = rng.randint(1, 12)
    return data + rng.choice(
        (
            _varint(number << 3) + _varint(rng.getrandbits(64)),
            _varint(number << 3 | 1) + rng.randbytes(8),
            _varint(number << 3 | 5) + rng.randbytes(4),
            _varint(number << 3 | 3) + _varint(number << 3 | 4),
            _varint(number << 3 | 6),
            _varint(number << 3) + b"\xff" * 11,
            b"\x00",
            _varint(number << 3 | 2) + _varint(2**32),
            _varint(2**32 << 3 | 2) + b"\x00",
        )
    )


def _unknown(rng: random.Random, data: bytes) -> bytes:
    return data + _tagged(
        rng.choice((999, 18_999, 536_870_911)), rng.randbytes(rng.choice((1, 1_000, 200_000)))
    )


def _nested(rng: random.Random, data: bytes) -> bytes:
    number, inner = rng.randint(1, 8), b""
    for _ in range(rng.choice((100, 1_000, 10_000))):
        inner = _tagged(number, inner)
    return inner


def _many_empty(rng: random.Random, data: bytes) -> bytes:
    return data + bytes((rng.randint(1, 12) << 3 | 2, 0)) * rng.choice((1_000, 50_000, 500_000))


def _twice(rng: random.Random, data: bytes) -> bytes:
    return data + data


def _too_large(rng: random.Random, data: bytes) -> bytes:
    return data + _tagged(rng.randint(1, 6), b"a" * rng.choice((1_000_000, 4_200_000, 17_000_000)))


_WIRE: Final[tuple[tuple[Callable[[random.Random, bytes], bytes], int], ...]] = (
    (_cut, 20),
    (_random, 15),
    (_flipped, 25),
    (_bad_utf8, 15),
    (_wrong_types, 20),
    (_unknown, 6),
    (_nested, 8),
    (_many_empty, 4),
    (_twice, 10),
    (_too_large, 2),
)


def spoil_bytes(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    """Bytes that are hardly a message, and how they were made."""
    (change,) = rng.choices([change for change, _ in _WIRE], weights=[weight for _, weight in _WIRE])
    return change(rng, data), f"bytes:{change.__name__.strip('_')}"
