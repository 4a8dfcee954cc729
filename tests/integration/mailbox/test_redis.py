"""The mailbox in Redis: the common behaviour, and what can happen only with a server."""

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from itertools import islice
from typing import Any

import pytest

from libs.common.ids import PARTITIONS
from libs.common.mailbox import (
    Depth,
    MailboxOfAnother,
    MailboxUnavailable,
    RedisMailbox,
    library,
    open_mailbox,
    redis_mailbox,
)
from libs.common.mailbox.mail import decode, encode
from libs.common.mailbox.wire import Message, Wire, pack
from libs.testing import redis_servers
from libs.testing.mailbox_suite import (
    LATEST_S,
    Installation,
    MailboxSuite,
    P,
    numbers,
    own,
    taken,
    trims,
)
from libs.testing.mails import TEAM, Numberer, customers
from libs.testing.redis_servers import RedisServer


class TestRedisMailbox(MailboxSuite):
    """The suite, on every make of server."""


async def test_functions_that_the_server_forgot_are_loaded_again(
    installation: Installation, servers: list[RedisServer]
) -> None:
    mailbox = await installation.open()
    await own(mailbox, 1, P)
    for server in servers:
        with server.client() as client:
            client.function_flush()
    await mailbox.deliver([Numberer().mail(next(customers(P)))])
    assert len(await taken(mailbox, 1)) == 1


