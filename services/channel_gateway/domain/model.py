"""What the gateway speaks of: accounts, content, sends and their outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from services.channel_gateway.domain.content import Content

SENDS_MAX: Final = 500
"""Most sends of one call; the knee of a batch."""
NODE_ID_MAX: Final = 200
"""Most characters of a node's id."""


class Channel(IntEnum):
    """A messaging channel; numbers of `common.v1.Channel`."""

    LINE = 1
    WHATSAPP = 2
    MESSENGER = 3
    INSTAGRAM = 4


class AwaitedSend(NamedTuple):
    """A send whose outcome an enrolment awaits."""

    team_id: UUID
    customer_id: UUID
    effect_key: UUID
    after_number: int
    """The customer has taken the gateway's mail up to this number."""


class SendState(IntEnum):
    """Where a send stands; numbers of the contract, final ones also those of mail."""

    SENT = 1
    SKIPPED = 2
    FAILED = 3
    DEFERRED = 4
    UNKNOWN = 5
    EXHAUSTED = 6
    CANCELLED = 7
    ACCEPTED = 8
    IN_FLIGHT = 9
    """Accepted and on the wire, or about to be: recorded before the request leaves. Callers see it as accepted."""


UNSETTLED: Final = (SendState.ACCEPTED, SendState.IN_FLIGHT)
"""States that still hold their places."""
PLACE_KEPT: Final = frozenset({SendState.SENT, SendState.UNKNOWN})
"""Outcomes that keep the places they reserved (C-02)."""


class Reason(StrEnum):
    """Why a send ended as it did, where the gateway itself decides. The channels' own codes come beside these."""

    LINE_CAP_REACHED = "LINE_CAP_REACHED"
    WHATSAPP_CAP_REACHED = "WHATSAPP_CAP_REACHED"
    MESSENGER_CAP_REACHED = "MESSENGER_CAP_REACHED"
    INSTAGRAM_CAP_REACHED = "INSTAGRAM_CAP_REACHED"
    LINE_QUOTA_EXHAUSTED = "LINE_QUOTA_EXHAUSTED"
    WHATSAPP_BALANCE_EXHAUSTED = "WHATSAPP_BALANCE_EXHAUSTED"
    WALLET_CURRENCY_MISMATCH = "WALLET_CURRENCY_MISMATCH"
    BOT_MODULE_MISSING = "BOT_MODULE_MISSING"
    WHATSAPP_TEMPLATE_MISSING = "WHATSAPP_TEMPLATE_MISSING"
    UNBOUND = "UNBOUND"
    BLOCKED = "BLOCKED"
    OUTSIDE_WINDOW = "OUTSIDE_WINDOW"
    OPTED_OUT = "OPTED_OUT"
    META_LIMITED = "META_LIMITED"
    ACCOUNT_MISSING = "ACCOUNT_MISSING"
    ACCOUNT_DISABLED = "ACCOUNT_DISABLED"
    ACCOUNT_UNUSABLE = "ACCOUNT_UNUSABLE"
    CONTENT_INVALID = "CONTENT_INVALID"
    NOTHING_TO_SEND = "NOTHING_TO_SEND"
    TEMPLATE_PARAMETERS = "TEMPLATE_PARAMETERS"
    TEMPLATE_NOT_APPROVED = "TEMPLATE_NOT_APPROVED"
    CHANNEL_UNSUPPORTED = "CHANNEL_UNSUPPORTED"
    KEY_REUSED = "KEY_REUSED"
    INVALID_FIELDS = "INVALID_FIELDS"
    DO_NOT_DISTURB = "DO_NOT_DISTURB"
    FREQUENCY_CAP_REACHED = "FREQUENCY_CAP_REACHED"
    JOURNEY_STOPPED = "JOURNEY_STOPPED"
    ENROLMENT_ENDED = "ENROLMENT_ENDED"
    RETRIES_EXHAUSTED = "RETRIES_EXHAUSTED"
    NO_ANSWER = "NO_ANSWER"
    SENDER_LOST = "SENDER_LOST"
    INTERNAL = "INTERNAL"
    """A fault of ours, or of what is stored; it is in the log."""


