"""Old mail once more: what a source has told long ago is put into the mailboxes again, in order and out of it."""

import random
from typing import Final, cast

from libs.client import Client
from libs.client.services import ServiceName
from libs.common.ids import PARTITIONS
from libs.common.mailbox import Mailbox, open_mailbox
from libs.common.mailbox.mail import Mail, decode_all
from omnijourney.common.v1.history_pb2 import HistoryCursor
from omnijourney.internal.v1.mail_service_pb2 import ListMailRequest

PARTITIONS_A_TIME: Final = 12
PAGE: Final = 500
OUT_OF_ORDER_MAX: Final = 40
CALL_TIMEOUT_S: Final = 5.0


class Redelivery:
    """Reads mail from its sources as a worker that takes over does, and delivers it as a relay does."""

    def __init__(self, client: Client, redis_url: str, rng: random.Random) -> None:
        """`client` and `redis_url` lead past the proxies."""
        self._client = client
        self._redis_url = redis_url
        self._rng = rng
        self.delivered = 0
        """Mails so far."""

    async def deliver(self, source: str) -> bool:
        """Mail of some partitions from the very beginning; whether there was any. Raises what a source or Redis raises.

        From the beginning, because a mailbox may take for granted that all mail before the last one came before it.
        """
        before = self.delivered
        async with open_mailbox(self._redis_url) as mailbox:
            for partition in self._rng.sample(range(PARTITIONS), k=PARTITIONS_A_TIME):
                mails = await self._listed(source, partition)
                if mails:
                    await self._deliver(mailbox, mails[: self._rng.randint(1, len(mails))])
        return self.delivered > before

    async def _deliver(self, mailbox: Mailbox, past: list[Mail]) -> None:
        await mailbox.deliver(past)
        shuffled = self._rng.sample(past, k=min(len(past), OUT_OF_ORDER_MAX))
        await mailbox.deliver(shuffled)
        self.delivered += len(past) + len(shuffled)

    async def _listed(self, source: str, partition: int) -> list[Mail]:
        request = ListMailRequest(partition=HistoryCursor(partition=partition), page_size=PAGE)
        stub = self._client.internal(cast("ServiceName", source)).mail
        return decode_all((await stub.ListMail(request, timeout=CALL_TIMEOUT_S)).mails)
