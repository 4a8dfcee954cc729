"""Mailboxes in Redis 7.0+ or Valkey, one server or a cluster. The server's part is `mailbox.lua`; `api` has
the contract.

A call over many partitions is one pipeline with one function call per partition. Calls are never repeated by
the driver: an answer that got lost is settled here (`hands`), so that no customer stays taken without
anybody knowing.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final
from uuid import UUID

import msgspec
from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from libs.common.ids import partition_of
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
from libs.common.mailbox.errors import MailboxUnavailable
from libs.common.mailbox.hands import Hands, member_of, share_out
from libs.common.mailbox.library import Client, ensure_loaded
from libs.common.mailbox.mail import Mail, decode, encode
from libs.common.mailbox.pokes import POKE_CHANNEL, PokeListener

CALL_TIMEOUT_S: Final = 5.0
"""A call that takes longer is given up; a partition's call takes some milliseconds at most."""
CONNECT_TIMEOUT_S: Final = 2.0
CLUSTER_SCHEME: Final = "redis+cluster://"
_SERVER_STATES: Final = (
    "LOADING",
    "OOM",
    "READONLY",
    "CLUSTERDOWN",
    "MASTERDOWN",
    "TRYAGAIN",
    "BUSY",
    "MISCONF",
)

_Reply = list[Any]
_Arguments = list[bytes | str | int]
_Call = tuple[int, str, _Arguments]  # partition, function, arguments
_OwnerCall = tuple[int, int, _Arguments]  # partition, epoch, arguments


@asynccontextmanager
async def open_mailbox(url: str) -> AsyncIterator[RedisMailbox]:
    """Connect to `redis://…`, `rediss://…` or `redis+cluster://…` (any node), load the functions, close at
    the end.

    Raises `MailboxUnavailable` if the server does not answer.
    """
    mailbox = RedisMailbox(connect(url), PokeListener(lambda: _poke_client(url)))
    try:
        await mailbox.prepare()
        yield mailbox
    finally:
        await mailbox.aclose()


def connect(url: str) -> Client:
    """Make a client that speaks RESP2, keeps bytes as bytes and repeats nothing by itself."""
    options: dict[str, Any] = {
        "protocol": 2,
        "socket_timeout": CALL_TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
    }
    if url.startswith(CLUSTER_SCHEME):
        return RedisCluster.from_url("redis://" + url.removeprefix(CLUSTER_SCHEME), **options)
    return Redis.from_url(url, **options)


def _poke_client(url: str) -> Redis:
    # Pokes are published to every node of a cluster, so one connection to any node hears them all.
    plain = url.replace(CLUSTER_SCHEME, "redis://", 1)
    return Redis.from_url(
        plain,
        protocol=2,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
    )


def _ready_key(partition: int) -> str:
    return f"oj:{{{partition}}}:ready"


