"""Which sends the receipts of pages and Instagram accounts concern: they name messages or a time, and no send. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from services.channel_gateway.domain.heard import PageReceipt
from services.channel_gateway.domain.hearsay import AccountPerson
from services.channel_gateway.domain.model import UNSETTLED, SendState
from services.channel_gateway.domain.receipts import ReceiptKind

_STEP: Final = timedelta(milliseconds=1)
"""In which the channels count time."""


class SentToPerson(NamedTuple):
    """A send that somebody may have been told of."""

    effect_key: UUID
    state: SendState
    message_ids: tuple[str, ...]
    """On the channel, as far as it has answered."""
    created_at: datetime


def receipts_of(
    heard: Mapping[AccountPerson, Sequence[PageReceipt]],
    sends: Mapping[AccountPerson, Sequence[SentToPerson]],
) -> dict[UUID, tuple[UUID, list[ReceiptKind]]]:
    """By the key of the effect: the account, and what was told of the send, in the order in which it was told."""
    found: dict[UUID, tuple[UUID, list[ReceiptKind]]] = {}
    for person, receipts in heard.items():
        for receipt in receipts:
            for send in _concerned(receipt, sends.get(person, ())):
                _, kinds = found.setdefault(send.effect_key, (person[0], []))
                kinds.append(receipt.kind)
    return found


def _concerned(receipt: PageReceipt, sends: Sequence[SentToPerson]) -> Iterable[SentToPerson]:
    named = frozenset(receipt.message_ids)
    until = receipt.until + _STEP if receipt.until is not None else None
    known = {message_id for send in sends for message_id in send.message_ids}
    # A receipt may overtake the answer with the message's id: it is of the send that is under way then.
    overtaking = bool(named - known)
    for send in sends:
        if named.intersection(send.message_ids):
            yield send
        elif send.state in UNSETTLED:
            if overtaking and not send.message_ids:
                yield send
        elif until is not None and send.created_at < until:
            yield send
