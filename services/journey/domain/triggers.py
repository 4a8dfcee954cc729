"""Events that start a journey, are waited for in one, or are its goal."""

from __future__ import annotations

import msgspec

from libs.common.audience.expressions import AttributeType


class CheckoutTrigger(msgspec.Struct, frozen=True, tag="checkout"):
    """An order; conditions on an item's name and on the amount, both optional.

    `item_match` is `is` or `contains` over `item_names`; letter case and width do not count. Bounds are millionths of
    the currency's major unit.
    """

    item_match: str = ""
    item_names: tuple[str, ...] = ()
    at_least: int | None = None
    at_most: int | None = None
    currency: str = ""


class ContactTrigger(msgspec.Struct, frozen=True, tag="contact"):
    """The customer newly joined a target channel."""


class TagTrigger(msgspec.Struct, frozen=True, tag="tag"):
    """One of these tags was newly applied; letter case and width do not count."""

    tags: tuple[str, ...]


class ValueTest(msgspec.Struct, frozen=True):
    """A test of an attribute's value, as in audiences. `operator` has the numbers of the contract; `values` are as they
    were written, one for all but a text."""

    kind: AttributeType
    operator: int
    values: tuple[str, ...]
    upper: str = ""
    """For BETWEEN."""


class AttributeTrigger(msgspec.Struct, frozen=True, tag="attribute"):
    """One of these attributes got a new value, one of `any_of` or one that meets `test`, if either is given."""

    keys: tuple[str, ...]
    any_of: tuple[str, ...] = ()
    test: ValueTest | None = None


class SystemTriggerKind(msgspec.Struct, frozen=True, tag="system"):
    """Started through the API only."""


class ButtonReply(msgspec.Struct, frozen=True):
    """A button of a message of the enrolment: of one node, with one of some data; both optional."""

    message_node_id: str = ""
    data: tuple[str, ...] = ()


class ReplyEvent(msgspec.Struct, frozen=True, tag="reply"):
    """The customer wrote on a target channel, or pressed a button there; it starts no journey.

    At most one of `texts` and `button` is set; neither: any reply. `text_match` is `is` or `contains` over `texts`;
    letter case and width do not count.
    """

    text_match: str = ""
    texts: tuple[str, ...] = ()
    button: ButtonReply | None = None


Trigger = CheckoutTrigger | ContactTrigger | TagTrigger | AttributeTrigger | SystemTriggerKind | ReplyEvent


class Wait(msgspec.Struct, frozen=True, tag="wait"):
    """Waits for an event, for so many seconds at most. A branch that is None ends the journey."""

    event: Trigger | None
    seconds: int
    happened: str | None
    timed_out: str | None
    counts_earlier: bool = False
    same_subject: bool = False