CAP_REASONS: Final = {
    Channel.LINE: Reason.LINE_CAP_REACHED,
    Channel.WHATSAPP: Reason.WHATSAPP_CAP_REACHED,
    Channel.MESSENGER: Reason.MESSENGER_CAP_REACHED,
    Channel.INSTAGRAM: Reason.INSTAGRAM_CAP_REACHED,
}


class AccountState(IntEnum):
    """Whether sends may use an account; numbers of the contract."""

    ACTIVE = 1
    DISABLED = 2
    UNUSABLE = 3


class ConnectionKind(StrEnum):
    """How an account is reached; the names of the contract's `connection`."""

    LINE = "line"
    WHATSAPP = "whatsapp"
    MESSENGER = "messenger"
    INSTAGRAM = "instagram"
    SINK = "sink"


KIND_OF: Final = {
    Channel.LINE: ConnectionKind.LINE,
    Channel.WHATSAPP: ConnectionKind.WHATSAPP,
    Channel.MESSENGER: ConnectionKind.MESSENGER,
    Channel.INSTAGRAM: ConnectionKind.INSTAGRAM,
}
"""The connection that each channel needs for real sends."""


PUBLIC_NAMES: Final[Mapping[ConnectionKind, Mapping[str, str]]] = {
    ConnectionKind.LINE: {"owner_id": "channel_id", "bot_user_id": "bot_user_id"},
    ConnectionKind.WHATSAPP: {"sender_id": "phone_number_id"},
    ConnectionKind.MESSENGER: {"sender_id": "page_id"},
    ConnectionKind.INSTAGRAM: {"sender_id": "instagram_id"},
}
"""Fields of a connection that name the account for its channel, and how the contract calls them."""


class Connection(msgspec.Struct, frozen=True):
    """What an adapter needs to reach an account, secrets included. Stored as JSON."""

    kind: ConnectionKind
    sender_id: str = ""
    """Phone number id, page id or Instagram id; LINE needs none to send."""
    owner_id: str = ""
    """WhatsApp business account, LINE channel id, or page behind an Instagram account."""
    bot_user_id: str = ""
    """LINE: the `destination` of webhooks."""
    access_token: str = ""
    secrets: tuple[str, ...] = ()
    """Sign the channel's webhooks, the present one first."""
    verify_token: str = ""

    @property
    def names(self) -> Mapping[str, str]:
        """Ids that no other account of a team has, by their fields; empty ones are not known."""
        return {field: getattr(self, field) for field in PUBLIC_NAMES.get(self.kind, ())}

    def __repr__(self) -> str:
        """Without the secrets, so that no log shows them."""
        return f"Connection({self.kind}, sender_id={self.sender_id!r})"


class Account(msgspec.Struct, frozen=True):
    """One official account of a team."""

    team_id: UUID
    account_id: UUID
    channel: Channel
    display_name: str
    state: AccountState
    state_reason: str
    connection: Connection
    rate_per_second: int
    concurrency_max: int
    created_at: datetime
    updated_at: datetime
    version: int
    secrets_shut: bool = False
    """Its secrets are stored and cannot be opened here: a change that gives no others leaves them as they are."""


RATE_DEFAULTS: Final = {
    Channel.LINE: 2_000,
    Channel.WHATSAPP: 80,
    Channel.MESSENGER: 100,
    Channel.INSTAGRAM: 100,
}
"""Messages a second of an account that names no rate of its own."""
CONCURRENCY_DEFAULT: Final = 32
"""Requests on the wire at once of an account that names no number."""


class Recipient(NamedTuple):
    """Whom a send goes to, where the caller knows: a bound identity that is not blocked, and the customer's name."""

    external_id: str
    name: str


NO_JOURNEY: Final = UUID(int=0)
"""Of sends that no journey asked for, in the place of its id, and of the enrolment's."""
TEST_NODE: Final = "test"
"""In the place of the node, of those of them that a person sent as a test."""


def is_test(journey_id: UUID, node_id: str) -> bool:
    """Whether a send is a test: it counts nowhere but in quota and balance."""
    return journey_id == NO_JOURNEY and node_id == TEST_NODE