class RedisMailbox:
    """The `Mailbox` of one process. One process may own partitions through one instance only."""

    def __init__(self, client: Client, pokes: PokeListener) -> None:
        self._client = client
        self._pokes = pokes
        self._hands = Hands()

    async def prepare(self) -> None:
        """Load the server-side functions if need be."""
        with _translated():
            await ensure_loaded(self._client)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pokes.aclose()
        await self._client.aclose()

    # ---- sources ----

    async def deliver(self, mails: Sequence[Mail]) -> None:
        """See `Mailbox.deliver`. About 2 µs a mail here and 3 on the server."""
        by_partition: defaultdict[int, list[Mail]] = defaultdict(list)
        for mail in mails:
            by_partition[mail.partition].append(mail)
        await self._call(
            [(p, "oj_deliver", _deliver_arguments(p, group)) for p, group in by_partition.items()]
        )

    async def mail_counts(self, partitions: Sequence[int], most: int) -> dict[int, int]:
        """See `MailSink.mail_counts`. Some 3 µs a partition, and 0.3 µs a customer with mail up to `most`."""
        replies = await self._call([(p, "oj_count", [most]) for p in partitions])
        return {p: int(reply[1]) for p, reply in zip(partitions, replies, strict=True)}

    # ---- the owner ----

    async def claim(self, partitions: Sequence[tuple[int, int]]) -> Refusals:
        """See `Mailbox.claim`."""
        result = Refusals()
        replies = await self._owner_call("oj_claim", [(p, epoch, []) for p, epoch in partitions])
        for partition, reply in replies.items():
            self._hands.empty(partition)
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
        self, partitions: Sequence[tuple[int, int]], customers_max: int, mail_max: int
    ) -> TakeResult:
        """See `Mailbox.take`. One round trip; a second when the ready customers are spread unevenly."""
        result = TakeResult()
        async with self._hands.taking:
            await self._settle(partitions)
            try:
                await self._take(result, partitions, customers_max, mail_max)
            except MailboxUnavailable:
                if not result.taken:
                    raise  # else the next call tells; what came before is in the caller's hands
            except asyncio.CancelledError:
                self._drop(result.taken)
                raise
        return result

    async def _take(
        self, result: TakeResult, partitions: Sequence[tuple[int, int]], customers_max: int, mail_max: int
    ) -> None:
        asked = list(partitions)
        while asked and (left := customers_max - len(result.taken)) > 0:
            shares = share_out(left, asked)
            calls: list[_OwnerCall] = [(p, epoch, [n, mail_max]) for (p, epoch), n in shares.items()]
            replies = await self._owner_call("oj_take", calls)
            for partition, reply in replies.items():
                self._receive(result, partition, reply)
            asked = [key for key in asked if key not in shares or len(replies[key[0]]) > shares[key]]

    def _drop(self, taken: Iterable[TakenMailbox]) -> None:
        """The caller will never see these: the next take gives them back."""
        for box in taken:
            self._hands.release(box.partition, member_of(box.team_id, box.customer_id))
        self._hands.doubt({box.partition for box in taken})

    async def trim(self, items: Sequence[Trim]) -> dict[int, QuietMarks]:
        """See `Mailbox.trim`. Needs no repetition: after a failure the next `take` trims first."""
        try:
            replies = await self._trim(items)
        except BaseException:  # a cancelled call may have taken effect as well
            self._hands.leave_undone(items)
            raise
        return {partition: _marks(reply) for partition, reply in replies.items() if len(reply) > 1}

    async def _trim(self, items: Sequence[Trim]) -> dict[int, _Reply]:
        grouped: defaultdict[tuple[int, int], _Arguments] = defaultdict(list)
        for item in items:
            grouped[item.partition, item.epoch] += (
                member_of(item.team_id, item.customer_id),
                item.last_entry_id,
            )
        replies = await self._owner_call(
            "oj_trim", [(p, e, arguments) for (p, e), arguments in grouped.items()]
        )
        for item in items:
            self._hands.release(item.partition, member_of(item.team_id, item.customer_id))
        return replies

    async def put_back(self, items: Sequence[PutBack]) -> None:
        """See `Mailbox.put_back`. Needs no repetition: after a failure the next `take` puts them back."""
        grouped: defaultdict[tuple[int, int], _Arguments] = defaultdict(list)
        for item in items:
            member = member_of(item.team_id, item.customer_id)
            self._hands.release(item.partition, member)
            grouped[item.partition, item.epoch].append(member)
        await self._owner_call("oj_put_back", [(p, e, members) for (p, e), members in grouped.items()])

    # ---- onlookers ----

    async def depths(self, partitions: Sequence[int]) -> dict[int, Depth]:
        """See `Mailbox.depths`."""
        replies = await self._call([(p, "oj_depth", []) for p in partitions])
        return {p: Depth(int(reply[1]), int(reply[2])) for p, reply in zip(partitions, replies, strict=True)}

    async def holding(self, partitions: Sequence[int]) -> int:
        """See `Mailbox.holding`."""
        keys = [key for p in partitions for key in (_ready_key(p), f"oj:{{{p}}}:taken")]
        with _translated():
            if isinstance(self._client, RedisCluster):
                counts = await asyncio.gather(*(self._client.exists(key) for key in keys))
                return sum(counts)
            return int(await self._client.exists(*keys))

    async def peek(self, team_id: UUID, customer_id: UUID, limit: int = 100) -> list[PeekedMail]:
        """See `Mailbox.peek`."""
        key = f"oj:{{{partition_of(team_id, customer_id)}}}:m:{member_of(team_id, customer_id)}"
        with _translated():
            entries = await self._client.execute_command("XRANGE", key, "-", "+", "COUNT", limit)
        return [PeekedMail(entry_id.decode(), _decoded(fields[b"m"])) for entry_id, fields in entries]

    async def wait_poke(self, timeout_s: float) -> set[int]:
        """See `Mailbox.wait_poke`."""
        return await self._pokes.wait(timeout_s)

    # ---- calls ----

    async def _owner_call(self, function: str, calls: Sequence[_OwnerCall]) -> dict[int, _Reply]:
        """Call with epoch and attempt before the arguments; what was STALE is said again with today's."""
        replies: dict[int, _Reply] = {}
        pending = list(calls)
        while pending:
            attempts = {p: self._hands.attempt(p) for p, _, _ in pending}
            try:
                answers = await self._call(
                    [(p, function, [epoch, attempts[p], *rest]) for p, epoch, rest in pending]
                )
            except BaseException:  # a cancelled call may have taken effect as well
                self._hands.doubt(p for p, _, _ in pending)
                raise
            replies |= {call[0]: answer for call, answer in zip(pending, answers, strict=True)}
            pending = [
                c
                for c in pending
                if replies[c[0]][0] == b"STALE" and attempts[c[0]] < self._hands.attempt(c[0])
            ]
        return replies

    async def _settle(self, partitions: Sequence[tuple[int, int]]) -> None:
        """Agree with the server again where an answer got lost, before anything more is taken."""
        undone = [trim for key in partitions for trim in self._hands.undone(*key)]
        if undone:
            await self._trim(undone)
            self._hands.done(undone)
        doubted = [(p, epoch, self._hands.held(p)) for p, epoch in partitions if self._hands.doubted(p)]
        if doubted:
            await self._owner_call("oj_settle", doubted)
            self._hands.settled(p for p, _, _ in doubted)

    def _receive(self, result: TakeResult, partition: int, reply: _Reply) -> None:
        if not _note_refusal(result, partition, reply):
            for member, last_entry_id, *payloads in reply[1:]:
                self._hands.take(partition, member.decode())
                result.taken.append(_taken(partition, member, last_entry_id, payloads))

    async def _call(self, calls: Sequence[_Call]) -> list[_Reply]:
        """One pipeline; answers in order. Loads the functions where a server has forgotten them."""
        replies = await self._pipeline(calls)
        missing = [i for i, reply in enumerate(replies) if _is_function_missing(reply)]
        if missing:
            await self.prepare()
            for i, reply in zip(missing, await self._pipeline([calls[i] for i in missing]), strict=True):
                replies[i] = reply
        for reply in replies:
            _raise_if_error(reply)
        return replies

    async def _pipeline(self, calls: Sequence[_Call]) -> list[Any]:
        if not calls:
            return []
        pipeline: Any = self._client.pipeline(transaction=False)
        for partition, function, arguments in calls:
            pipeline.execute_command("FCALL", function, 1, _ready_key(partition), *arguments)
        with _translated():
            replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies


