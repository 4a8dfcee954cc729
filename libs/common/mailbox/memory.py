"""Mailboxes in memory, with the same behaviour as those in Redis: for tests and for the simulation."""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from libs.common.ids import PARTITIONS, partition_of
from libs.common.mailbox.api import (
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
from libs.common.mailbox.mail import Mail
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
        self, partitions: Sequence[tuple[int, int]], customers_max: int, mail_max: int
    ) -> TakeResult:
        """See `Mailbox.take`."""
        self._check()
        result = TakeResult()
        asked = [key for key in partitions if not self._refused(result, *key)]
        while asked and (left := customers_max - len(result.taken)) > 0:
            for (number, _), count in share_out(left, asked).items():
                self._take(result, number, count, mail_max)
            asked = [key for key in asked if self.server.partitions[key[0]].ready]
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

    def _take(self, result: TakeResult, number: int, count: int, mail_max: int) -> None:
        partition = self.server.partitions[number]
        for _ in range(min(count, len(partition.ready))):
            customer = partition.ready.popleft()
            entries = partition.boxes[customer][:mail_max]
            partition.taken.add(customer)
            mails = [mail for _, mail in entries]
            result.taken.append(TakenMailbox(number, *customer, mails, entries[-1][0]))
