"""An account without a service behind it: everything is accepted, in process."""

from collections.abc import Sequence
from typing import Final

from services.channel_gateway.clients.channels.base import Attempt, Verdict
from services.channel_gateway.clients.channels.line import LineWriter
from services.channel_gateway.clients.channels.pages import PageWriter
from services.channel_gateway.clients.channels.whatsapp import WhatsappWriter
from services.channel_gateway.domain.content import FlatCard, Template, TemplateContent
from services.channel_gateway.domain.model import Account, Channel, Job, Send
from services.channel_gateway.domain.prepare import Writer

_WRITERS: Final[dict[Channel, Writer]] = {
    Channel.LINE: LineWriter(),
    Channel.WHATSAPP: WhatsappWriter(),
    Channel.MESSENGER: PageWriter(Channel.MESSENGER),
    Channel.INSTAGRAM: PageWriter(Channel.INSTAGRAM),
}


class SinkWriter:
    """Writes as the send's channel would, so that content faults and message counts are the same."""

    def write_cards(self, send: Send, recipient: str, cards: Sequence[FlatCard]) -> list[bytes]:
        """See `Writer`."""
        return _WRITERS[send.channel].write_cards(send, recipient, cards)

    def write_template(
        self, send: Send, recipient: str, template: Template, content: TemplateContent
    ) -> list[bytes]:
        """See `Writer`."""
        return _WRITERS[send.channel].write_template(send, recipient, template, content)


class SinkAdapter:
    """Accepts every attempt."""

    repeatable = True
    writer = SinkWriter()

    def at_once(self, job: Job, part: int) -> Attempt:
        """Sent, always; the same message id for the same message."""
        return Attempt(Verdict.SENT, message_id=f"sink-{job.effect_key}-{part}")

    async def send(self, account: Account, job: Job, part: int) -> Attempt:
        """The same, for those who wait for it."""
        return self.at_once(job, part)

    async def check(self, account: Account) -> tuple[bool, str]:
        """Works, always."""
        return True, "accepts everything"
