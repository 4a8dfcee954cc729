"""What channels tell of people and of what was sent to them: one form for all channels."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.times import in_range
from services.channel_gateway.domain.content import TemplateState
from services.channel_gateway.domain.json_faults import Fault
from services.channel_gateway.domain.receipts import ReceiptKind

ITEMS_MAX: Final = 5_000
"""Events of one body; Meta has up to 1,000."""
ID_LENGTH_MAX: Final = 200
_MS: Final = 1_000


class PreferenceSource(IntEnum):
    """Numbers of the contract's `ConsentSource`."""

    CHAT = 2
    CHANNEL = 3


class Joined(NamedTuple):
    """Somebody added the account, or came back to it."""

    external_id: str
    at: datetime
    key: str
    """Names the event on its channel: the same when the channel sends it again."""


class Left(NamedTuple):
    """Somebody blocked the account."""

    external_id: str
    at: datetime
    key: str


class Wrote(NamedTuple):
    """Somebody wrote, answered or pressed a button."""

    external_id: str
    at: datetime
    key: str
    name: str = ""
    """As the channel tells it; empty where it does not."""
    text: str = ""
    """What was written, or stands on the button; empty where it was no text."""
    button_data: str = ""
    """What the button carried that was pressed, as its author gave it."""
    effect_key: UUID | None = None
    """Of the send whose button it was, where the button says so."""
    answered_id: str = ""
    """Of the message that it answers, on the channel, where it names one."""


class Moved(NamedTuple):
    """Somebody is known on the channel by another id from now on."""

    external_id: str
    """As they were known before."""
    at: datetime
    key: str
    moved_to: str


class MessageReceipt(NamedTuple):
    """What became of a message of ours."""

    effect_key: UUID
    kind: ReceiptKind
    code: int = 0
    """The channel's, of why it failed; 0: it does not say."""


class MessageTaken(NamedTuple):
    """The channel says of a message of ours that it has it, whatever became of the answer to its request."""

    effect_key: UUID
    number: int
    """Of the send's messages, from 0."""
    message_id: str
    """On the channel; empty where it is none that can be kept."""
    external_id: str = ""
    """To whom; empty where the channel does not say, or nobody can answer."""
    sent_at: datetime | None = None
    """None: the channel does not say."""


class PageReceipt(NamedTuple):
    """What became of messages to somebody, as a page or an Instagram account is told: by their ids on the channel, or
    of all that were sent until a time."""

    external_id: str
    kind: ReceiptKind
    message_ids: tuple[str, ...] = ()
    until: datetime | None = None


class MessageFailed(NamedTuple):
    """The channel says why a message failed that it had taken: what its code says of more than the message holds."""

    at: datetime
    code: int
    effect_key: UUID | None = None
    """Of the send, where it is ours."""


class AccountRefused(NamedTuple):
    """The channel lets the account send no more."""

    at: datetime
    detail: str
    """For people."""


class AccountNotice(NamedTuple):
    """The channel warns of something about the account, or says that it is over: sending goes on."""

    at: datetime
    about: str
    """What it is about: a warning takes the place of one before, and its end ends no other."""
    detail: str
    """For people; empty: it is over."""


class Limited(NamedTuple):
    """The channel delivers somebody no marketing for now."""

    external_id: str
    at: datetime


class Preference(NamedTuple):
    """Somebody wants messages no more, or again."""

    external_id: str
    at: datetime
    wanted: bool
    source: PreferenceSource


class TemplateReport(NamedTuple):
    """The channel says of a template of the account how it stands, or that its category changed."""

    name: str
    language: str
    at: datetime
    state: TemplateState | None
    category: str
    """Empty: as it was."""
    rejected_reason: str = ""
    """Of one that is refused, as the channel names it; empty where it says none."""


Acted = Joined | Left | Wrote | Moved
"""What a person did, of which segment is told."""
OfAccount = MessageFailed | AccountRefused | AccountNotice
Heard = (
    Acted | OfAccount | MessageReceipt | MessageTaken | PageReceipt | Limited | Preference | TemplateReport
)


class Item(NamedTuple):
    """One event of a body."""

    heard: tuple[Heard, ...] = ()
    """Empty: nothing that concerns us."""
    fault: str = ""
    """Why it cannot be understood; for people."""


class BodyFaultError(Exception):
    """The body as a whole cannot be taken apart."""

    def __init__(self, fault: Fault) -> None:
        """For whoever sent it."""
        super().__init__(fault.message)
        self.fault = fault


class ItemFaultError(Exception):
    """One event cannot be understood; the text is for people and quotes nothing of it."""


def time_of_ms(milliseconds: int) -> datetime:
    """Raises ItemFaultError for a time that is none."""
    try:
        at = datetime.fromtimestamp(milliseconds / _MS, UTC)
    except (ValueError, OverflowError, OSError):
        raise ItemFaultError("its time is none") from None
    if not in_range(at):
        raise ItemFaultError("its time is none")
    return at


def kept_id(text: str) -> str:
    """An id of a channel; empty where it is none, and nothing depends on it."""
    return text if _is_id(text) else ""


def checked_id(text: str, what: str) -> str:
    """An id of a channel: printable, without blanks. Raises ItemFaultError."""
    if not _is_id(text):
        raise ItemFaultError(f"{what} is no id")
    return text


def _is_id(text: str) -> bool:
    return 0 < len(text) <= ID_LENGTH_MAX and text.isascii() and text.isprintable() and " " not in text
