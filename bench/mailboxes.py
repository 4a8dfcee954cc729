"""How fast mail passes through the mailboxes: deliver, take and trim, in calls of several sizes."""

from itertools import islice
from typing import Final

from bench.measure import Meter, chunks
from libs.common.ids import PARTITIONS
from libs.common.mailbox import Mailbox, TakenMailbox, Trim, open_mailbox
from libs.common.mailbox.mail import Mail
from libs.testing.mails import Numberer, customers

_EPOCH: Final = 1
_OWNED: Final = [(partition, _EPOCH) for partition in range(PARTITIONS)]
_ROUNDS: Final = 5
_CUSTOMERS: Final = 10_000
_CALLS: Final = (50, 500)


async def run(redis_url: str, meter: Meter) -> None:
    """One mail for each of some thousand customers a round, on an empty server."""
    async with open_mailbox(redis_url) as mailbox:
        await mailbox.claim(_OWNED)
        (await mailbox.repaired(_OWNED)).check()
        numberer = Numberer()
        everybody = list(islice(customers(), _CUSTOMERS))
        for batch in _CALLS:
            for _ in range(_ROUNDS):
                await _one_round(mailbox, meter, [numberer.mail(customer) for customer in everybody], batch)


async def _one_round(mailbox: Mailbox, meter: Meter, mails: list[Mail], batch: int) -> None:
    with meter.time("mail delivered", batch, len(mails)):
        for chunk in chunks(mails, batch):
            await mailbox.deliver(chunk)
    boxes: list[TakenMailbox] = []
    with meter.time("mail taken", batch, len(mails)):
        while taken := (await mailbox.take(_OWNED, batch, 1)).taken:
            boxes += taken
    assert len(boxes) == len(mails), "every customer had one mail waiting"
    trims = [Trim(box.partition, _EPOCH, box.team_id, box.customer_id, box.last_entry_id) for box in boxes]
    with meter.time("mail trimmed", batch, len(mails)):
        for done in chunks(trims, batch):
            await mailbox.trim(done)
