"""Mail for tests: numbered as a source numbers it."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID, uuid5

from libs.common.ids import partition_of
from libs.common.mailbox.mail import Body, Mail, MailSource, TagApplied

TEAM = UUID("01890000-0000-7000-8000-000000000001")
START = datetime(2026, 1, 1, tzinfo=UTC)


def customers(partition: int | None = None, *, team_id: UUID = TEAM) -> Iterator[UUID]:
    """Customers without end, the same ones every time; of one partition if one is named."""
    for n in count():
        customer_id = uuid5(team_id, f"customer {n}")
        if partition is None or partition_of(team_id, customer_id) == partition:
            yield customer_id


class Numberer:
    """Writes mail of one source: numbers rise per customer, positions per partition."""

    def __init__(self, source: MailSource = MailSource.SEGMENT, *, team_id: UUID = TEAM) -> None:
        self._source = source
        self._team_id = team_id
        self._numbers: defaultdict[UUID, int] = defaultdict(int)
        self._positions: defaultdict[int, int] = defaultdict(int)

    def mail(self, customer_id: UUID, body: Body | None = None) -> Mail:
        """The next mail of a customer."""
        partition = partition_of(self._team_id, customer_id)
        self._numbers[customer_id] += 1
        self._positions[partition] += 1
        number, position = self._numbers[customer_id], self._positions[partition]
        return Mail(
            source=self._source,
            number=number,
            position=position,
            partition=partition,
            team_id=self._team_id,
            customer_id=customer_id,
            event_id=uuid5(customer_id, f"{self._source.name} {number}"),
            occurred_at=START + timedelta(seconds=position),
            depth=0,
            body=body or TagApplied("vip"),
        )

    def large(self, customer_id: UUID, size: int) -> Mail:
        """The same, of at least `size` bytes."""
        return self.mail(customer_id, TagApplied("x" * size))

    def skip(self, partition: int, rows: int = 1) -> None:
        """Let history rows without mail lie between."""
        self._positions[partition] += rows