class Send(msgspec.Struct, frozen=True):
    """One visit of a message node, asked to be sent."""

    effect_key: UUID
    team_id: UUID
    customer_id: UUID
    enrolment_id: UUID
    journey_id: UUID
    node_id: str
    channel: Channel
    account_id: UUID | None
    content: Content
    cap: int | None
    not_after: datetime | None
    stop_epoch: int
    depth: int
    recipient: Recipient | None = None
    """None: segment is asked."""
    waits_for_room: bool = False
    """Where the frequency cap has none: else it is skipped."""
    trigger_data: Mapping[str, str] | None = None
    """Values for variables: what the trigger that let the customer in came with."""
    trace: bytes | None = None
    """Context of the sampled trace that it belongs to."""


class Identity(NamedTuple):
    """The customer on one account."""

    channel: int
    account_id: UUID | None
    external_id: str
    blocked: bool


class Profile(msgspec.Struct, frozen=True):
    """What is known of a customer, for addressing and filling in."""

    name: str = ""
    attributes: dict[str, str] = msgspec.field(default_factory=dict)
    identities: tuple[Identity, ...] = ()


class Balance(NamedTuple):
    """A customer's points."""

    balance: int = 0
    cumulative: int = 0


PRICE_MICROS_MAX: Final = 10**12
"""Of one message: a million units, of which millions of messages can be summed."""
WALLET_MICROS_MAX: Final = 10**18
"""Of a prepaid balance, and of a change of it."""


class Price(NamedTuple):
    """Price of one message."""

    currency: str
    micros: int


DEFAULT_PRICES: Final = {
    Channel.LINE: Price("TWD", 200_000),
    Channel.WHATSAPP: Price("HKD", 500_000),
    Channel.MESSENGER: Price("TWD", 0),
    Channel.INSTAGRAM: Price("TWD", 0),
}
"""C-50: LINE NT$0.2, WhatsApp HK$0.5, the others nothing."""


class SendAnswer(msgspec.Struct, frozen=True):
    """The answer to one send. `settled_at` is of one that was known already; `room_at`, when to ask again, of one that
    waits for room under the frequency cap, and is not stored."""

    state: SendState
    reason: str = ""
    messages: int = 0
    replayed: bool = False
    settled_at: datetime | None = None
    room_at: datetime | None = None


class Job(msgspec.Struct):
    """An accepted send, as the sender works on it. Changes only there."""

    team_id: UUID
    effect_key: UUID
    customer_id: UUID
    enrolment_id: UUID
    journey_id: UUID
    node_id: str
    channel: Channel
    account_id: UUID
    depth: int
    stop_epoch: int
    not_after: datetime | None
    recipient: str
    parts: list[bytes]
    """Request bodies, one a message; a retry sends the same bytes."""
    price: Price
    template_id: UUID | None = None
    attempts: int = 0
    """Attempts for the present message of the send."""
    began_s: float | None = None
    """Monotonic time of the first attempt; None before it."""
    parts_sent: int = 0
    messages_reported: int = 0
    """Those of them that an outcome before has reported, when the send was put off half way."""
    message_ids: list[str] = msgspec.field(default_factory=list)
    doubtful: bool = False
    """An attempt got no clear answer: the message may have left."""
    trace: bytes | None = None
    """Context of the sampled trace that it belongs to."""

    @property
    def messages(self) -> int:
        """Messages that the channel bills."""
        return len(self.parts)


class BegunSend(msgspec.Struct, frozen=True):
    """A send that was put off when some of its messages had left, and is asked for again: what left stays as it is."""

    account_id: UUID
    recipient: str
    parts: list[bytes]
    """All request bodies; none where they are not kept."""
    parts_sent: int
    message_ids: list[str]
    price: Price
    """Of each message, also of those to come."""
    doubtful: bool = False
    """Whether the first of those to come may have left, too: it has its place, and goes under the same key."""
    age_s: float = 0.0
    """Real seconds since the first attempt; 0: there was none."""


class DeliveryOutcome(msgspec.Struct, frozen=True):
    """How an accepted send was settled."""

    state: SendState
    reason: str = ""