def _deliver_arguments(partition: int, mails: Sequence[Mail]) -> _Arguments:
    marks: dict[int, int] = {}
    by_customer: defaultdict[str, list[bytes]] = defaultdict(list)
    for mail in mails:
        marks[mail.source] = max(mail.position, marks.get(mail.source, 0))
        by_customer[member_of(mail.team_id, mail.customer_id)].append(encode(mail))
    arguments: _Arguments = [POKE_CHANNEL, partition, len(marks)]
    for source, position in marks.items():
        arguments += (int(source), position)  # the driver would write an enum by its name
    for member, payloads in by_customer.items():
        arguments += (member, len(payloads), *payloads)
    return arguments


def _taken(partition: int, member: bytes, last_entry_id: bytes, payloads: Sequence[bytes]) -> TakenMailbox:
    mails = [mail for payload in payloads if (mail := _decoded(payload)) is not None]
    text = member.decode()
    return TakenMailbox(
        partition,
        DriverUUID(text[:32]),  # read, hashed and compared in C; customers are keys of much
        DriverUUID(text[32:]),
        mails,
        last_entry_id,
        undecodable=len(payloads) - len(mails),
    )


def _decoded(payload: bytes) -> Mail | None:
    try:
        return decode(payload)
    except msgspec.DecodeError:
        return None  # counted by the caller; one bad entry must not stop a partition


def _marks(reply: _Reply) -> QuietMarks:
    return {int(source): int(position) for source, position in zip(reply[2::2], reply[3::2], strict=True)}


def _note_refusal(result: Refusals, partition: int, reply: _Reply) -> bool:
    if reply[0] == b"FENCED":
        result.fenced.append(partition)
    elif reply[0] == b"LOST":
        result.lost.append(partition)
    return bool(reply[0] != b"OK")


def _is_function_missing(reply: object) -> bool:
    return isinstance(reply, ResponseError) and "unction not found" in str(reply)


def _raise_if_error(reply: object) -> None:
    if isinstance(reply, Exception):
        with _translated():
            raise reply


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what says "not now" into `MailboxUnavailable`; anything else is a fault of ours and stays as it
    is.
    """
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError, RedisClusterException, OSError) as error:
        raise MailboxUnavailable(f"redis: {error}") from error
    except ResponseError as error:
        # The driver's own classes drop the leading code of some answers, so both are looked at.
        if type(error) is not ResponseError or str(error).startswith(_SERVER_STATES):
            raise MailboxUnavailable(f"redis: {error}") from error
        raise
