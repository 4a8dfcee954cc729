"""The way to the servers: one connection pool, one message for as many partitions as can share it, and what a
server's refusal means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import msgspec
from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from libs.common.ids import PARTITIONS
from libs.common.mailbox.errors import MailboxUnavailable
from libs.common.mailbox.library import Client, ensure_loaded
from libs.common.mailbox.wakes import WAKE_CHANNEL

CALL_TIMEOUT_S: Final = 5.0
"""A call that takes longer is given up; a partition's call takes some milliseconds at most."""
CONNECT_TIMEOUT_S: Final = 2.0
CLUSTER: Final = "+cluster"
"""In the scheme of an address: any node of a cluster, or several of them."""
DEFAULT_PORT: Final = 6379
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

_GONE: Final = (RedisConnectionError, RedisTimeoutError, OSError)
_CLOSED: Final = "the handler is closed"
"""In what uvloop says of a connection that was closed between two writes to it."""

Reply = list[Any]
Arguments = list[msgspec.Raw | str | int]
Call = tuple[int, Arguments]
"""Partition, arguments."""
Message = tuple[str, Sequence[int], bytes]
"""Function, partitions, what it wants to know of them."""

READY: Final = [f"oj:{{{partition}}}:ready".encode() for partition in range(PARTITIONS)]
"""The keys that name partitions in a call."""
pack: Final = msgspec.msgpack.Encoder().encode


def connect(url: str) -> Client:
    """Make a client that speaks RESP2, keeps bytes as bytes and repeats nothing by itself. An address of a cluster may
    name several nodes, `redis+cluster://host:port,host:port`: it is found as long as one of them answers."""
    options: dict[str, Any] = {
        "protocol": 2,
        "socket_timeout": CALL_TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
    }
    if CLUSTER in url.partition("://")[0]:
        first, *others = nodes_of(url)
        nodes = [
            ClusterNode(parts.hostname or "", parts.port or DEFAULT_PORT) for parts in map(urlsplit, others)
        ]
        return RedisCluster.from_url(first, startup_nodes=nodes, **options)
    return Redis.from_url(url, **options)


def nodes_of(url: str) -> list[str]:
    """The address of each node that an address names, as of a single server."""
    parts = urlsplit(url.replace(CLUSTER, "", 1) if CLUSTER in url.partition("://")[0] else url)
    credentials, at, nodes = parts.netloc.rpartition("@")
    return [urlunsplit(parts._replace(netloc=f"{credentials}{at}{node}")) for node in nodes.split(",")]


def wake_client(url: str) -> Redis:
    """Make the client that hears wakes, of a single server or one node: they are published to every node of a
    cluster."""
    return Redis.from_url(
        url,
        protocol=2,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
    )


class Wire:
    """Says messages to the servers of an installation. Every call may raise `MailboxUnavailable`."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.apart = isinstance(client, RedisCluster)
        """Partitions may lie on different servers."""

    async def prepare(self) -> None:
        """Load the server-side functions if need be."""
        with translated():
            await ensure_loaded(self.client)

    async def call(self, function: str, calls: Sequence[Call]) -> list[Reply]:
        """Calls for one partition each, said in as few messages as there can be; answers in order."""
        groups = [[call] for call in calls] if self.apart else [calls] if calls else []
        answers = await self.send(
            [(function, [p for p, _ in group], pack([a for _, a in group])) for group in groups]
        )
        return [reply for answer in answers for reply in answer]

    async def send(self, messages: Sequence[Message]) -> list[list[Reply]]:
        """Answers in order. Loads the functions where a server has forgotten them."""
        answers = await self.exchange(messages)
        missing = [i for i, answer in enumerate(answers) if _is_function_missing(answer)]
        if missing:
            await self.prepare()
            for i, answer in zip(missing, await self.exchange([messages[i] for i in missing]), strict=True):
                answers[i] = answer
        for answer in answers:
            _raise_if_error(answer)
        return answers

    async def exchange(self, messages: Sequence[Message]) -> list[Any]:
        """One round trip; an error of the server stands in the place of its answer."""
        commands = [
            (
                "FCALL",
                f"{function}_many",
                len(partitions),
                *[READY[p] for p in partitions],
                wanted,
                WAKE_CHANNEL,
            )
            for function, partitions, wanted in messages
        ]
        if isinstance(self.client, RedisCluster):
            return await self._ask_nodes(self.client, commands) if commands else []
        with translated():
            return [await self._ask(command) for command in commands]

    async def _ask_nodes(self, client: RedisCluster, commands: Sequence[Sequence[Any]]) -> list[Any]:
        pipeline: Any = client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        try:
            with translated():
                answers: list[Any] = await pipeline.execute(raise_on_error=False)
        except MailboxUnavailable:
            await _let_connections_go(client)
            raise
        if any(_is_gone(answer) for answer in answers):
            await _let_connections_go(client)
        return answers

    async def _ask(self, command: Sequence[Any]) -> Any:
        try:
            return await self.client.execute_command(*command)
        except ResponseError as error:
            return error


async def _let_connections_go(client: RedisCluster) -> None:
    """Lets idle ones connect again. A cluster's driver, other than a single server's, does not see that one died while
    it was idle: after a node's restart each of them would cost a call."""
    for node in client.get_nodes():
        await node.disconnect_free_connections()


def as_text(payload: bytes) -> msgspec.Raw:
    """Bytes as msgpack text, as which servers read any bytes; of msgpack's own kind of bytes they know nothing."""
    size = len(payload)
    head = b"\xd9%c" % size if size < 0x100 else b"\xdb" + size.to_bytes(4, "big")
    return msgspec.Raw(head + payload)


def _is_gone(answer: object) -> bool:
    """Whether the connection was. A write to one that was just closed the event loop answers by a class of its own."""
    return isinstance(answer, _GONE) or (isinstance(answer, RuntimeError) and _CLOSED in str(answer))


def _is_function_missing(reply: object) -> bool:
    return isinstance(reply, ResponseError) and "unction not found" in str(reply)


def _raise_if_error(reply: object) -> None:
    if isinstance(reply, Exception):
        with translated():
            raise reply


@contextmanager
def translated() -> Iterator[None]:
    """Turn what says "not now" into `MailboxUnavailable`; anything else is a fault of ours and stays as it
    is.
    """
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError, RedisClusterException, OSError) as error:
        raise MailboxUnavailable(f"redis: {error}") from error
    except RuntimeError as error:
        if not _is_gone(error):
            raise
        raise MailboxUnavailable(f"redis: {error}") from error
    except ResponseError as error:
        # The driver's own classes drop the leading code of some answers, so both are looked at.
        if type(error) is not ResponseError or str(error).startswith(_SERVER_STATES):
            raise MailboxUnavailable(f"redis: {error}") from error
        raise
