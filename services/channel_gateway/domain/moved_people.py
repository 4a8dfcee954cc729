"""Who was heard by an id that they had then is known by the one that they have now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from uuid import UUID

from libs.common.moved_ids import Move, id_now
from services.channel_gateway.domain.heard import Heard, Limited, Preference, Wrote
from services.channel_gateway.domain.hearsay import AccountPerson
from services.channel_gateway.domain.model import Channel

Moves = Mapping[AccountPerson, Sequence[Move]]
"""By the account and the id that was given up."""
FromAccount = tuple[Channel, UUID, Sequence[Heard]]
"""A webhook's channel and account, and what it tells."""


def people_in(webhooks: Iterable[FromAccount]) -> frozenset[AccountPerson]:
    """Those of whom webhooks tell something that the gateway goes by, where people may get other ids."""
    return frozenset(
        (account_id, said.external_id)
        for channel, account_id, heard in webhooks
        if channel is Channel.WHATSAPP
        for said in heard
        if isinstance(said, Wrote | Preference | Limited)
    )


def as_known_now(webhooks: Iterable[FromAccount], moves: Moves) -> Iterator[FromAccount]:
    """The same, of people by the ids that they have now."""
    for channel, account_id, heard in webhooks:
        yield channel, account_id, [_led(said, account_id, moves) for said in heard]


def _led(said: Heard, account_id: UUID, moves: Moves) -> Heard:
    if not isinstance(said, Wrote | Preference | Limited):
        return said
    now = id_now(moves, lambda each: (account_id, each), said.external_id, said.at)
    return said._replace(external_id=now)
