"""Mailboxes in memory, with the same behaviour as those in Redis: for tests and for the simulation."""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from libs.common.ids import PARTITIONS, partition_of
from libs.common.mailbox.api import (
    CUSTOMER_BYTES_MAX,
    TAKE_BYTES_MAX,
    Depth,
    PeekedMail,
    PutBack,
    QuietMarks,
    Refusals,
    TakenMailbox,
    TakeResult,
    Trim,
)
from libs.common.mailbox.checkout import share_out
from libs.common.mailbox.errors import MailboxUnavailable
from libs.common.mailbox.mail import Mail, encode
from libs.common.mailbox.wakes import WakeSet

_Customer = tuple[UUID, UUID]


@dataclass
class _Partition:
    boxes: dict[_Customer, list[tuple[bytes, Mail]]] = field(default_factory=dict)
    ready: deque[_Customer] = field(default_factory=deque)
    taken: set[_Customer] = field(default_factory=set)
    marks: dict[int, int] = field(default_factory=dict)
    epoch: int | None = None
    complete: bool = False
    repairing: bool = False

    def refusal(self, epoch: int) -> str | None:
        if self.epoch is not None and self.epoch > epoch:
            return "fenced"
        return None if self.epoch == epoch and self.complete else "lost"

    def deliver(self, mail: Mail, entry_id: bytes) -> bool:
        customer = (mail.team_id, mail.customer_id)
        woken = customer not in self.boxes
        self.boxes.setdefault(customer, []).append((entry_id, mail))
        self.marks[mail.source] = max(mail.position, self.marks.get(mail.source, 0))
        if woken:
            self.ready.append(customer)
        return woken

    def trim(self, customer: _Customer, last_entry_id: bytes) -> None:
        if customer not in self.taken or self.boxes[customer][0][0] > last_entry_id:
            return
        self.taken.remove(customer)
        self.boxes[customer] = [entry for entry in self.boxes[customer] if entry[0] > last_entry_id]
        if self.boxes[customer]:
            self.ready.append(customer)
        else:
            del self.boxes[customer]


class MemoryServer:
    """What all mailboxes of one installation share."""

    def __init__(self) -> None:
        self.partitions: defaultdict[int, _Partition] = defaultdict(_Partition)
        self.wakes: list[WakeSet] = []
        self.available = True
        """While False every call raises `MailboxUnavailable` and does nothing."""
        self._entries = itertools.count(1)

    def next_entry_id(self) -> bytes:
        """Ids sort as bytes in the order of their making."""
        return b"%020d" % next(self._entries)

    def wipe(self) -> None:
        """Forget everything, as a server does that was flushed."""
        self.partitions.clear()


