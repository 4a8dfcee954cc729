"""By which identity a customer is reached, and whether it is within the window after what they wrote. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.channel_gateway.domain.content import ModuleContent
from services.channel_gateway.domain.model import Account, Channel, Identity, Send

SERVICE_WINDOW: Final = timedelta(hours=24)
"""WhatsApp, Messenger, Instagram: free content is taken this long after the customer's last message."""
LastInbound = Mapping[tuple[UUID, str], datetime]
"""By account and external id: the last message of the customer, where we know one."""


def has_window(send: Send) -> bool:
    """Whether the send is taken only within a time after the customer's last message."""
    return send.channel is not Channel.LINE and isinstance(send.content, ModuleContent)


def identity_for(
    send: Send, account: Account, identities: Sequence[Identity], last_inbound: LastInbound, now: datetime
) -> Identity | None:
    """By which the account can be reached: where the window matters, by which they wrote last, and rather by one of
    which nothing is known than by one that is outside; else the first. One that blocks the account where there is no
    other."""
    own = [
        each for each in identities if (each.channel, each.account_id) == (send.channel, account.account_id)
    ]
    able = [each for each in own if not each.blocked]
    if len(able) < 2 or not has_window(send):
        return next(iter(able or own), None)

    def rank(identity: Identity) -> tuple[int, float]:
        last = last_inbound.get((account.account_id, identity.external_id))
        if last is None:
            return 1, 0.0
        return (0 if now - last < SERVICE_WINDOW else 2), -last.timestamp()

    return min(able, key=rank)


def is_outside_window(
    send: Send, account: Account, identity: Identity, last_inbound: LastInbound, now: datetime
) -> bool:
    """Only what we know for sure is refused here; where we never saw a message, the channel decides."""
    if not has_window(send):
        return False
    last = last_inbound.get((account.account_id, identity.external_id))
    return last is not None and now - last >= SERVICE_WINDOW
