"""What every `Mailbox` must do. A test class derives from `MailboxSuite` and gives the fixture
`installation`.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

import pytest

from libs.common.ids import PARTITIONS
from libs.common.mailbox import Depth, Mailbox, PutBack, Refusals, TakenMailbox, Trim
from libs.common.mailbox.errors import Fenced, MailboxLost
from libs.common.mailbox.mail import Mail, MailSource, encode
from libs.testing.mails import TEAM, Numberer, customers

P = 7
"""The partition of most cases."""
SOON_S = 0.05
LATEST_S = 30.0


@dataclass(frozen=True)
class Installation:
    """A mailbox server of its own."""

    open: Callable[[], Awaitable[Mailbox]]
    """The mailbox as another process sees it."""
    wipe: Callable[[], Awaitable[None]]
    """Let the server forget everything."""


def trims(boxes: Sequence[TakenMailbox], epoch: int) -> list[Trim]:
    """Everything of these boxes is done with."""
    return [Trim(b.partition, epoch, b.team_id, b.customer_id, b.last_entry_id) for b in boxes]


def numbers(box: TakenMailbox) -> list[int]:
    """Numbers of the mails, in order."""
    return [mail.number for mail in box.mails]


def who(box: TakenMailbox) -> tuple[UUID, UUID]:
    """Team and customer."""
    return box.team_id, box.customer_id


async def own(mailbox: Mailbox, epoch: int, *partitions: int) -> list[tuple[int, int]]:
    """Claim, and repair if need be, where nothing was lost that matters."""
    keys = [(partition, epoch) for partition in partitions]
    await mailbox.claim(keys)
    (await mailbox.repaired(keys)).check()
    return keys


async def taken(
    mailbox: Mailbox, epoch: int, customers_max: int = 500, mail_max: int = 100
) -> list[TakenMailbox]:
    """Take from the partition of most cases."""
    result = await mailbox.take([(P, epoch)], customers_max, mail_max)
    result.check()
    return result.taken


def three_customers() -> list[UUID]:
    """Three customers of the partition of most cases."""
    return list(islice(customers(P), 3))


class MailboxSuite:
    """The behaviour that owners, sources and onlookers rely on."""

    # ---- order and readiness ----

    async def test_mail_of_a_customer_comes_whole_and_in_order(self, installation: Installation) -> None:
        mailbox, post = await installation.open(), Numberer()
        await own(mailbox, 1, P)
        ann, bob, _ = three_customers()
        sent = [post.mail(who) for who in (ann, bob, ann, ann, bob)]
        await mailbox.deliver(sent[:3])
        await mailbox.deliver(sent[3:])
        boxes = await taken(mailbox, 1)
        assert [(b.team_id, b.customer_id) for b in boxes] == [(TEAM, ann), (TEAM, bob)]
        assert [b.mails for b in boxes] == [[sent[0], sent[2], sent[3]], [sent[1], sent[4]]]

    async def test_a_customer_is_ready_once(self, installation: Installation) -> None:
        mailbox, post = await installation.open(), Numberer()
        await own(mailbox, 1, P)
        ann = three_customers()[0]
        for _ in range(3):
            await mailbox.deliver([post.mail(ann), post.mail(ann)])
        assert (await mailbox.depths([P]))[P] == Depth(ready=1, taken=0)
        assert bool(await mailbox.holding([P])) is True
        assert [numbers(b) for b in await taken(mailbox, 1)] == [[1, 2, 3, 4, 5, 6]]
        assert await taken(mailbox, 1) == []

    async def test_who_waits_longest_is_taken_first(self, installation: Installation) -> None:
        mailbox, post = await installation.open(), Numberer()
        await own(mailbox, 1, P)
        for who in three_customers():
            await mailbox.deliver([post.mail(who)])
        first = await taken(mailbox, 1, customers_max=2)
        second = await taken(mailbox, 1, customers_max=2)
        assert [b.customer_id for b in first + second] == three_customers()

    async def test_what_is_taken_is_bounded_in_bytes_and_others_go_on(
        self, installation: Installation
    ) -> None:
        mailbox, post = await installation.open(), Numberer()
        await own(mailbox, 1, P)
        ann, bob, cid = three_customers()
        large = [post.large(ann, 60_000) for _ in range(50)]
        await mailbox.deliver(
            [*large[:25], post.mail(bob), *large[25:], *(post.mail(cid) for _ in range(40))]
        )
        result = await mailbox.take([(P, 1)], 500, 100, 200_000, 10_000_000)
        # The fourth has as much: that is all of hers for now, and nobody else is kept waiting.
        assert [(who(box)[1], numbers(box), box.more) for box in result.taken] == [
            (ann, [1, 2, 3, 4], True),
            (bob, [1], False),
            (cid, [*range(1, 41)], False),
        ]
        assert not result.full
        await mailbox.trim(trims(result.taken, 1))
        seen = [4]
        while boxes := (await mailbox.take([(P, 1)], 500, 100, 1_000_000, 10_000_000)).taken:
            seen.append(numbers(boxes[0])[-1])
            assert sum(len(encode(mail)) for mail in boxes[0].mails) < 1_100_000
            await mailbox.trim(trims(boxes, 1))
        assert seen == [4, 21, 38, 50]

    async def test_a_take_ends_with_the_customer_with_whom_it_is_full(
        self, installation: Installation
    ) -> None:
        mailbox, post = await installation.open(), Numberer()
        await own(mailbox, 1, P)
        people = three_customers()
        for each in people:
            await mailbox.deliver([post.large(each, 60_000) for _ in range(3)])
        first = await mailbox.take([(P, 1)], 500, 100, 1_000_000, 200_000)
        assert [who(box)[1] for box in first.taken] == people[:2]
        assert first.full
        second = await mailbox.take([(P, 1)], 500, 100, 1_000_000, 200_000)
        assert [who(box)[1] for box in second.taken] == people[2:], "they kept their places"
        assert not second.full
        assert [box.more for box in (*first.taken, *second.taken)] == [False] * 3

    async def test_what_is_left_makes_the_customer_ready_again(self, installation: Installation) -> None:
        mailbox, post = await installation.open(), Numberer()
        await own(mailbox, 1, P)
        ann = three_customers()[0]
        await mailbox.deliver([post.mail(ann) for _ in range(5)])
        seen = []
        while boxes := await taken(mailbox, 1, mail_max=2):
            seen += [numbers(b) for b in boxes]
            await mailbox.trim(trims(boxes, 1))
        assert seen == [[1, 2], [3, 4], [5]]
        assert (await mailbox.depths([P]))[P] == Depth(0, 0)
        assert bool(await mailbox.holding([P])) is False
        assert await mailbox.peek(TEAM, ann) == []

    async def test_mail_that_arrives_while_taken_waits_for_the_trim(self, installation: Installation) -> None:
        mailbox, post = await installation.open(), Numberer()
        await own(mailbox, 1, P)
        ann = three_customers()[0]
        await mailbox.deliver([post.mail(ann)])
        boxes = await taken(mailbox, 1)
        await mailbox.deliver([post.mail(ann)])
        assert await taken(mailbox, 1) == [], "one turn at a time"
        assert await mailbox.trim(trims(boxes, 1)) == {}, "not quiet: there is more"
        assert [numbers(b) for b in await taken(mailbox, 1)] == [[2]]

    async def test_a_trim_said_twice_does_nothing_the_second_time(self, installation: Installation) -> None:
        mailbox, post = await installation.open(), Numberer()
        await own(mailbox, 1, P)
        ann = three_customers()[0]
        await mailbox.deliver([post.mail(ann), post.mail(ann)])
        first = await taken(mailbox, 1, mail_max=1)
        await mailbox.trim(trims(first, 1))
        second = await taken(mailbox, 1, mail_max=1)
        await mailbox.trim(trims(first, 1))
        assert (await mailbox.depths([P]))[P] == Depth(ready=0, taken=1)
        assert bool(await mailbox.holding([P])) is True
        await mailbox.trim(trims(second, 1))
        await mailbox.trim(trims(second, 1))
        assert (await mailbox.depths([P]))[P] == Depth(0, 0)
        assert bool(await mailbox.holding([P])) is False

    async def test_put_back_is_first_in_the_line(self, installation: Installation) -> None:
        mailbox, post = await installation.open(), Numberer()
        await own(mailbox, 1, P)
        ann, bob, cid = three_customers()
        await mailbox.deliver([post.mail(who) for who in (ann, bob, cid)])
        boxes = await taken(mailbox, 1, customers_max=2)
        await mailbox.put_back([PutBack(b.partition, 1, b.team_id, b.customer_id) for b in boxes])
        assert [b.customer_id for b in await taken(mailbox, 1)] == [ann, bob, cid]

    # ---- many partitions ----

    async def test_places_go_where_the_customers_are(self, installation: Installation) -> None:
        mailbox, post = await installation.open(), Numberer()
        keys = await own(mailbox, 1, *range(PARTITIONS))
        await mailbox.deliver([post.mail(who) for who in islice(customers(P), 40)])
        await mailbox.deliver([post.mail(who) for who in islice(customers(P + 1), 3)])
        boxes = (await mailbox.take(keys, 30, 10)).taken
        assert len(boxes) == 30
        assert sum(b.partition == P + 1 for b in boxes) <= 3
        rest = (await mailbox.take(keys, 100, 10)).taken
        assert len({b.customer_id for b in boxes + rest}) == 43

    async def test_fewer_places_than_partitions(self, installation: Installation) -> None:
        mailbox, post = await installation.open(), Numberer()
        keys = await own(mailbox, 1, *range(PARTITIONS))
        await mailbox.deliver([post.mail(who) for who in islice(customers(PARTITIONS - 1), 3)])
        assert len((await mailbox.take(keys, 2, 10)).taken) == 2

    async def test_places_are_shared_out_evenly_first(self, installation: Installation) -> None:
        mailbox, post = await installation.open(), Numberer()
        keys = await own(mailbox, 1, P, P + 1, P + 2, P + 3)
        for partition, count in ((P, 20), (P + 1, 5), (P + 2, 1)):
            await mailbox.deliver([post.mail(who) for who in islice(customers(partition), count)])
        result = await mailbox.take(keys, 18, 10)
        assert Counter(b.partition for b in result.taken) == {P: 12, P + 1: 5, P + 2: 1}
        assert Counter(b.partition for b in (await mailbox.take(keys, 18, 10)).taken) == {P: 8}

    async def test_everybody_everywhere_comes_whole_and_in_order(self, installation: Installation) -> None:
        mailbox, post = await installation.open(), Numberer()
        keys = await own(mailbox, 1, *range(PARTITIONS))
        everybody = [who for p in range(PARTITIONS) for who in islice(customers(p), 3)]
        sent = [post.mail(who) for _ in range(2) for who in everybody]
        await mailbox.deliver(sent)
        boxes = (await mailbox.take(keys, 500, 10)).taken
        assert {b.customer_id: numbers(b) for b in boxes} == {who: [1, 2] for who in everybody}
        assert [mail for b in boxes for mail in b.mails] == sorted(
            sent, key=lambda mail: (mail.partition, everybody.index(mail.customer_id), mail.number)
        )
        marks = await mailbox.trim(trims(boxes, 1))
        assert marks == {p: {MailSource.SEGMENT: 6} for p in range(PARTITIONS)}
        assert await mailbox.holding(range(PARTITIONS)) == 0

    # ---- owners ----

    async def test_an_older_epoch_is_fenced(self, installation: Installation) -> None:
        old, new, post = await installation.open(), await installation.open(), Numberer()
        await own(old, 1, P)
        await old.deliver([post.mail(who) for who in three_customers()])
        boxes = await taken(old, 1, customers_max=1)
        assert (await new.claim([(P, 2)])).lost == []
        with pytest.raises(Fenced):
            await taken(old, 1)
        assert await old.trim(trims(boxes, 1)) == {}
        await old.put_back([PutBack(P, 1, b.team_id, b.customer_id) for b in boxes])
        assert (await old.claim([(P, 1)])).fenced == [P]
        assert (await old.repaired([(P, 1)])).fenced == [P]
        assert len(await taken(new, 2)) == 3, "nothing was trimmed"

    async def test_a_claim_makes_taken_customers_ready(self, installation: Installation) -> None:
        old, new, post = await installation.open(), await installation.open(), Numberer()
        await own(old, 1, P)
        await old.deliver([post.mail(who) for who in three_customers()])
        held = await taken(old, 1, customers_max=2)
        assert (await new.claim([(P, 2)])) == (await new.repaired([(P, 2)]))
        boxes = await taken(new, 2)
        assert {b.customer_id for b in boxes[:2]} == {b.customer_id for b in held}, "they waited longest"
        assert len(boxes) == 3

    async def test_a_refused_partition_does_not_stop_the_others(self, installation: Installation) -> None:
        mailbox, other, post = await installation.open(), await installation.open(), Numberer()
        await own(mailbox, 1, P, P + 1)
        await other.claim([(P, 2)])
        await mailbox.deliver([post.mail(next(customers(p))) for p in (P, P + 1, P + 2)])
        result = await mailbox.take([(P, 1), (P + 1, 1), (P + 2, 1)], 10, 10)
        assert (result.fenced, result.lost) == ([P], [P + 2])
        assert [b.partition for b in result.taken] == [P + 1]

    async def test_each_partition_of_a_call_is_refused_or_served_by_itself(
        self, installation: Installation
    ) -> None:
        mailbox, other, post = await installation.open(), await installation.open(), Numberer()
        keys = await own(mailbox, 1, P, P + 1, P + 2, P + 4)
        await mailbox.deliver([post.mail(next(customers(p))) for p, _ in keys for _ in range(2)])
        boxes = (await mailbox.take(keys, 10, 1)).taken
        await other.claim([(P, 2)])
        assert (await mailbox.claim([(P, 1), (P + 3, 1)])) == Refusals(fenced=[P], lost=[P + 3])
        assert await mailbox.trim(trims(boxes[:3], 1)) == {}
        await mailbox.put_back([PutBack(P, 1, TEAM, next(customers(P))), PutBack(P + 4, 1, *who(boxes[3]))])
        result = await mailbox.take([*keys, (P + 3, 1)], 10, 10)
        assert (result.fenced, result.lost) == ([P], [P + 3])
        assert [(b.partition, numbers(b)) for b in result.taken] == [
            (P + 1, [2]),
            (P + 2, [2]),
            (P + 4, [1, 2]),
        ]
        assert (await mailbox.repaired([(P, 1), (P + 3, 1)])) == Refusals(fenced=[P])
        assert await mailbox.trim(trims(result.taken, 1)) == {
            p: {MailSource.SEGMENT: 2} for p in (P + 1, P + 2, P + 4)
        }
        assert await mailbox.depths([P, P + 1]) == {P: Depth(ready=1, taken=0), P + 1: Depth(0, 0)}

    # ---- loss ----

    async def test_a_new_server_is_lost_until_repaired(self, installation: Installation) -> None:
        mailbox = await installation.open()
        with pytest.raises(MailboxLost):
            await taken(mailbox, 1)
        assert (await mailbox.claim([(P, 1)])).lost == [P]
        with pytest.raises(MailboxLost):
            await taken(mailbox, 1)
        (await mailbox.repaired([(P, 1)])).check()
        assert await taken(mailbox, 1) == []

    async def test_a_wipe_is_seen_though_mail_came_since(self, installation: Installation) -> None:
        mailbox, post = await installation.open(), Numberer()
        await own(mailbox, 1, P)
        ann, bob, _ = three_customers()
        lost = [post.mail(ann), post.mail(ann)]
        await mailbox.deliver(lost)
        boxes = await taken(mailbox, 1, mail_max=1)
        await installation.wipe()
        await mailbox.deliver([post.mail(bob)])
        assert await mailbox.trim(trims(boxes, 1)) == {}, "no quiet marks: they would cover what is lost"
        with pytest.raises(MailboxLost):
            await taken(mailbox, 1)
        assert (await mailbox.claim([(P, 1)])).lost == [P]
        await mailbox.deliver(lost)
        (await mailbox.repaired([(P, 1)])).check()
        assert sorted(numbers(b) for b in await taken(mailbox, 1)) == [[1], [1, 2]]

    async def test_a_wipe_during_the_repair_is_seen(self, installation: Installation) -> None:
        mailbox = await installation.open()
        await mailbox.claim([(P, 1)])
        await installation.wipe()
        assert (await mailbox.repaired([(P, 1)])).lost == [P]
        await own(mailbox, 1, P)

    async def test_an_unfinished_repair_is_left_to_the_next_owner(self, installation: Installation) -> None:
        old, new = await installation.open(), await installation.open()
        await old.claim([(P, 1)])
        assert (await new.claim([(P, 2)])).lost == [P]
        assert (await old.repaired([(P, 1)])).fenced == [P]

    # ---- quiet marks ----

    async def test_quiet_marks_come_with_the_last_trim(self, installation: Installation) -> None:
        mailbox, post, gateway = await installation.open(), Numberer(), Numberer(MailSource.GATEWAY)
        await own(mailbox, 1, P)
        ann, bob, _ = three_customers()
        mails: list[Mail] = [post.mail(ann), post.mail(bob)]
        post.skip(P, 5)
        await mailbox.deliver([*mails, post.mail(bob), gateway.mail(ann)])
        boxes = await taken(mailbox, 1)
        assert await mailbox.trim(trims(boxes[:1], 1)) == {}
        assert await mailbox.trim(trims(boxes[1:], 1)) == {P: {MailSource.SEGMENT: 8, MailSource.GATEWAY: 1}}

    async def test_a_repetition_moves_no_mark_back(self, installation: Installation) -> None:
        mailbox, post = await installation.open(), Numberer()
        await own(mailbox, 1, P)
        ann = three_customers()[0]
        first, second = post.mail(ann), post.mail(ann)
        await mailbox.deliver([first, second])
        await mailbox.deliver([first])
        boxes = await taken(mailbox, 1)
        assert numbers(boxes[0]) == [1, 2, 1], "doubles are the actor's to drop"
        assert await mailbox.trim(trims(boxes, 1)) == {P: {MailSource.SEGMENT: 2}}

    # ---- onlookers ----

    async def test_peek_leaves_the_mail(self, installation: Installation) -> None:
        mailbox, post = await installation.open(), Numberer()
        ann = three_customers()[0]
        sent = [post.mail(ann) for _ in range(3)]
        await mailbox.deliver(sent)
        assert [peeked.mail for peeked in await mailbox.peek(TEAM, ann, limit=2)] == sent[:2]
        assert [peeked.mail for peeked in await mailbox.peek(TEAM, ann)] == sent

    async def test_depths_of_empty_partitions(self, installation: Installation) -> None:
        mailbox = await installation.open()
        assert await mailbox.depths([0, P]) == {0: Depth(0, 0), P: Depth(0, 0)}

    async def test_mail_is_counted_up_to_a_bound_whoever_has_it(self, installation: Installation) -> None:
        mailbox, post = await installation.open(), Numberer()
        await own(mailbox, 1, P)
        ann, bob, cid = three_customers()
        await mailbox.deliver([post.mail(who) for who in (ann, ann, bob, cid, cid, cid)])
        assert await mailbox.mail_counts([0, P], 100) == {0: 0, P: 6}
        await mailbox.take([(P, 1)], 2, 10)
        assert await mailbox.mail_counts([P], 100) == {P: 6}
        assert await mailbox.mail_counts([P], 4) == {P: 4}

    # ---- wakes ----

    async def test_who_begins_to_listen_looks_everywhere(self, installation: Installation) -> None:
        mailbox = await installation.open()
        assert await mailbox.wait_woken(LATEST_S) == set(range(PARTITIONS))
        assert await mailbox.wait_woken(SOON_S) == set()

    async def test_wakes_are_kept_until_asked_for(self, installation: Installation) -> None:
        listener, source, post = await installation.open(), await installation.open(), Numberer()
        await listener.wait_woken(LATEST_S)
        await source.deliver([post.mail(next(customers(p))) for p in (P, P + 1)])
        heard: set[int] = set()
        async with asyncio.timeout(LATEST_S):
            while heard != {P, P + 1}:
                heard |= await listener.wait_woken(SOON_S)

    async def test_no_wake_for_a_customer_who_is_not_made_ready(self, installation: Installation) -> None:
        mailbox, post = await installation.open(), Numberer()
        await mailbox.wait_woken(LATEST_S)
        ann = three_customers()[0]
        await mailbox.deliver([post.mail(ann)])
        assert await mailbox.wait_woken(LATEST_S) == {P}
        await mailbox.deliver([post.mail(ann)])
        assert await mailbox.wait_woken(SOON_S) == set()
