"""Mail as the relay wants it: read from the history of facts."""

from __future__ import annotations

from collections.abc import Mapping

from libs.common.db.pool import Pool
from libs.common.mailbox.mail import Mail
from services.segment.convert.facts import mail_of
from services.segment.store import history


class FactMailStore:
    """See `libs.common.mailbox.relay.MailStore`."""

    def __init__(self, pool: Pool) -> None:
        """Under the service's own role."""
        self._pool = pool

    async def fetch_after(self, cursors: Mapping[int, int], limit: int) -> list[Mail]:
        """Mail of the partitions after their cursors; facts that are no mail are passed over."""
        mails: list[Mail] = []
        while True:
            page = await history.read_facts(self._pool, cursors, limit, only_mail=True)
            mails += [mail for fact in page.facts if (mail := mail_of(fact))]
            if page.is_last or len(mails) >= limit:
                return mails[:limit]
            cursors = page.cursors

    async def load_cursors(self) -> dict[int, int]:
        """What was saved."""
        return await history.load_mail_cursors(self._pool)

    async def save_cursors(self, cursors: Mapping[int, int]) -> None:
        """Keeps them."""
        await history.save_mail_cursors(self._pool, cursors)
