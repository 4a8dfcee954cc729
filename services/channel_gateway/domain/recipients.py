"""Whom sends go to, where they say so themselves. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.ids import CustomerKey
from services.channel_gateway.domain.model import Identity, Profile, Send
from services.channel_gateway.domain.prepare import Catalogue


def known_profiles(sends: Sequence[Send], catalogue: Catalogue) -> dict[CustomerKey, Profile]:
    """Profiles of the customers of whom all their sends say enough: nobody need be asked about them."""
    known: dict[CustomerKey, Profile] = {}
    carrying = [send for send in sends if send.recipient is not None and send.account_id is not None]
    needing = catalogue.needing_attributes(carrying) if carrying else set()
    unknown: set[CustomerKey] = set()
    for send in sends:
        key = (send.team_id, send.customer_id)
        recipient = send.recipient
        if recipient is None or send.account_id is None or send.content in needing:
            unknown.add(key)
            continue
        identity = Identity(send.channel, send.account_id, recipient.external_id, blocked=False)
        others = known[key].identities if key in known else ()
        known[key] = Profile(recipient.name, identities=(*others, identity))
    return {key: profile for key, profile in known.items() if key not in unknown}