class InMemoryMailbox:
    """The `Mailbox` of one process on a shared `MemoryServer`."""

    def __init__(self, server: MemoryServer | None = None) -> None:
        self.server = server or MemoryServer()
        self._wakes = WakeSet()
        self._wakes.add(*range(PARTITIONS))
        self.server.wakes.append(self._wakes)

    async def deliver(self, mails: Sequence[Mail]) -> None:
        """See `Mailbox.deliver`."""
        self._check()
        woken = {
            mail.partition
            for mail in mails
            if self.server.partitions[mail.partition].deliver(mail, self.server.next_entry_id())
        }
        for wakes in self.server.wakes if woken else ():
            wakes.add(*woken)

    async def mail_counts(self, partitions: Sequence[int], most: int) -> dict[int, int]:
        """See `MailSink.mail_counts`."""
        self._check()
        known = self.server.partitions
        return {p: min(most, sum(map(len, known[p].boxes.values()))) for p in partitions}

    async def claim(self, partitions: Sequence[tuple[int, int]]) -> Refusals:
        """See `Mailbox.claim`."""
        self._check()
        result = Refusals()
        for number, epoch in partitions:
            partition = self.server.partitions[number]
            if partition.epoch is not None and partition.epoch > epoch:
                result.fenced.append(number)
                continue
            partition.epoch = epoch
            partition.ready.extendleft(partition.taken)
            partition.taken.clear()
            if not partition.complete:
                partition.repairing = True
                result.lost.append(number)
        return result

    async def repaired(self, partitions: Sequence[tuple[int, int]]) -> Refusals:
        """See `Mailbox.repaired`."""
        self._check()
        result = Refusals()
        for number, epoch in partitions:
            partition = self.server.partitions[number]
            if partition.repairing and partition.epoch == epoch:
                partition.complete, partition.repairing = True, False
            self._refused(result, number, epoch)
        return result

    async def take(
        self,
        partitions: Sequence[tuple[int, int]],
        customers_max: int,
        mail_max: int,
        customer_bytes_max: int = CUSTOMER_BYTES_MAX,
        bytes_max: int = TAKE_BYTES_MAX,
    ) -> TakeResult:
        """See `Mailbox.take`."""
        self._check()
        result = TakeResult()
        asked = [key for key in partitions if not self._refused(result, *key)]
        room = bytes_max
        while asked and room > 0 and (left := customers_max - len(result.taken)) > 0:
            for (number, _), count in share_out(left, asked).items():
                room -= self._take(result, number, count, mail_max, customer_bytes_max, room)
            asked = [key for key in asked if self.server.partitions[key[0]].ready]
        result.full = room <= 0 or len(result.taken) >= customers_max
        return result

    async def trim(self, items: Sequence[Trim]) -> dict[int, QuietMarks]:
        """See `Mailbox.trim`."""
        self._check()
        touched: set[int] = set()
        for item in items:
            partition = self.server.partitions[item.partition]
            if partition.refusal(item.epoch) is None:
                touched.add(item.partition)
                partition.trim((item.team_id, item.customer_id), item.last_entry_id)
        partitions = self.server.partitions
        return {p: dict(partitions[p].marks) for p in touched if not partitions[p].boxes}

    async def put_back(self, items: Sequence[PutBack]) -> None:
        """See `Mailbox.put_back`."""
        self._check()
        for item in reversed(items):
            partition = self.server.partitions[item.partition]
            customer = (item.team_id, item.customer_id)
            if partition.refusal(item.epoch) is None and customer in partition.taken:
                partition.taken.remove(customer)
                partition.ready.appendleft(customer)

    async def depths(self, partitions: Sequence[int]) -> dict[int, Depth]:
        """See `Mailbox.depths`."""
        self._check()
        known = self.server.partitions
        return {p: Depth(len(known[p].ready), len(known[p].taken)) for p in partitions}

    async def holding(self, partitions: Sequence[int]) -> int:
        """See `Mailbox.holding`."""
        self._check()
        known = self.server.partitions
        return sum(bool(known[p].ready) + bool(known[p].taken) for p in partitions)

    async def peek(self, team_id: UUID, customer_id: UUID, limit: int = 100) -> list[PeekedMail]:
        """See `Mailbox.peek`."""
        self._check()
        partition = self.server.partitions[partition_of(team_id, customer_id)]
        entries = partition.boxes.get((team_id, customer_id), [])[:limit]
        return [PeekedMail(entry_id.decode(), mail) for entry_id, mail in entries]

    async def waiting(self, customers: Sequence[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
        """See `Mailbox.waiting`."""
        self._check()
        return {c for c in customers if self.server.partitions[partition_of(*c)].boxes.get(c)}

    async def wait_woken(self, timeout_s: float) -> set[int]:
        """See `Mailbox.wait_woken`."""
        return await self._wakes.wait(timeout_s)

    async def aclose(self) -> None:
        """Stop hearing wakes."""
        if self._wakes in self.server.wakes:
            self.server.wakes.remove(self._wakes)

    def _check(self) -> None:
        if not self.server.available:
            raise MailboxUnavailable("memory: switched off")

    def _refused(self, result: Refusals, number: int, epoch: int) -> bool:
        refusal = self.server.partitions[number].refusal(epoch)
        if refusal is not None:
            (result.fenced if refusal == "fenced" else result.lost).append(number)
        return refusal is not None

    def _take(  # noqa: PLR0917 - bounds, each of its own kind
        self, result: TakeResult, number: int, count: int, mail_max: int, customer_bytes_max: int, room: int
    ) -> int:
        """Takes customers of one partition; the bytes of their mail."""
        partition, size = self.server.partitions[number], 0
        for _ in range(min(count, len(partition.ready))):
            if size >= room:
                break
            customer = partition.ready.popleft()
            entries, own_size = _oldest(partition.boxes[customer][:mail_max], customer_bytes_max)
            size += own_size
            partition.taken.add(customer)
            mails = [mail for _, mail in entries]
            more = len(mails) >= mail_max or own_size >= customer_bytes_max
            result.taken.append(TakenMailbox(number, *customer, mails, entries[-1][0], more=more))
        return size


def _oldest(
    entries: Sequence[tuple[bytes, Mail]], bytes_max: int
) -> tuple[Sequence[tuple[bytes, Mail]], int]:
    """Those up to the one with which they have `bytes_max`, and their bytes."""
    size = 0
    for place, (_, mail) in enumerate(entries):
        size += len(encode(mail))
        if size >= bytes_max:
            return entries[: place + 1], size
    return entries, size
