"""What the gateway has accepted and not settled."""

from libs.common.mailbox.relay import MailRelay
from libs.common.rpc.operations import Lag, Progress
from services.channel_gateway.store.deliveries import DeliveryStore


class GatewayLag:
    """Webhooks not yet recorded in segment, sends not settled, outcomes not delivered to mailboxes."""

    def __init__(self, store: DeliveryStore, relay: MailRelay, progress: Progress) -> None:
        """All of this process; the store knows of the others'."""
        self._store = store
        self._relay = relay
        self.progress = progress

    async def lag(self) -> Lag:
        """The lag now. The store is asked first: what it no longer holds has become mail or is done."""
        pending, oldest = await self._store.unsettled()
        return Lag(pending + self._relay.pending, str(self.progress), oldest_pending=oldest)
