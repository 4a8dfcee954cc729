"""Mailboxes in Redis 7.0+ or Valkey, one server or a cluster. The server's part is `mailbox.lua`; `api` has
the contract.

A call over many partitions is one function call; in a cluster, where they lie apart, it is one pipeline with
a call for each. Arguments go as one msgpack value: the driver takes longer to write a thousand small ones
than the server to do what they ask. Calls are never repeated by the driver: an answer that got lost is
settled here (`checkout`), so that no customer stays taken without anybody knowing.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name

from libs.common.ids import partition_of
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
from libs.common.mailbox.checkout import Checkout, member_of, share_out
from libs.common.mailbox.errors import MailboxUnavailable
from libs.common.mailbox.library import Client
from libs.common.mailbox.mail import Mail, decode_all, encode
from libs.common.mailbox.owner import claim
from libs.common.mailbox.wakes import WakeListener
from libs.common.mailbox.wire import (
    READY,
    Arguments,
    Call,
    Message,
    Reply,
    Wire,
    as_text,
    connect,
    nodes_of,
    pack,
    translated,
    wake_client,
)

DELIVERY_BYTES_MAX: Final = 8 * 1024 * 1024
"""Mail in one call, but for one that alone is larger: a call has seconds, and others wait for the server meanwhile."""
Written = tuple[Mail, bytes]
"""A mail, and as it goes into the mailbox."""


@asynccontextmanager
async def open_mailbox(url: str, installation: str = "") -> AsyncIterator[RedisMailbox]:
    """Connect to `redis://…`, `rediss://…` or `redis+cluster://…` (any node), load the functions, close at
    the end.

    `installation` is whose the mail is (`libs.common.db.installation`); without it the server is taken as it is.
    Raises `MailboxUnavailable` if the server does not answer, `MailboxOfAnother` if it is another installation's.
    """
    # Another node each time: the one that was listened to may be down.
    nodes = itertools.cycle(nodes_of(url))
    mailbox = RedisMailbox(connect(url), WakeListener(lambda: wake_client(next(nodes))))
    try:
        await mailbox.prepare(installation)
        yield mailbox
    finally:
        await mailbox.aclose()


_OwnerCall = tuple[int, int, Arguments]  # partition, epoch, arguments


def _stream_key(team_id: UUID, customer_id: UUID) -> str:
    return f"oj:{{{partition_of(team_id, customer_id)}}}:m:{member_of(team_id, customer_id)}"


class RedisMailbox:
    """The `Mailbox` of one process. One process may own partitions through one instance only."""

    def __init__(self, client: Client, wakes: WakeListener) -> None:
        self._wire = Wire(client)
        self._wakes = wakes
        self._checkout = Checkout()

    async def prepare(self, installation: str = "") -> None:
        """Load the server-side functions if need be, on a server that is no other installation's."""
        if installation:
            await claim(self._wire.client, installation)
        await self._wire.prepare()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._wakes.aclose()
        await self._wire.client.aclose()

    # ---- sources ----

    async def deliver(self, mails: Sequence[Mail]) -> None:
        """See `Mailbox.deliver`."""
        for part in parts_of([(mail, encode(mail)) for mail in mails], DELIVERY_BYTES_MAX):
            by_partition: defaultdict[int, list[Written]] = defaultdict(list)
            for written in part:
                by_partition[written[0].partition].append(written)
            await self._wire.call("oj_deliver", [(p, _delivery(group)) for p, group in by_partition.items()])

    async def mail_counts(self, partitions: Sequence[int], most: int) -> dict[int, int]:
        """See `MailSink.mail_counts`. Some 3 µs a partition, and 0.3 µs a customer with mail up to `most`."""
        replies = await self._wire.call("oj_count", [(p, [most]) for p in partitions])
        return {p: int(reply[1]) for p, reply in zip(partitions, replies, strict=True)}

    # ---- the owner ----

    async def claim(self, partitions: Sequence[tuple[int, int]]) -> Refusals:
        """See `Mailbox.claim`."""
        result = Refusals()
        replies = await self._owner_call("oj_claim", [(p, epoch, []) for p, epoch in partitions])
        for partition, reply in replies.items():
            self._checkout.empty(partition)
            _note_refusal(result, partition, reply)
        return result

    async def repaired(self, partitions: Sequence[tuple[int, int]]) -> Refusals:
        """See `Mailbox.repaired`."""
        result = Refusals()
        replies = await self._owner_call("oj_repaired", [(p, epoch, []) for p, epoch in partitions])
        for partition, reply in replies.items():
            _note_refusal(result, partition, reply)
        return result

    async def take(
        self,
        partitions: Sequence[tuple[int, int]],
        customers_max: int,
        mail_max: int,
        customer_bytes_max: int = CUSTOMER_BYTES_MAX,
        bytes_max: int = TAKE_BYTES_MAX,
    ) -> TakeResult:
        """See `Mailbox.take`. One round trip; in a cluster a second when the ready customers are spread
        unevenly.
        """
        result = TakeResult()
        async with self._checkout.taking:
            await self._settle(partitions)
            try:
                bounds = _Bounds(customers_max, mail_max, customer_bytes_max, bytes_max)
                await self._take(result, partitions, bounds)
            except MailboxUnavailable:
                if not result.taken:
                    raise  # else the next call raises; what came before is checked out by the caller
            except asyncio.CancelledError:
                self._drop(result.taken)
                raise
        return result

    async def _take(self, result: TakeResult, partitions: Sequence[tuple[int, int]], bounds: _Bounds) -> None:
        asked, bytes_left = list(partitions), bounds.bytes_max
        while asked and (left := bounds.customers_max - len(result.taken)) > 0 and bytes_left > 0:
            attempts = {p: self._checkout.attempt(p) for p, _ in asked}
            shares = (
                [([key], n) for key, n in share_out(left, asked).items()]
                if self._wire.apart
                else [(asked, left)]
            )
            room = -(-bytes_left // len(shares))
            with self._doubting(attempts):
                answers = await self._wire.send(
                    [_take_message(keys, n, bounds, room, attempts) for keys, n in shares]
                )
            more = asked[len(shares) :] if self._wire.apart else []
            for (keys, places), replies in zip(shares, answers, strict=True):
                room_left = room
                for key, reply in zip(keys, replies, strict=True):
                    size = self._receive(result, key[0], reply, bounds)
                    bytes_left, room_left = bytes_left - size, room_left - size
                    if self._stale(key[0], reply, attempts) or (self._wire.apart and len(reply) > places):
                        more.append(key)
                result.full = result.full or room_left <= 0
            asked = more
        result.full = result.full or len(result.taken) >= bounds.customers_max

    def _drop(self, taken: Iterable[TakenMailbox]) -> None:
        """The caller will never see these: the next take gives them back."""
        for box in taken:
            self._checkout.release(box.partition, member_of(box.team_id, box.customer_id))
        self._checkout.doubt({box.partition for box in taken})

    async def trim(self, items: Sequence[Trim]) -> dict[int, QuietMarks]:
        """See `Mailbox.trim`. Needs no repetition: after a failure the next `take` trims first."""
        try:
            replies = await self._trim(items)
        except BaseException:  # a cancelled call may have taken effect as well
            self._checkout.leave_undone(items)
            raise
        return {partition: _marks(reply) for partition, reply in replies.items() if len(reply) > 1}

    async def _trim(self, items: Sequence[Trim]) -> dict[int, Reply]:
        grouped: defaultdict[tuple[int, int], Arguments] = defaultdict(list)
        for item in items:
            grouped[item.partition, item.epoch] += (
                member_of(item.team_id, item.customer_id),
                item.last_entry_id.decode(),
            )
        replies = await self._owner_call(
            "oj_trim", [(p, e, arguments) for (p, e), arguments in grouped.items()]
        )
        for item in items:
            self._checkout.release(item.partition, member_of(item.team_id, item.customer_id))
        return replies

    async def put_back(self, items: Sequence[PutBack]) -> None:
        """See `Mailbox.put_back`. Needs no repetition: after a failure the next `take` puts them back."""
        grouped: defaultdict[tuple[int, int], Arguments] = defaultdict(list)
        for item in items:
            member = member_of(item.team_id, item.customer_id)
            self._checkout.release(item.partition, member)
            grouped[item.partition, item.epoch].append(member)
        await self._owner_call("oj_put_back", [(p, e, members) for (p, e), members in grouped.items()])

    # ---- onlookers ----

    async def depths(self, partitions: Sequence[int]) -> dict[int, Depth]:
        """See `Mailbox.depths`."""
        replies = await self._wire.call("oj_depth", [(p, []) for p in partitions])
        return {p: Depth(int(reply[1]), int(reply[2])) for p, reply in zip(partitions, replies, strict=True)}

    async def holding(self, partitions: Sequence[int]) -> int:
        """See `Mailbox.holding`."""
        keys = [key for p in partitions for key in (READY[p], b"oj:{%d}:taken" % p)]
        with translated():
            if self._wire.apart:
                counts = await asyncio.gather(*(self._wire.client.exists(key) for key in keys))
                return sum(counts)
            return int(await self._wire.client.exists(*keys))

    async def peek(self, team_id: UUID, customer_id: UUID, limit: int = 100) -> list[PeekedMail]:
        """See `Mailbox.peek`."""
        key = _stream_key(team_id, customer_id)
        with translated():
            entries = await self._wire.client.execute_command("XRANGE", key, "-", "+", "COUNT", limit)
        return [PeekedMail(entry_id.decode(), _decoded(fields[b"m"])) for entry_id, fields in entries]

    async def waiting(self, customers: Sequence[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
        """See `Mailbox.waiting`. One pipeline."""
        pipeline: Any = self._wire.client.pipeline(transaction=False)
        for customer in customers:
            pipeline.exists(_stream_key(*customer))
        with translated():
            found = await pipeline.execute()
        return {customer for customer, there in zip(customers, found, strict=True) if there}

    async def wait_woken(self, timeout_s: float) -> set[int]:
        """See `Mailbox.wait_woken`."""
        return await self._wakes.wait(timeout_s)

    # ---- calls ----

    async def _owner_call(self, function: str, calls: Sequence[_OwnerCall]) -> dict[int, Reply]:
        """Call with epoch and attempt before the arguments; what was STALE is said again with today's."""
        replies: dict[int, Reply] = {}
        pending = list(calls)
        while pending:
            attempts = {p: self._checkout.attempt(p) for p, _, _ in pending}
            with self._doubting(attempts):
                calls_now: list[Call] = [(p, [epoch, attempts[p], *rest]) for p, epoch, rest in pending]
                answers = await self._wire.call(function, calls_now)
            replies |= {call[0]: answer for call, answer in zip(pending, answers, strict=True)}
            pending = [call for call in pending if self._stale(call[0], replies[call[0]], attempts)]
        return replies

    @contextmanager
    def _doubting(self, partitions: Iterable[int]) -> Iterator[None]:
        """A call for these partitions that fails, or is cancelled, may have taken effect all the same."""
        try:
            yield
        except BaseException:
            self._checkout.doubt(partitions)
            raise

    def _stale(self, partition: int, reply: Reply, attempts: Mapping[int, int]) -> bool:
        """Whether the call came too late and may be said again, as of a later attempt."""
        return reply[0] == b"STALE" and attempts[partition] < self._checkout.attempt(partition)

    async def _settle(self, partitions: Sequence[tuple[int, int]]) -> None:
        """Agree with the server again where an answer got lost, before anything more is taken."""
        undone = [trim for key in partitions for trim in self._checkout.undone(*key)]
        if undone:
            await self._trim(undone)
            self._checkout.done(undone)
        doubted: list[_OwnerCall] = [
            (p, epoch, [*self._checkout.held(p)]) for p, epoch in partitions if self._checkout.doubted(p)
        ]
        if doubted:
            await self._owner_call("oj_settle", doubted)
            self._checkout.settled(p for p, _, _ in doubted)

    def _receive(self, result: TakeResult, partition: int, reply: Reply, bounds: _Bounds) -> int:
        """Notes what was handed out of a partition; its bytes."""
        received = 0
        if not _note_refusal(result, partition, reply):
            for member, last_entry_id, *payloads in reply[1:]:
                self._checkout.take(partition, member.decode())
                size = sum(map(len, payloads))
                more = len(payloads) >= bounds.mail_max or size >= bounds.customer_bytes_max
                result.taken.append(_taken(partition, member, last_entry_id, payloads, more=more))
                received += size
        return received


class _Bounds(NamedTuple):
    """Of one take."""

    customers_max: int
    mail_max: int
    customer_bytes_max: int
    bytes_max: int


def _take_message(
    keys: Sequence[tuple[int, int]], places: int, bounds: _Bounds, room: int, attempts: Mapping[int, int]
) -> Message:
    wanted = [places, bounds.mail_max]
    for partition, epoch in keys:
        wanted += (epoch, attempts[partition])
    wanted += (bounds.customer_bytes_max, room)
    return "oj_take", [partition for partition, _ in keys], pack(wanted)


def parts_of(mails: Sequence[Written], bytes_max: int) -> Iterator[Sequence[Written]]:
    """Mails in their order, so many together as have at most `bytes_max` bytes; a larger one goes alone."""
    start, size = 0, 0
    for place, (_, payload) in enumerate(mails):
        size += len(payload)
        if size > bytes_max and place > start:
            yield mails[start:place]
            start, size = place, len(payload)
    if mails:
        yield mails[start:]


def _delivery(mails: Sequence[Written]) -> Arguments:
    """Mails of one partition as the server wants them."""
    marks: dict[int, int] = {}
    by_customer: defaultdict[str, list[bytes]] = defaultdict(list)
    for mail, payload in mails:
        marks[mail.source] = max(mail.position, marks.get(mail.source, 0))
        by_customer[member_of(mail.team_id, mail.customer_id)].append(payload)
    arguments: Arguments = [len(marks)]
    for source, position in marks.items():
        arguments += (int(source), position)
    for member, payloads in by_customer.items():
        arguments += (member, len(payloads), *map(as_text, payloads))
    return arguments


def _taken(
    partition: int, member: bytes, last_entry_id: bytes, payloads: Sequence[bytes], *, more: bool
) -> TakenMailbox:
    mails = [mail for payload in payloads if (mail := _decoded(payload)) is not None]
    text = member.decode()
    return TakenMailbox(
        partition,
        DriverUUID(text[:32]),  # read, hashed and compared in C; customers are keys of much
        DriverUUID(text[32:]),
        mails,
        last_entry_id,
        undecodable=len(payloads) - len(mails),
        more=more,
    )


def _decoded(payload: bytes) -> Mail | None:
    try:
        return decode_all([payload])[0]
    except msgspec.DecodeError:
        return None  # counted by the caller; one bad entry must not stop a partition


def _marks(reply: Reply) -> QuietMarks:
    return {int(source): int(position) for source, position in zip(reply[2::2], reply[3::2], strict=True)}


def _note_refusal(result: Refusals, partition: int, reply: Reply) -> bool:
    if reply[0] == b"FENCED":
        result.fenced.append(partition)
    elif reply[0] == b"LOST":
        result.lost.append(partition)
    return bool(reply[0] != b"OK")