async def test_an_older_library_is_replaced_and_a_newer_one_kept(
    url: str, servers: list[RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded() -> int:
        with servers[0].client() as client:
            reply: Any = client.fcall_ro("oj_version", 0)
            return int(reply[0])

    for version, expected in [
        (library.VERSION + 1, library.VERSION + 1),
        (library.VERSION, library.VERSION + 1),
    ]:
        monkeypatch.setattr(library, "VERSION", version)
        async with open_mailbox(url):
            assert loaded() == expected
    for server in servers:
        with server.client() as client:
            client.function_flush()
    async with open_mailbox(url):
        assert loaded() == library.VERSION


async def test_a_server_is_of_one_installation_until_it_is_empty_again(
    url: str, servers: list[RedisServer]
) -> None:
    async with open_mailbox(url, "1/2 here:5432/shop"):
        pass
    async with open_mailbox(url, "1/2 moved:5432/shop"), open_mailbox(url):
        pass
    with pytest.raises(MailboxOfAnother, match="whose database is here:5432/shop: each needs a Redis"):
        async with open_mailbox(url, "1/3 here:5432/other"):
            pass
    for server in servers:
        with server.client() as client:
            client.flushall()
    async with open_mailbox(url, "1/3 here:5432/other"):
        pass


async def test_the_functions_serve_callers_of_the_first_version(installation: Installation) -> None:
    """Processes of two versions share a server while an installation is brought up to date."""
    mailbox, ann = await installation.open(), next(customers(P))
    await own(mailbox, 1, P)
    assert isinstance(mailbox, RedisMailbox)
    call, key = mailbox._wire.client.execute_command, f"oj:{{{P}}}:ready"
    member, mail = TEAM.hex + ann.hex, Numberer().mail(ann)
    delivery = ("oj:wake", P, 1, 1, 1, member, 1, encode(mail))
    assert await call("FCALL", "oj_deliver", 1, key, *delivery) == [b"OK"]
    assert await call("FCALL", "oj_depth", 1, key) == [b"OK", 1, 0]
    status, (name, entry, payload) = await call("FCALL", "oj_take", 1, key, 1, 0, 10, 10)
    assert (status, name, decode(payload)) == (b"OK", member.encode(), mail)
    assert await call("FCALL", "oj_trim", 1, key, 1, 0, member, entry) == [b"OK", 1, b"1", b"1"]
    assert await call("FCALL", "oj_claim", 1, key, 0, 0) == [b"FENCED"]


async def test_many_customers_and_long_mailboxes(installation: Installation) -> None:
    """More members than Lua unpacks at once."""
    mailbox, post = await installation.open(), Numberer()
    await own(mailbox, 1, P)
    everybody = list(islice(customers(P), 2_500))
    await mailbox.deliver([post.mail(who) for who in everybody])
    await mailbox.deliver([post.mail(everybody[0]) for _ in range(3_000)])
    boxes = await taken(mailbox, 1, customers_max=10_000, mail_max=10_000)
    assert [len(b.mails) for b in boxes] == [3_001] + [1] * 2_499
    assert list(await mailbox.trim(trims(boxes, 1))) == [P]
    assert (await mailbox.depths([P]))[P] == Depth(0, 0)


async def test_an_empty_mailbox_leaves_no_key(installation: Installation, servers: list[RedisServer]) -> None:
    mailbox, post = await installation.open(), Numberer()
    await own(mailbox, 1, P)
    await mailbox.deliver([post.mail(who) for who in islice(customers(P), 10)])
    await mailbox.trim(trims(await taken(mailbox, 1), 1))
    left: set[str] = set()
    for server in servers:
        with server.client() as client:
            keys: Any = client.keys("*")
            left |= {key.decode() for key in keys}
    assert left == {f"oj:{{{P}}}:owner", f"oj:{{{P}}}:hwm"}


async def test_an_entry_that_is_no_mail_stops_nobody(
    installation: Installation, servers: list[RedisServer]
) -> None:
    mailbox, post = await installation.open(), Numberer()
    assert isinstance(mailbox, RedisMailbox)
    await own(mailbox, 1, P)
    ann = next(customers(P))
    await mailbox.deliver([post.mail(ann)])
    await mailbox._wire.client.xadd(f"oj:{{{P}}}:m:{TEAM.hex}{ann.hex}", {"m": b"rubbish"})
    await mailbox.deliver([post.mail(ann)])
    boxes = await taken(mailbox, 1)
    assert (numbers(boxes[0]), boxes[0].undecodable) == ([1, 2], 1)
    assert [peeked.mail is None for peeked in await mailbox.peek(TEAM, ann)] == [False, True, False]
    await mailbox.trim(trims(boxes, 1))
    assert await mailbox.peek(TEAM, ann) == []


# ---- answers that get lost ----


class DeafWire(Wire):
    """Does not hear the answers to the functions named, or is not heard when it calls them."""

    deaf_to: Sequence[str] = ()
    mute_to: Sequence[str] = ()

    async def exchange(self, messages: Sequence[Message]) -> list[Any]:
        if messages and messages[0][0] in self.mute_to:
            raise MailboxUnavailable("the call got lost")
        answers = await super().exchange(messages)
        if messages and messages[0][0] in self.deaf_to:
            raise MailboxUnavailable("the answer got lost")
        return answers


@pytest.fixture
async def mailbox(installation: Installation) -> RedisMailbox:
    """A mailbox in which three customers wait."""
    mailbox = await installation.open()
    assert isinstance(mailbox, RedisMailbox)
    await own(mailbox, 1, P)
    post = Numberer()
    await mailbox.deliver([post.mail(who) for who in islice(customers(P), 3) for _ in range(2)])
    return mailbox


@pytest.fixture
def wire(mailbox: RedisMailbox) -> DeafWire:
    """Its wire; the test controls the hearing."""
    mailbox._wire = wire = DeafWire(mailbox._wire.client)
    return wire


async def test_customers_of_a_take_that_was_not_heard_are_taken_again(
    mailbox: RedisMailbox, wire: DeafWire
) -> None:
    held = await taken(mailbox, 1, customers_max=1)
    wire.deaf_to = ["oj_take"]
    with pytest.raises(MailboxUnavailable):
        await taken(mailbox, 1)
    assert (await mailbox.depths([P]))[P] == Depth(ready=0, taken=3)
    wire.deaf_to = []
    boxes = await taken(mailbox, 1)
    assert len(boxes) == 2
    assert held[0].customer_id not in {b.customer_id for b in boxes}, "one turn at a time"


async def test_a_trim_that_was_not_heard_is_not_done_twice(mailbox: RedisMailbox, wire: DeafWire) -> None:
    boxes = await taken(mailbox, 1, customers_max=1, mail_max=1)
    wire.deaf_to = ["oj_trim"]
    with pytest.raises(MailboxUnavailable):
        await mailbox.trim(trims(boxes, 1))
    wire.deaf_to = []
    again = await taken(mailbox, 1)
    assert {b.customer_id: numbers(b) for b in again}[boxes[0].customer_id] == [2]
    assert (await mailbox.depths([P]))[P] == Depth(ready=0, taken=3)


async def test_a_trim_that_never_arrived_is_done_before_the_next_take(
    mailbox: RedisMailbox, wire: DeafWire
) -> None:
    boxes = await taken(mailbox, 1, customers_max=2, mail_max=1)
    wire.mute_to = ["oj_trim"]
    with pytest.raises(MailboxUnavailable):
        await mailbox.trim(trims(boxes, 1))
    with pytest.raises(MailboxUnavailable):
        await taken(mailbox, 1)
    wire.mute_to = []
    again = {b.customer_id: numbers(b) for b in await taken(mailbox, 1)}
    assert [again[b.customer_id] for b in boxes] == [[2], [2]]
    assert len(again) == 3


async def test_a_take_that_arrives_late_is_stale(mailbox: RedisMailbox, wire: DeafWire) -> None:
    late = redis_mailbox._take_message(
        [(P, 1)], 10, redis_mailbox._Bounds(10, 10, 1_000, 1_000), 1_000, {P: mailbox._checkout.attempt(P)}
    )
    wire.deaf_to = ["oj_take"]
    with pytest.raises(MailboxUnavailable):
        await taken(mailbox, 1)
    wire.deaf_to = []
    assert len(await taken(mailbox, 1, customers_max=1)) == 1
    assert await wire.exchange([late]) == [[[b"STALE"]]]
    assert (await mailbox.depths([P]))[P] == Depth(ready=2, taken=1)


async def test_a_caller_that_names_no_bounds_in_bytes_takes_by_number(installation: Installation) -> None:
    """As processes of version 4 do, while an installation is brought up to date."""
    mailbox, post, ann = await installation.open(), Numberer(), next(customers(P))
    await own(mailbox, 1, P)
    assert isinstance(mailbox, RedisMailbox)
    mails = [post.large(ann, 60_000) for _ in range(30)]
    await mailbox.deliver(mails)
    [[[status, [_, _, *payloads]]]] = await mailbox._wire.exchange([("oj_take", [P], pack([10, 25, 1, 0]))])
    assert (status, [decode(payload) for payload in payloads]) == (b"OK", mails[:25])


# ---- servers that go ----


async def test_a_restarted_server_is_lost_even_with_data(own_server: RedisServer) -> None:
    """What a server wrote down may be older than what it had answered."""
    async with open_mailbox(own_server.url) as mailbox:
        await own(mailbox, 1, P)
        await mailbox.deliver([Numberer().mail(next(customers(P)))])
        own_server.stop()
        with pytest.raises(MailboxUnavailable):
            await taken(mailbox, 1)
        own_server.start()
        assert (await mailbox.depths([P]))[P] == Depth(ready=1, taken=0), "the data is there"
        assert (await mailbox.take([(P, 1)], 1, 1)).lost == [P]
        assert (await mailbox.claim([(P, 1)])).lost == [P]


async def test_wakes_are_heard_again_after_a_restart(own_server: RedisServer) -> None:
    async with open_mailbox(own_server.url) as mailbox:
        await mailbox.wait_woken(LATEST_S)
        own_server.stop(signal.SIGKILL)
        own_server.start()
        async with asyncio.timeout(LATEST_S):
            while await mailbox.wait_woken(LATEST_S) != set(range(PARTITIONS)):
                pass


async def test_no_server_at_all(own_server: RedisServer) -> None:
    own_server.stop()
    with pytest.raises(MailboxUnavailable):
        async with open_mailbox(own_server.url):
            pass


async def test_a_cluster_is_found_by_any_node_that_answers(own_cluster: list[RedisServer]) -> None:
    nodes = ",".join(f"127.0.0.1:{server.port}" for server in own_cluster)
    ann, post = next(customers()), Numberer()
    # Who is named first is not there; wakes come by way of another node.
    async with open_mailbox(f"redis+cluster://127.0.0.1:1,{nodes}/0") as mailbox:
        await mailbox.wait_woken(LATEST_S)
        await mailbox.deliver([post.mail(ann)])
        assert await mailbox.wait_woken(LATEST_S)


async def test_a_node_that_was_restarted_costs_one_call_and_not_one_a_connection(
    own_cluster: list[RedisServer],
) -> None:
    post = Numberer()
    ann = next(customers())
    address = own_cluster[0].url.replace("redis://", "redis+cluster://")
    async with open_mailbox(address) as mailbox:
        await asyncio.gather(*(mailbox.deliver([post.mail(ann)]) for _ in range(8)))
        for server in own_cluster:
            server.stop(signal.SIGKILL)
        for server in own_cluster:
            server.start()
        redis_servers.wait_until_whole(own_cluster)
        with contextlib.suppress(MailboxUnavailable):
            await mailbox.deliver([post.mail(ann)])
        await asyncio.gather(*(mailbox.deliver([post.mail(ann)]) for _ in range(8)))
