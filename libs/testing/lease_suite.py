"""What every keeper of leases must do. A test class derives from `LeaseSuite` and gives the fixture `site`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from libs.common.ids import PARTITIONS
from libs.common.mailbox.errors import Fenced

LONG_S = 30.0
SHORT_S = 0.3


class Keeper(Protocol):
    """A keeper whose rounds the test makes."""

    async def renew(self) -> None:
        """One round."""
        ...

    async def hand_back(self) -> None:
        """Lets go of everything."""
        ...


@dataclass
class Holder:
    """A worker as its keeper sees it: what it was leases last."""

    name: str
    leases: dict[int, int] = field(default_factory=dict)
    keeper: Keeper | None = None

    def hear(self, leases: Mapping[int, int]) -> None:
        """All that is held now."""
        self.leases = dict(leases)

    async def renew(self) -> None:
        """One round."""
        assert self.keeper is not None
        await self.keeper.renew()

    async def hand_back(self) -> None:
        """The worker ends as it should."""
        assert self.keeper is not None
        await self.keeper.hand_back()


@dataclass(frozen=True)
class LeaseSite:
    """Leases of an installation of its own."""

    keeper: Callable[[Holder, float], Keeper]
    """A keeper for a worker, by the length of its leases."""
    check: Callable[[Mapping[int, int]], Awaitable[None]]
    """The fence, in a transaction of its own."""
    pass_by: Callable[[float], Awaitable[None]]
    """Lets real time pass."""

    def holder(self, name: str, lease_s: float = LONG_S) -> Holder:
        """A worker."""
        made = Holder(name)
        made.keeper = self.keeper(made, lease_s)
        return made


async def rounds(*holders: Holder, count: int = 3) -> None:
    """Some rounds of everybody, one after the other."""
    for _ in range(count):
        for each in holders:
            await each.renew()


def sizes(*holders: Holder) -> list[int]:
    """How many each one holds; nobody holds what another does."""
    held = [partition for each in holders for partition in each.leases]
    assert len(held) == len(set(held)), "two owners of one partition"
    return [len(each.leases) for each in holders]


class LeaseSuite:
    """One owner each, fair shares, epochs that grow, and a fence that holds."""

    async def test_one_worker_holds_all(self, site: LeaseSite) -> None:
        ann = site.holder("ann")
        await ann.renew()
        assert ann.leases == dict.fromkeys(range(PARTITIONS), 1)

    async def test_workers_share_evenly_as_they_come(self, site: LeaseSite) -> None:
        ann, bob, cid = (site.holder(name) for name in ("ann", "bob", "cid"))
        await rounds(ann)
        await rounds(ann, bob)
        assert sizes(ann, bob) == [32, 32]
        await rounds(ann, bob, cid)
        assert sizes(ann, bob, cid) == [22, 22, 20]
        assert set(ann.leases.values()) == {1}, "what is kept keeps its epoch"
        assert min(cid.leases.values()) >= 2

    async def test_handing_back_is_not_waiting_for_the_end_of_a_lease(self, site: LeaseSite) -> None:
        ann, bob = site.holder("ann"), site.holder("bob")
        await ann.renew()
        await ann.hand_back()
        await bob.renew()
        assert sizes(bob) == [PARTITIONS]
        assert set(bob.leases.values()) == {2}

    async def test_a_worker_that_vanished_is_replaced_when_its_leases_end(self, site: LeaseSite) -> None:
        ann, bob = site.holder("ann", SHORT_S), site.holder("bob")
        await ann.renew()
        await bob.renew()
        assert bob.leases == {}, "nothing is free while the leases last"
        await site.pass_by(2 * SHORT_S)
        await bob.renew()
        assert bob.leases == dict.fromkeys(range(PARTITIONS), 2)

    async def test_leases_that_are_renewed_do_not_end(self, site: LeaseSite) -> None:
        ann, bob = site.holder("ann"), site.holder("bob", SHORT_S)
        await rounds(ann, bob)
        before = dict(ann.leases)
        await site.pass_by(2 * SHORT_S)
        await ann.renew()
        assert before.items() <= ann.leases.items()
        assert sizes(ann) == [PARTITIONS]

    async def test_the_owner_passes_the_fence_and_a_former_one_does_not(self, site: LeaseSite) -> None:
        ann, bob = site.holder("ann"), site.holder("bob")
        await ann.renew()
        before = dict(ann.leases)
        await site.check(before)
        await rounds(ann, bob)
        await site.check(ann.leases)
        await site.check(bob.leases)
        with pytest.raises(Fenced) as fenced:
            await site.check(before)
        assert set(fenced.value.partitions) == set(bob.leases)

    async def test_a_lease_that_ended_holds_until_somebody_takes_it(self, site: LeaseSite) -> None:
        ann = site.holder("ann", SHORT_S)
        await ann.renew()
        await site.pass_by(2 * SHORT_S)
        await site.check(ann.leases)

    async def test_a_zombie_that_wakes_up_is_fenced(self, site: LeaseSite) -> None:
        ann, bob = site.holder("ann", SHORT_S), site.holder("bob", SHORT_S)
        await ann.renew()
        asleep = dict(ann.leases)
        await site.pass_by(2 * SHORT_S)
        await bob.renew()
        with pytest.raises(Fenced):
            await site.check(asleep)
        await ann.renew()
        assert not set(ann.leases) & set(bob.leases)
