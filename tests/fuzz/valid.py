"""Makes requests that their contract allows: rules of `buf.validate` are kept, ids are of the world, what was seen in
answers is used again."""

import random
import uuid
from collections.abc import Callable
from typing import Any, Final

from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from libs.common.errors import DomainError
from libs.common.rpc.validation import check_of
from omnijourney.common.v1 import options_pb2
from tests.fuzz.furnish import FILE
from tests.fuzz.pools import Pools, own_id, own_id_field
from tests.fuzz.rpcs import Rpc, class_of

_VALIDATE: Final[Any] = _validate_pb2  # it has no types
DEPTH_MAX: Final = 7
TRIES: Final = 4
KNOWN_SHARE: Final = 0.93
NOW_S: Final = 1_790_000_100
"""About when the world is: some day of 2026, so that nothing depends on the day of the run."""

INTS: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_WORDS: Final = ("alpha", "beta", "gamma", "vip", "gold", "web", "thank you", "客人", "Änne", "x1")
_DECIMALS: Final = ("0", "1", "12.34", "10", "0.5", "99999", "2.5")
_DAYS: Final = ("2026-01-01", "2026-06-30", "2024-02-29", "2026-12-31")
_CSVS: Final = (
    FILE,
    FILE,
    b"\xef\xbb\xbfmember_id,points,note\r\n100,5,hi\r\n",
    b"phone,points\n+886912345678,1\n",
    b"email,points\na@example.com,7\n",
)

_EXPECTED: Final = frozenset(
    [
        "team_id",
        "customer_id",
        "operator",
        "field",
        "figure",
        "channel",
        "nodes",
        "trigger",
        "name",
        "display_name",
        "time_zone",
        "currency_code",
    ]
)
"""Names of fields without which hardly anything is accepted, whatever their rules say."""

# Fields of texts that hold more than any text.
_FORMS: Final[dict[str, Callable[[random.Random], str]]] = {
    "currency_code": lambda rng: rng.choice(("HKD", "TWD", "USD", "JPY")),
    "time_zone": lambda rng: rng.choice(("Asia/Taipei", "UTC", "America/New_York")),
    "email": lambda rng: f"p{rng.randint(1, 999)}@example.com",
    "phone": lambda rng: f"+8869{rng.randint(10_000_000, 99_999_999)}",
    "amount": lambda rng: rng.choice(_DECIMALS),
    "points": lambda rng: rng.choice(_DECIMALS),
    "quantity": lambda rng: rng.choice(_DECIMALS),
    "value": lambda rng: rng.choice((*_DECIMALS, *_DAYS, *_WORDS)),
    "upper": lambda rng: rng.choice((*_DECIMALS, *_DAYS)),
    "date": lambda rng: rng.choice(_DAYS),
    "language": lambda rng: rng.choice(("en", "zh_TW")),
    "category": lambda rng: rng.choice(("MARKETING", "UTILITY")),
    "url": lambda rng: "https://example.com/a?b=c",
    "image_url": lambda rng: "https://example.com/a.png",
}


