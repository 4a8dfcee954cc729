"""What every `TurnStorage` must do. A test class derives from `TurnStorageSuite` and gives the fixture `kept`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID, uuid5

import msgspec
import pytest

from libs.common.ids import partition_of
from libs.common.mailbox.errors import Fenced
from libs.common.mailbox.mail import MailSource
from libs.testing.mails import TEAM, customers
from services.journey.domain import effects as fx
from services.journey.domain.enrolment import Enrolment, EnrolmentState, Step, StepResult, WaitReason
from services.journey.domain.lifecycle import JourneyChanged
from services.journey.domain.model import ActorKey
from services.journey.domain.turn import Actor, RunSegment, TurnResult
from services.journey.store.turns_protocol import ActorChanged, LoadedTurns, TurnStorage

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
JOURNEY = UUID(int=100)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Kept:
    """A store, and the leases under which it may be written."""

    store: TurnStorage
    fence: Mapping[int, int]


def keys(count: int) -> list[ActorKey]:
    """So many customers."""
    return [ActorKey(partition_of(TEAM, c), TEAM, c) for c in islice(customers(), count)]


def asleep(key: ActorKey, wake_at: datetime | None, number: int = 1) -> TurnResult:
    """A turn that took a mail and put the customer to sleep, or ended the run without a time."""
    enrolment = Enrolment(
        enrolment_id=uuid5(key.customer_id, "run"),
        journey_id=JOURNEY,
        team_id=key.team_id,
        customer_id=key.customer_id,
        trigger_event_id=uuid5(key.customer_id, "event"),
        depth=0,
        created_at=NOW,
        state=EnrolmentState.LIVE if wake_at else EnrolmentState.COMPLETED,
        node_id="wait",
        wait=WaitReason.DELAY if wake_at else WaitReason.NONE,
        wake_at=wake_at,
    )
    taken: dict[int, int] = {MailSource.SEGMENT: number, MailSource.GATEWAY: 0, MailSource.JOURNEY: 0}
    actor = Actor(key.team_id, key.customer_id, taken, {JOURNEY: 1})
    return TurnResult(actor, wake_at, False, (enrolment,), (), (), {}, frozenset())


async def commit(kept: Kept, turns: Mapping[ActorKey, TurnResult]) -> None:
    """Commits turns that begin with what the store has."""
    await kept.store.commit(turns, await kept.store.load(list(turns)), {}, kept.fence, NOW)


async def keep(
    kept: Kept, evaluated: Mapping[ActorKey, tuple[fx.EvaluateAudience, fx.Verdict]]
) -> dict[ActorKey, fx.Verdict]:
    """Keeps verdicts of turns that begin with what the store has."""
    return await kept.store.keep_verdicts(evaluated, await kept.store.load(list(evaluated)), kept.fence)


def _evaluation(enrolment: Enrolment) -> fx.EvaluateAudience:
    """What the condition `which?` asks at its first visit."""
    key = fx.effect_key(enrolment.enrolment_id, "which?", 1)
    return fx.EvaluateAudience(key, enrolment.team_id, enrolment.customer_id, enrolment.enrolment_id, b"")


def _telling(
    turn: TurnResult,
    node_id: str,
    result: StepResult,
    state: EnrolmentState = EnrolmentState.LIVE,
) -> TurnResult:
    """The turn with one step more to tell of its enrolment."""
    [enrolment] = turn.enrolments
    step = Step(node_id, 1, result, NOW, entered=True)
    run_segment = RunSegment(enrolment.journey_id, enrolment.enrolment_id, False, (step,), state, NOW)
    told = msgspec.structs.replace(turn, run_segments=(run_segment,))
    if state is EnrolmentState.LIVE:
        return told
    ended = msgspec.structs.replace(enrolment, state=state, wait=WaitReason.NONE, wake_at=None)
    return msgspec.structs.replace(told, enrolments=(ended,), wake_at=None)


class TurnStorageSuite:
    """What the worker relies on."""

    async def test_what_is_committed_is_loaded(self, kept: Kept) -> None:
        [ann, bob] = keys(2)
        turn = asleep(ann, NOW + MINUTE)
        await commit(kept, {ann: turn})
        loaded = await kept.store.load([ann, bob])
        assert loaded.actors[ann] == turn.actor
        assert loaded.enrolments == {ann: list(turn.enrolments), bob: []}
        assert not any(loaded.actors[bob].taken.values())
        await commit(kept, {ann: asleep(ann, None, 2)})
        assert (await kept.store.load([ann])).enrolments == {ann: []}

    @pytest.mark.parametrize(
        ("wait", "wake_at"),
        [(WaitReason.NONE, None), (WaitReason.DELAY, None), (WaitReason.SEND, NOW + MINUTE)],
    )
    async def test_nobody_can_wait_for_nothing(
        self, kept: Kept, wait: WaitReason, wake_at: datetime | None
    ) -> None:
        [ann, bob] = keys(2)
        turn = asleep(bob, NOW + MINUTE)
        [enrolment] = turn.enrolments
        lost = msgspec.structs.replace(enrolment, wait=wait, wake_at=wake_at)
        turns = {ann: asleep(ann, NOW), bob: msgspec.structs.replace(turn, enrolments=(lost,))}
        with pytest.raises(ValueError, match=r"nothing would wake|without a rest"):
            await commit(kept, turns)
        assert (await kept.store.load([ann])).enrolments == {ann: []}

    async def test_several_live_enrolments_of_a_customer_are_all_kept(self, kept: Kept) -> None:
        [ann] = keys(1)
        turn = asleep(ann, NOW + MINUTE)
        [first] = turn.enrolments
        second, third = (
            msgspec.structs.replace(first, enrolment_id=UUID(int=n), created_at=NOW + n * MINUTE)
            for n in (1, 2)
        )
        await commit(kept, {ann: msgspec.structs.replace(turn, enrolments=(first, second))})
        ended = msgspec.structs.replace(
            first, state=EnrolmentState.COMPLETED, wait=WaitReason.NONE, wake_at=None
        )
        await commit(kept, {ann: msgspec.structs.replace(turn, enrolments=(ended, third))})
        moved = msgspec.structs.replace(second, node_id="later")
        await commit(kept, {ann: msgspec.structs.replace(turn, enrolments=(moved,))})
        assert (await kept.store.load([ann])).enrolments == {ann: [moved, third]}

    async def test_a_lost_lease_writes_nothing_of_the_batch(self, kept: Kept) -> None:
        [ann, bob] = keys(2)
        stale = {**kept.fence, bob.partition: kept.fence[bob.partition] + 1}
        turns = {key: asleep(key, NOW + MINUTE) for key in (ann, bob)}
        with pytest.raises(Fenced) as fenced:
            await commit(Kept(kept.store, stale), turns)
        assert fenced.value.partitions == [bob.partition]
        assert (await kept.store.load([ann])).enrolments == {ann: []}
        with pytest.raises(Fenced):
            await kept.store.park(bob, "poison", 8, stale)

    async def test_timers_are_found_when_due_but_for_parked_customers(self, kept: Kept) -> None:
        [ann, bob, cid] = keys(3)
        turns = {key: asleep(key, NOW + n * MINUTE) for n, key in enumerate((ann, bob, cid))}
        await commit(kept, turns)
        look = kept.store.look_at_timers
        both = [(NOW, ann), (NOW + MINUTE, bob)]
        assert await look(kept.fence, NOW + MINUTE, 10) == (both, NOW + 2 * MINUTE)
        assert await look(kept.fence, NOW + MINUTE, 1) == (both[:1], NOW)
        assert await look(kept.fence, NOW, 10) == (both[:1], NOW + MINUTE)
        assert (await look(kept.fence, NOW + 2 * MINUTE, 10)).before is None
        assert await look([], NOW + MINUTE, 10) == ([], None)
        await kept.store.park(ann, "poison", 8, kept.fence)
        assert (await look(kept.fence, NOW + MINUTE, 10)).found == both[1:]
        assert (await kept.store.load([ann, bob])).parked == {ann}

    async def test_the_first_verdict_holds_until_the_commit(self, kept: Kept) -> None:
        [ann] = keys(1)
        [enrolment] = asleep(ann, NOW).enrolments
        judge = fx.EvaluateAudience(
            uuid5(ann.customer_id, "visit"), TEAM, ann.customer_id, enrolment.enrolment_id, b""
        )
        first = await keep(kept, {ann: (judge, fx.Verdict(belongs=True))})
        again = await keep(kept, {ann: (judge, fx.Verdict(belongs=False))})
        assert first == again == {ann: fx.Verdict(belongs=True)}

    async def test_a_verdict_outlives_commits_that_do_not_tell_it(self, kept: Kept) -> None:
        """A lost run may have gone further than the one that is committed, and have acted on what it was told."""
        [ann] = keys(1)
        turn = asleep(ann, NOW)
        [enrolment] = turn.enrolments
        judge = _evaluation(enrolment)
        await keep(kept, {ann: (judge, fx.Verdict(belongs=True))})
        await commit(kept, {ann: _telling(turn, "before", StepResult.YES)})
        later = {ann: (judge, fx.Verdict(belongs=False))}
        assert await keep(kept, later) == {ann: fx.Verdict(belongs=True)}

    @pytest.mark.parametrize(
        ("node_id", "result", "state"),
        [
            ("which?", StepResult.NO, EnrolmentState.LIVE),
            ("wait", StepResult.HALTED, EnrolmentState.HALTED),
        ],
    )
    async def test_a_verdict_that_was_told_or_is_not_needed_is_forgotten(
        self, kept: Kept, node_id: str, result: StepResult, state: EnrolmentState
    ) -> None:
        [ann] = keys(1)
        turn = asleep(ann, NOW)
        judge = _evaluation(turn.enrolments[0])
        await keep(kept, {ann: (judge, fx.Verdict(belongs=True))})
        await commit(kept, {ann: _telling(turn, node_id, result, state)})
        later = {ann: (judge, fx.Verdict(belongs=False))}
        assert await keep(kept, later) == {ann: fx.Verdict(belongs=False)}

    async def test_what_a_commit_returns_is_what_is_stored(self, kept: Kept) -> None:
        [ann] = keys(1)
        loaded = await kept.store.load([ann])
        for number in (1, 2):
            turns = {ann: asleep(ann, NOW + MINUTE, number)}
            packed = await kept.store.commit(turns, loaded, {}, kept.fence, NOW)
            loaded = LoadedTurns({}, {}, set(), {}, {})
            loaded.add(ann, packed[ann])
            assert loaded == await kept.store.load([ann])

    async def test_who_began_before_another_commit_writes_nothing(self, kept: Kept) -> None:
        [ann, bob] = keys(2)
        for number in (1, 2):
            began = await kept.store.load([ann, bob])
            await commit(kept, {ann: asleep(ann, NOW + MINUTE, number)})
            turns = {key: asleep(key, None) for key in (bob, ann)}
            with pytest.raises(ActorChanged):
                await kept.store.commit(turns, began, {}, kept.fence, NOW)
            judge = _evaluation(asleep(ann, NOW).enrolments[0])
            with pytest.raises(ActorChanged):
                await kept.store.keep_verdicts({ann: (judge, fx.Verdict(belongs=True))}, began, kept.fence)
        loaded = await kept.store.load([ann, bob])
        assert loaded.actors[ann].taken[MailSource.SEGMENT] == 2
        assert not any(loaded.actors[bob].taken.values())
        assert not loaded.stored[ann].verdicts

    async def test_journeys_that_are_not_those_remembered_write_nothing(self, kept: Kept) -> None:
        [ann] = keys(1)
        turns = {ann: asleep(ann, NOW + MINUTE)}
        judge = _evaluation(turns[ann].enrolments[0])

        async def remembering(versions: dict[UUID, int]) -> LoadedTurns:
            return msgspec.structs.replace(await kept.store.load([ann]), unproven=versions)

        with pytest.raises(JourneyChanged):
            await kept.store.prove_journeys(await remembering({JOURNEY: 1}))
        with pytest.raises(JourneyChanged):
            await kept.store.keep_verdicts(
                {ann: (judge, fx.Verdict(belongs=True))}, await remembering({JOURNEY: 1}), kept.fence
            )
        with pytest.raises(JourneyChanged):
            await kept.store.commit(turns, await remembering({JOURNEY: 1}), {}, kept.fence, NOW)
        assert (await kept.store.load([ann])).enrolments == {ann: []}
        loaded = await remembering({})
        await kept.store.prove_journeys(loaded)
        assert loaded.unproven is None
        await kept.store.commit(turns, await remembering({}), {}, kept.fence, NOW)

    async def test_checkpoints_only_go_forward(self, kept: Kept) -> None:
        await kept.store.save_checkpoints({(3, 1): 10, (4, 1): 7}, kept.fence)
        await kept.store.save_checkpoints({(3, 1): 5}, kept.fence)
        assert await kept.store.checkpoints([3]) == {(3, 1): 10}
