"""What journeys name, looked at for them before they are published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from services.channel_gateway.clients.services import TeamCoupons
from services.channel_gateway.domain.model import ConnectionKind
from services.channel_gateway.domain.prepare import Writer
from services.channel_gateway.domain.references import (
    AccountFindings,
    AccountReference,
    MessageFindings,
    MessageReference,
    account_findings,
    message_findings,
    named_coupons,
)
from services.channel_gateway.store.catalogue import CatalogueStore


class References:
    """Reads what is named as it is now, and says what is wrong with it."""

    def __init__(
        self,
        catalogue: CatalogueStore,
        coupons: TeamCoupons,
        senders: Mapping[ConnectionKind, object],
        writer: Writer,
    ) -> None:
        """`senders` are the connections that this release can send on, `writer` writes for every channel."""
        self._catalogue = catalogue
        self._coupons = coupons
        self._senders = senders
        self._writer = writer

    async def check(
        self, team_id: UUID, accounts: Sequence[AccountReference], messages: Sequence[MessageReference]
    ) -> tuple[list[AccountFindings], list[MessageFindings]]:
        """Findings of each, in order. Raises Unavailable when points does not answer for coupons."""
        catalogue = await self._catalogue.of_team(
            team_id, [message.content for message in messages if message.content is not None]
        )
        named = named_coupons(messages, team_id, catalogue)
        coupons = await self._coupons.known_coupons(team_id, named) if named else {}
        return (
            [account_findings(team_id, account, catalogue, self._senders) for account in accounts],
            [message_findings(team_id, each, catalogue, self._writer, coupons) for each in messages],
        )