class Maker:
    """One case's source of values."""

    def __init__(self, rng: random.Random, own: Pools, *, known_share: float = KNOWN_SHARE) -> None:
        """`known_share`: how often an id is one that is known, where one is."""
        self._known_share = known_share
        self.rng = rng
        self._own = own

    def request(self, rpc: Rpc) -> Message:
        """A request that passes the contract's own check, if one of a few tries does."""
        check = check_of(rpc.full_name)
        request = self._request(rpc)
        for _ in range(TRIES):
            try:
                if check is not None:
                    check(request)
                break
            except DomainError:
                request = self._request(rpc)
        return request

    def is_needed(self, described: FieldDescriptor) -> bool:
        """Whether a request without it is refused."""
        return bool(_rules(described).required) or _needed(described)

    def knows(self, described: FieldDescriptor) -> bool:
        """Whether it names things that were seen."""
        return described.name.endswith(("_id", "_ids", "key")) and bool(self._own.values_of(described))

    def request_id(self) -> str:
        """A new one."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def _request(self, rpc: Rpc) -> Message:
        paged = self._own.tokens.get(rpc.full_name)
        if paged and self.rng.random() < 0.15:
            return _copy(self.rng.choice(paged))
        made = self.message(rpc.method.input_type, 0)
        self._set_own_id(rpc, made)
        self._set_etag(made)
        self._set_mask(made)
        return made

    def _set_own_id(self, rpc: Rpc, request: Message) -> None:
        """Of the resource within: a known one to be changed, a new one or none to be made."""
        for _, part in request.ListFields():
            name = own_id_field(part.DESCRIPTOR) if isinstance(part, Message) else ""
            if not name or not rpc.method.name.startswith(("Create", "Update")):
                continue
            known = self._own.values_of(part.DESCRIPTOR.fields_by_name[name])
            if rpc.method.name.startswith("Update") and known:
                setattr(part, name, self.rng.choice(known))
            elif self.rng.random() < 0.9:
                setattr(part, name, "")
                if name in ("key", "shop_id"):
                    setattr(part, name, f"n{self.rng.randint(0, 10**9)}")
                if "name" in part.DESCRIPTOR.fields_by_name:
                    part.name = f"N {self.rng.randint(0, 10**9)}"

    def _set_mask(self, request: Any) -> None:
        """Names of what the resource beside the mask has set."""
        if "update_mask" not in request.DESCRIPTOR.fields_by_name:
            return
        request.ClearField("update_mask")
        parts = [part for f, part in request.ListFields() if isinstance(part, Message)]
        names = [
            f.name
            for part in parts
            for f, _ in part.ListFields()
            if not f.name.endswith(("_id", "_time", "etag"))
        ]
        if names and self.rng.random() < 0.6:
            request.update_mask.paths.extend(
                self.rng.sample(names, k=self.rng.randint(1, min(2, len(names))))
            )

    def _set_etag(self, request: Message) -> None:
        """Most times the present etag of what the request names."""
        if "etag" not in request.DESCRIPTOR.fields_by_name:
            return
        parts = [value for _, value in request.ListFields() if isinstance(value, Message)]
        named = [value for _, value in request.ListFields() if isinstance(value, str)]
        named += [own_id(part) for part in parts]
        known = [self._own.etags[name] for name in named if name in self._own.etags]
        setattr(request, "etag", known[0] if known and self.rng.random() < 0.7 else "")  # noqa: B010

    def message(self, form: Descriptor, depth: int) -> Message:
        """A message of a type."""
        known = self._own.messages.get(form.full_name)
        if known and depth and self.rng.random() < 0.5:
            return _copy(self.rng.choice(known))
        made = class_of(form)()
        special = _SPECIAL.get(form.full_name)
        if special is not None:
            special(self, made)
            return made
        chosen = {
            oneof.name: self.rng.choice(_usable(oneof.fields))
            for oneof in form.oneofs
            if _usable(oneof.fields)
        }
        for described in form.fields:
            if _is_unimplemented(described):
                continue
            oneof = described.containing_oneof
            if oneof is not None:
                if chosen.get(oneof.name) is described:
                    self.fill(made, described, depth)
            elif self._wanted(described, depth):
                self.fill(made, described, depth)
        return made

    def _wanted(self, described: FieldDescriptor, depth: int) -> bool:
        if _rules(described).required or _needed(described):
            return True
        if described.name == "etag":
            return False
        if described.message_type is not None and depth >= DEPTH_MAX:
            return False
        return self.rng.random() < (0.7 if depth < 2 else 0.55)

    def fill(self, made: Message, described: FieldDescriptor, depth: int) -> None:
        """Sets a field."""
        if described.is_repeated:
            self._fill_list(made, described, depth)
        elif described.message_type is not None:
            # Types that hold themselves end somewhere.
            part = self.message(described.message_type, depth + 1) if depth < DEPTH_MAX else None
            getattr(made, described.name).CopyFrom(part or class_of(described.message_type)())
            self._place(getattr(made, described.name), described.name)
        else:
            setattr(made, described.name, self.scalar(described, made))

    def _place(self, part: Any, name: str) -> None:
        """Ranges end after they begin; nobody waits for long."""
        form = part.DESCRIPTOR.full_name
        if form == "google.protobuf.Timestamp":
            part.seconds += {"start": -180, "end": 30, "expire": 300}.get(
                name.split("_", maxsplit=1)[0], 0
            ) * 86_400
        elif form == "google.protobuf.Duration" and name == "wait":
            part.seconds, part.nanos = 0, self.rng.choice((0, 50_000_000))

    def _fill_list(self, made: Message, described: FieldDescriptor, depth: int) -> None:
        rules = _rules(described).repeated
        least = max(rules.min_items, 1 if _needed(described) else 0)
        count = max(least, self.rng.choice((0, 1, 1, 1, 2, 2, 3)))
        if described.message_type is not None and described.message_type.GetOptions().map_entry:
            self._fill_map(made, described, count, depth)
            return
        items = getattr(made, described.name)
        for _ in range(count if depth < DEPTH_MAX else least):
            if described.message_type is not None:
                items.add().CopyFrom(self.message(described.message_type, depth + 1))
            else:
                items.append(self.scalar(described, made))

    def _fill_map(self, made: Message, described: FieldDescriptor, count: int, depth: int) -> None:
        assert described.message_type is not None
        key, value = (described.message_type.fields_by_name[name] for name in ("key", "value"))
        held = getattr(made, described.name)
        for _ in range(count):
            made_key = self.scalar(key, made)
            if value.message_type is not None:
                held[made_key].CopyFrom(self.message(value.message_type, depth + 1))
            else:
                held[made_key] = self.scalar(value, made)

    def scalar(self, described: FieldDescriptor, made: Message) -> Any:
        """One value of a field that holds no message."""
        kind = described.cpp_type
        if kind == FieldDescriptor.CPPTYPE_STRING:
            if described.type == FieldDescriptor.TYPE_BYTES:
                if described.name.endswith("sha256"):
                    return self.rng.randbytes(32)
                return self.rng.choice(_CSVS) if "csv" in described.name else self.rng.randbytes(16)
            return self._text(described, made)
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return self.rng.random() < 0.5
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            assert described.enum_type is not None
            numbers = [value.number for value in described.enum_type.values]
            return self.rng.choice(numbers[1:] or numbers)
        if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
            return self.rng.choice((0.0, 1.0, 60.0))
        return self._int(described)

    def _int(self, described: FieldDescriptor) -> int:
        low, high = INTS[described.cpp_type]
        rules = getattr(
            _rules(described), "int32" if described.cpp_type == FieldDescriptor.CPPTYPE_INT32 else "int64"
        )
        least = rules.gte if rules.HasField("gte") else rules.gt + 1 if rules.HasField("gt") else 0
        if self.rng.random() < 0.8:
            least = max(1, least)
        most = rules.lte if rules.HasField("lte") else rules.lt - 1 if rules.HasField("lt") else high
        if "micros" in described.name:
            return self.rng.choice((0, 1_000_000, 12_340_000, 990_000_000))
        return max(
            low,
            min(high, self.rng.randint(least, max(least, min(most, least + self.rng.choice((1, 5, 100)))))),
        )

    def _text(self, described: FieldDescriptor, made: Message) -> str:
        name, rules = described.name, _rules(described).string
        if name == "request_id":
            return self.request_id()
        if name in ("page_token", "etag"):
            return ""
        known = self._own.values_of(described)
        wanted = self._known_share if name.endswith(("_id", "_ids", "key", "keys")) else 0.3
        if known and self.rng.random() < wanted:
            return self.rng.choice(known)
        if rules.uuid or (name.endswith("_id") and not rules.max_len):
            return self.request_id()
        if name.endswith("_date"):
            return self.rng.choice(_DAYS)
        form = _FORMS.get(name)
        text = form(self.rng) if form else f"{self.rng.choice(_WORDS)}{self.rng.randint(0, 999)}"
        return text[: rules.max_len] if rules.max_len else text


def _copy(message: Message) -> Message:
    made = type(message)()
    made.CopyFrom(message)
    return made


def _rules(described: FieldDescriptor) -> Any:
    return described.GetOptions().Extensions[_VALIDATE.field]


def _needed(described: FieldDescriptor) -> bool:
    rules = _rules(described)
    return bool(
        rules.string.min_len
        or rules.repeated.min_items
        or (rules.string.uuid and rules.ignore == _VALIDATE.IGNORE_UNSPECIFIED)
        or rules.enum.not_in
        or described.name in _EXPECTED
    )


def _is_unimplemented(described: FieldDescriptor) -> bool:
    return bool(described.GetOptions().Extensions[options_pb2.unimplemented])


def _usable(fields: Any) -> list[FieldDescriptor]:
    return [described for described in fields if not _is_unimplemented(described)]


def _timestamp(maker: Maker, made: Any) -> None:
    made.seconds = NOW_S - 900 * maker.rng.randint(0, 90 * 96)


def _duration(maker: Maker, made: Any) -> None:
    made.seconds = maker.rng.choice((0, 60, 3_600, 86_400))


_SPECIAL: Final[dict[str, Callable[[Maker, Any], None]]] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "google.protobuf.FieldMask": lambda maker, made: None,
}
