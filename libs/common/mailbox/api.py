"""What a mailbox is: the contract that the Redis and the in-memory mailbox fulfil, and that one test suite
proves for both.

Every customer with mail is either *ready* (nobody works on them) or *taken* (handed to the owner of the
partition); a customer without mail is in neither and costs nothing. Order holds within a customer. Mail may
come twice (a relay that repeats, a repair): the actor drops what it has by (source, number).

The owner's calls carry its epoch. A lower epoch than the mailbox has seen is *fenced*. A mailbox whose server
lost data is *lost* until its owner has called `claim`, has delivered again from the sources what came after
its last quiet marks, and has called `repaired`. Both are reported per partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

import msgspec

from libs.common.mailbox.errors import Fenced, MailboxLost
from libs.common.mailbox.mail import Mail

CUSTOMERS_MAX = 2_000
"""Most customers that one `take` checks out; the knee of a turn is near 500."""
MAIL_MAX = 1_000
"""Most mails of one customer in one `take`."""
CUSTOMER_BYTES_MAX = 512 * 1024
"""Of one customer's mail in one `take`, but for the mail with which it has as much: a mail may have some 100 kB."""
TAKE_BYTES_MAX = 16 * 1024 * 1024
"""Of all mail in one `take`, but for the customer with whom it has as much; five hundred with a hundred ordinary mails
each have less."""

QuietMarks = dict[int, int]
"""Source → highest position ever delivered. Given when a partition holds no mail at all: everything up to
there is done with.
"""


class TakenMailbox(msgspec.Struct, frozen=True):
    """The oldest mail of one customer, whom the partition's owner has checked out now."""

    partition: int
    team_id: UUID
    customer_id: UUID
    mails: list[Mail]
    last_entry_id: bytes
    """Hand it to `trim` when all of `mails` is committed."""
    undecodable: int = 0
    """Entries among them that are no mail; they go with the trim, their numbers are missing in `mails`."""
    more: bool = False
    """There may be more mail of the customer, by its number or its bytes."""


class Trim(NamedTuple):
    """The mail of a taken customer up to and with an entry is done with; the customer is checked out by nobody
    any more.
    """

    partition: int
    epoch: int
    team_id: UUID
    customer_id: UUID
    last_entry_id: bytes


class PutBack(NamedTuple):
    """A taken customer that was not worked on."""

    partition: int
    epoch: int
    team_id: UUID
    customer_id: UUID


class Refusals(msgspec.Struct):
    """Partitions for which a call of an owner did nothing."""

    fenced: list[int] = msgspec.field(default_factory=list)
    """Somebody with a higher epoch has claimed them."""
    lost: list[int] = msgspec.field(default_factory=list)
    """To be repaired (`claim` does its part all the same)."""

    def check(self) -> None:
        """Raise `Fenced` or `MailboxLost` if any partition was refused."""
        if self.fenced:
            raise Fenced(self.fenced)
        if self.lost:
            raise MailboxLost(self.lost)


class TakeResult(Refusals):
    """What `take` handed out, partition by partition in the order asked, customers in the order of their
    waiting.
    """

    taken: list[TakenMailbox] = msgspec.field(default_factory=list)
    full: bool = False
    """There may be more customers with mail in each of the partitions, by the number of those taken or their bytes."""


class Depth(NamedTuple):
    """Customers with mail in one partition."""

    ready: int
    taken: int


class PeekedMail(NamedTuple):
    """A mail that waits, as it lies in the mailbox. `mail` is None if the entry cannot be decoded."""

    entry_id: str
    mail: Mail | None


class MailSink(Protocol):
    """The side of a source."""

    async def deliver(self, mails: Sequence[Mail]) -> None:
        """Add mails, in order per customer, and wake the owners of their partitions. Several sources may be
        mixed.

        Of each (source, partition) positions must come in rising order; the quiet marks rest on it. Raises
        `MailboxUnavailable`: some, all or none were added; deliver all of them again.
        """
        ...

    async def mail_counts(self, partitions: Sequence[int], most: int) -> dict[int, int]:
        """Count the mails of each partition, from all sources; counting ends at `most`. Raises
        `MailboxUnavailable`.
        """
        ...


class Mailbox(MailSink, Protocol):
    """Mailboxes of all customers of an installation. Every call may raise `MailboxUnavailable`."""

    async def claim(self, partitions: Sequence[tuple[int, int]]) -> Refusals:
        """Become the owner of (partition, epoch)s: older epochs are fenced from now on, taken customers
        become ready.

        Also the first step of a repair, for the same epoch; the owner must have nothing checked out then.
        """
        ...

    async def repaired(self, partitions: Sequence[tuple[int, int]]) -> Refusals:
        """End the repair of (partition, epoch)s; those that lost data again meanwhile are `lost`: repair once
        more.
        """
        ...

    async def take(
        self,
        partitions: Sequence[tuple[int, int]],
        customers_max: int,
        mail_max: int,
        customer_bytes_max: int = CUSTOMER_BYTES_MAX,
        bytes_max: int = TAKE_BYTES_MAX,
    ) -> TakeResult:
        """Take up to `customers_max` ready customers of all (partition, epoch)s together, each with up to
        `mail_max` mails; no more mail of one who has `customer_bytes_max`, no more customers once all have
        `bytes_max`.

        The places are shared out evenly first; what remains goes to the partitions that have more.
        """
        ...

    async def trim(self, items: Sequence[Trim]) -> dict[int, QuietMarks]:
        """Remove mail that is done with; a customer with more mail is ready again, at the end of the line.

        Returns the quiet marks of the partitions that are empty now. Partitions that are fenced or lost are
        left alone; the next `take` raises. After `MailboxUnavailable` it need not be said again: it is done before
        the next `take`.
        """
        ...

    async def put_back(self, items: Sequence[PutBack]) -> None:
        """Make taken customers ready again with all their mail, at the head of the line, in this order."""
        ...

    async def depths(self, partitions: Sequence[int]) -> dict[int, Depth]:
        """Count the customers with mail."""
        ...

    async def holding(self, partitions: Sequence[int]) -> int:
        """0 if these partitions hold no mail at all, else some number; much cheaper than `depths`."""
        ...

    async def peek(self, team_id: UUID, customer_id: UUID, limit: int = 100) -> list[PeekedMail]:
        """Read a customer's oldest mail and leave it where it is."""
        ...

    async def waiting(self, customers: Sequence[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
        """Which of these customers (team, customer) have mail."""
        ...

    async def wait_woken(self, timeout_s: float) -> set[int]:
        """Wait until customers became ready by `deliver`, or the time is over (then the set is empty).

        Wakes since the last call are returned at once. Whenever wakes may have been missed, all partitions
        are returned. A wake says that a look is worth while, no more: keep taking until a `take` comes back
        short.
        """
        ...

    async def aclose(self) -> None:
        """Let the connections go."""
        ...
