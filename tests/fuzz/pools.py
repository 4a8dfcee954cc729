"""What a world is known to hold: ids by the name of their field, whole messages by type, etags, page tokens."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.message import Message

KEPT: Final = 40
"""Values of a kind; the first ones stay."""
MESSAGES_KEPT: Final = 12

_ALIASES: Final = {
    "account_id": ("channel_account_id",),
    "template_id": ("message_template_id",),
    "audience_id": ("saved_audience_id",),
    "import_id": ("points_import_id",),
    "from_customer_id": ("customer_id",),
    "into_customer_id": ("customer_id",),
    "merged_into": ("customer_id",),
    "node_id": ("node_id", "next_node_id"),
}
_NOT_KEPT: Final = frozenset({"request_id", "next_page_token", "page_token", "etag"})


@dataclass
class Pools:
    """Grows by `learn`; the order of what is in it follows from the order of the answers."""

    values: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    messages: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    etags: dict[str, str] = field(default_factory=dict)
    """By id of the resource."""
    pinned: frozenset[str] = frozenset({"team_id"})
    """Names of fields whose values are not learned."""
    tokens: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    """By RPC: requests for a second page, as they are good."""

    hidden: frozenset[str] = frozenset()
    """Values that are not kept: ids of what the cases themselves need."""

    def begin(self, known: Mapping[str, Sequence[str]]) -> None:
        """Forgets everything but what is known for certain."""
        for pool in (self.values, self.messages, self.etags, self.tokens):
            pool.clear()
        self.values.update({name: list(values) for name, values in known.items()})

    def learn(self, message: Message) -> None:
        """Takes what an answer shows."""
        self._learn(message)
        etag = getattr(message, "etag", "")
        if isinstance(etag, str) and etag:
            self.etags[own_id(message)] = etag

    def _learn(self, message: Message) -> None:
        for described, value in message.ListFields():
            for each in _singles(described, value):
                if isinstance(each, Message):
                    self._keep_message(each)
                    self.learn(each)
                elif isinstance(each, str) and each and described.name not in _NOT_KEPT:
                    self._keep(pool_of(described), each)

    def _keep(self, name: str, value: str) -> None:
        kept = self.values[name]
        if name in self.pinned or value in self.hidden or value in kept:
            return
        if len(value) <= 300 and len(kept) < KEPT:
            kept.append(value)

    def _keep_message(self, message: Message) -> None:
        kept = self.messages[message.DESCRIPTOR.full_name]
        if len(kept) < MESSAGES_KEPT and message.ByteSize() < 20_000:
            kept.append(message)

    def values_of(self, described: Any) -> list[str]:
        """Values that a field may hold."""
        name = pool_of(described)
        singular = name.removesuffix("s") if name.endswith("_ids") else name
        found = self.values.get(singular, [])
        for alias in _ALIASES.get(singular, ()):
            found = found or self.values.get(alias, [])
        return found


def pool_of(described: Any) -> str:
    """Name of a field's pool: a `key` is an attribute's, others are called after their type."""
    if described.name != "key" or "Attribute" in described.containing_type.name:
        return str(described.name)
    return f"{described.containing_type.name}.key"


def own_id_field(form: Any) -> str:
    """Name of the field that holds a resource's own id: `Coupon.coupon_id`; empty where there is none."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", form.name).lower() + "_id"
    if name in form.fields_by_name:
        return name
    return "key" if form.name == "Attribute" else ""


def own_id(message: Message) -> str:
    """A resource's own id, empty if it has none."""
    return str(getattr(message, own_id_field(message.DESCRIPTOR) or "-", ""))


def _singles(described: Any, value: Any) -> Iterator[Any]:
    if described.message_type is not None and described.message_type.GetOptions().map_entry:
        yield from value.values()
    elif described.is_repeated:
        yield from value
    else:
        yield value
