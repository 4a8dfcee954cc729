"""Runs the turns of a batch: one load of those who are not remembered, lockstep through the effects, one commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeGuard
from uuid import UUID

import msgspec
import structlog

from libs.common import crash
from libs.common.clock import Clock
from libs.common.feeds.notifier import CommitNotifier
from libs.common.logging import about
from libs.common.mailbox.errors import Fenced
from libs.common.mailbox.mail import Mail, encode
from services.journey import metrics
from services.journey.clients.calls import ServiceUnavailable
from services.journey.clients.effects import Effects
from services.journey.clients.mail import MailReader
from services.journey.domain import effects as fx
from services.journey.domain.acting import take_turn
from services.journey.domain.inbox import Inbox, MailGap, healed, read_inbox, usable_view
from services.journey.domain.lifecycle import JourneyChanged
from services.journey.domain.matching import TeamJourneys
from services.journey.domain.model import ActorKey
from services.journey.domain.turn import Actor, EarlierRun, EarlierRunError, Turn, TurnInput, TurnResult
from services.journey.store.packed import PackedActor
from services.journey.store.turns_protocol import ActorChanged, ActorState, LoadedTurns, TurnStorage
from services.journey.worker.catalog import ByTeam, JourneyCatalog
from services.journey.worker.outages import is_outage
from services.journey.worker.residents import Residents
from services.journey.worker.turn_traces import TurnTraces

CHANGED_ATTEMPTS: Final = 5
"""How often a batch is run at once because a journey or an actor was changed under it."""
BEGUN_MAX: Final = 10_000
"""Customers of whom it is remembered what was done in a turn that was not committed, some kB each."""
FETCHED_BYTES_MAX: Final = 16 << 20
"""Of missing mail that is fetched for one batch, but for the page with which it is reached: the others' is fetched for
their next turn."""
VIEW_AGE_MAX_S: Final = 10.0
"""Real time for which what came with mail may be used: no mail that makes it false is on its way for longer, unless the
mailboxes are full or away (ADR 27)."""

_log = structlog.get_logger(__name__)


class Waiting(msgspec.Struct, frozen=True):
    """What waits for one customer; no mail if only a timer is due or a journey stops.

    `last_entry_id` names the last mail taken out of the mailbox, up to which it is trimmed afterwards. `again`: see
    `TurnInput`.
    """

    mails: Sequence[Mail] = ()
    mail_left: bool = False
    last_entry_id: bytes | None = None
    again: bool = False


class BatchOutcome(msgspec.Struct):
    """What became of each customer of a batch: committed, parked before, or failed with an error."""

    committed: dict[ActorKey, TurnResult]
    parked: set[ActorKey]
    failed: dict[ActorKey, Exception]
    partial: set[ActorKey] = msgspec.field(default_factory=set)
    """Those of the committed whose missing mail was too much for one turn: what was taken out of their mailbox is not
    worked yet."""


class _Round(NamedTuple):
    """Effects that were asked for together, and their answers."""

    asked: Mapping[ActorKey, fx.Effect]
    answers: Mapping[ActorKey, fx.Answer | Exception]


class _Begun(NamedTuple):
    """What was done for a customer whose turn is not committed."""

    state: ActorState
    """With which it began. The version of the row says less: who rests is made due by others, which raises it."""
    runs: tuple[EarlierRun, ...]


class TurnRunner:
    """Everything between taking mail and trimming it."""

    def __init__(
        self,
        *,
        store: TurnStorage,
        catalog: JourneyCatalog,
        effects: Effects,
        readers: Mapping[int, MailReader],
        clock: Clock,
        notifier: CommitNotifier,
        real_time: Callable[[], float] = time.monotonic,
    ) -> None:
        """`readers` gives the repair read of each mail source; `notifier` is notified when history was written;
        `real_time` gives seconds that never run backwards."""
        self.residents = Residents(real_time)
        self._begun: dict[ActorKey, _Begun] = {}
        self._store = store
        self._catalog = catalog
        self._effects = effects
        self._readers = readers
        self._clock = clock
        self._notifier = notifier

    async def run_all(self, batch: Mapping[ActorKey, Waiting], fence: Mapping[int, int]) -> BatchOutcome:
        """Runs and commits a batch; if it fails as a whole, each of its customers alone. Raises `Fenced`."""
        try:
            return await self.run(batch, fence)
        except Fenced:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the worker: it parks its customer
            if len(batch) == 1 or is_outage(error):
                _log.warning("batch failed", customers=len(batch), error=repr(error))
                return BatchOutcome({}, set(), dict.fromkeys(batch, error))
            _log.exception("batch failed; its customers are run alone", customers=len(batch))
        outcome = BatchOutcome({}, set(), {})
        for key, waiting in batch.items():
            alone = await self.run_all({key: waiting}, fence)
            outcome.committed.update(alone.committed)
            outcome.parked.update(alone.parked)
            outcome.failed.update(alone.failed)
            outcome.partial.update(alone.partial)
        return outcome

    async def run(self, batch: Mapping[ActorKey, Waiting], fence: Mapping[int, int]) -> BatchOutcome:
        """Runs and commits a batch. A customer that fails does not keep the others.

        Raises `Fenced`, and what load and commit raise when they fail for all: then nothing of the batch is committed.
        """
        remembered = self.residents.take(batch, fence)
        for _ in range(CHANGED_ATTEMPTS - 1):
            try:
                return await self._run_once(batch, remembered, fence)
            except (JourneyChanged, ActorChanged):
                metrics.TURNS_REPEATED.inc(len(batch))
                remembered = {}
        return await self._run_once(batch, remembered, fence)

    async def _run_once(
        self,
        batch: Mapping[ActorKey, Waiting],
        remembered: Mapping[ActorKey, PackedActor],
        fence: Mapping[int, int],
    ) -> BatchOutcome:
        loaded, by_team = await self._load(batch, remembered)
        outcome = BatchOutcome({}, loaded.parked, {})
        work = {key: waiting for key, waiting in batch.items() if key not in loaded.parked}
        now = self._clock.now()
        traces = TurnTraces()
        turns, failed = await self._begin(work, loaded, by_team, now, outcome.partial, traces=traces)
        outcome.failed.update(failed)
        rounds: list[_Round] = []
        results: dict[ActorKey, TurnResult] = {}
        try:
            results, failed = await self._drive(turns, loaded, fence, rounds)
            outcome.failed.update(failed)
            await self._commit(results, loaded, by_team, fence)
        except Exception:
            self._note_begun(turns, rounds, loaded, by_team, now)
            raise
        if failed:
            self._note_begun(failed, rounds, loaded, by_team, now)
        if self._begun:
            self._forget_begun(results, failed)
        outcome.committed = results
        traces.write(results)
        return outcome

    async def _commit(
        self,
        results: Mapping[ActorKey, TurnResult],
        loaded: LoadedTurns,
        by_team: ByTeam,
        fence: Mapping[int, int],
    ) -> None:
        if results:
            journeys = {id_: j for journeys in by_team.values() for id_, j in journeys.items()}
            committed = await self._store.commit(results, loaded, journeys, fence, self._clock.now())
            crash.reach("journey.after_commit")
            self.residents.keep(committed, fence)
            self._notifier.notify()

    def _note_begun(
        self,
        customers: Iterable[ActorKey],
        rounds: Sequence[_Round],
        loaded: LoadedTurns,
        by_team: ByTeam,
        now: datetime,
    ) -> None:
        """Remembers what was done for these: they are run again, maybe by other journeys, and it stays true."""
        for key in customers:
            state = loaded.state_of(key)
            before = self._begun.get(key)
            if before is None or before.state != state:
                before = _Begun(state, ())
            known = {effect_key for run in before.runs for effect_key in run.answers}
            done = {
                effect.key: answer
                for asked, answers in rounds
                if isinstance(effect := asked.get(key), fx.OF_NODES)
                and _did_something(answer := answers[key])
                and effect.key not in known
            }
            if done:
                run = EarlierRun(by_team[key.team_id], done, now)
                self._begun[key] = before._replace(runs=(*before.runs, run))
        while len(self._begun) > BEGUN_MAX:
            del self._begun[next(iter(self._begun))]

    def _forget_begun(self, committed: Iterable[ActorKey], failed: Mapping[ActorKey, Exception]) -> None:
        for key in committed:
            self._begun.pop(key, None)
        for key, error in failed.items():
            if isinstance(error, EarlierRunError):
                self._begun.pop(key, None)

    def _begun_before(self, key: ActorKey, state: ActorState) -> _Begun | None:
        begun = self._begun.get(key)
        if begun is not None and begun.state != state:
            del self._begun[key]  # it was committed all the same, or by another worker
            return None
        return begun

    async def _load(
        self, batch: Iterable[ActorKey], remembered: Mapping[ActorKey, PackedActor]
    ) -> tuple[LoadedTurns, ByTeam]:
        """What the turns begin with: what is remembered, and the rest in one statement. If nobody has to be loaded, the
        journeys are those of the last load, and are still to be proven."""
        teams = {key.team_id for key in batch}
        missing = [key for key in batch if key not in remembered]
        recalled = None if missing else await self._catalog.recall(teams)
        if recalled is None:
            loaded = await self._store.load(missing, teams)
            by_team = await self._catalog.current(teams, loaded.versions)
        else:
            by_team, versions = recalled
            loaded = LoadedTurns({}, {}, set(), {}, {}, unproven=versions)
        for key, packed in remembered.items():
            loaded.add(key, packed)
        metrics.TURNS_RESIDENT.inc(len(remembered))
        return loaded, by_team

    async def _begin(
        self,
        work: Mapping[ActorKey, Waiting],
        loaded: LoadedTurns,
        by_team: Mapping[UUID, TeamJourneys],
        now: datetime,
        partial: set[ActorKey],
        *,
        traces: TurnTraces,
    ) -> tuple[dict[ActorKey, Turn], dict[ActorKey, Exception]]:
        """Makes the turns ready to run; notes in `partial` whose missing mail is not all in hand."""
        rate = self._clock.rate
        since = now - timedelta(seconds=VIEW_AGE_MAX_S * rate) if rate else None
        turns: dict[ActorKey, Turn] = {}
        failed: dict[ActorKey, Exception] = {}
        fetched_bytes = 0
        for key, waiting in work.items():
            actor = loaded.actors[key]
            inbox = read_inbox(actor.taken, waiting.mails)
            if inbox.gaps and fetched_bytes < FETCHED_BYTES_MAX:
                try:
                    fetched = await self._missing(actor, inbox)
                    inbox = healed(actor.taken, inbox, [*waiting.mails, *fetched])
                except (MailGap, ServiceUnavailable) as error:
                    failed[key] = error
                    continue
                fetched_bytes += sum(len(encode(mail)) for mail in fetched)
            if inbox.gaps:
                partial.add(key)
            mails, mail_left = traces.put_on(key, inbox.mails), waiting.mail_left or bool(inbox.gaps)
            begun = self._begun_before(key, loaded.state_of(key)) if self._begun else None
            turns[key] = take_turn(
                TurnInput(
                    actor,
                    loaded.enrolments[key],
                    mails,
                    by_team[key.team_id],
                    now,
                    mail_left,
                    waiting.again,
                    usable_view(actor.taken, mails, mail_left=mail_left, since=since),
                    begun.runs if begun else (),
                )
            )
        return turns, failed

    async def _missing(self, actor: Actor, inbox: Inbox) -> list[Mail]:
        """What is missing between the mail, from its source, one page of each: there may be any number, and what is
        left of a gap is fetched by the next turn."""
        metrics.MAIL_GAPS.inc(len(inbox.gaps))
        fetched: list[Mail] = []
        for source, after in inbox.gaps.items():
            reader = self._readers[source]
            page = await reader.of_customer(actor.team_id, actor.customer_id, after)
            fetched.extend(page.mails)
        return fetched

    async def _drive(
        self,
        turns: Mapping[ActorKey, Turn],
        loaded: LoadedTurns,
        fence: Mapping[int, int],
        rounds: list[_Round],
    ) -> tuple[dict[ActorKey, TurnResult], dict[ActorKey, Exception]]:
        """Drives all turns in lockstep: each round asks for one effect of each, in one call a service, and is noted."""
        progress = _Lockstep(turns)
        answers: Mapping[ActorKey, fx.Answer | Exception | None] = dict.fromkeys(turns)
        while answers:
            asking = progress.advance(answers)
            if loaded.unproven is not None and any(map(_is_of_journeys, asking.values())):
                await self._store.prove_journeys(loaded)
            replies = await self._effects.answer(list(asking.values())) if asking else []
            answered = dict(zip(asking, replies, strict=True))
            rounds.append(_Round(asking, answered))
            crash.reach("journey.between_effects")
            answers = await self._settled(asking, answered, loaded, fence)
        return progress.results, progress.failed

    async def _settled(
        self,
        asked: Mapping[ActorKey, fx.Effect],
        answers: dict[ActorKey, fx.Answer | Exception],
        loaded: LoadedTurns,
        fence: Mapping[int, int],
    ) -> dict[ActorKey, fx.Answer | Exception]:
        """The answers, verdicts being those that were given first: other services keep theirs by key, an audience is
        only read."""
        evaluated = {
            key: (effect, answer)
            for key, effect in asked.items()
            if isinstance(effect, fx.EvaluateAudience) and isinstance(answer := answers[key], fx.Verdict)
        }
        if evaluated:
            kept = await self._store.keep_verdicts(evaluated, loaded, fence)
            for key, verdict in kept.items():
                _, given = evaluated[key]
                answers[key] = msgspec.structs.replace(verdict, has_phone=given.has_phone)
        return answers


_NOT_OF_JOURNEYS: Final = (fx.EarnPoints, fx.RefundPoints, fx.EvaluateAudience, fx.FindZone)
"""Effects that follow from mail, whatever journeys there are; and those that only read: a verdict is kept by a
statement that proves the journeys, and a zone does nothing by itself."""


_NOTHING_LEFT: Final = frozenset({fx.SendState.DEFERRED, fx.SendState.EXHAUSTED, fx.SendState.CANCELLED})


def _did_something(answer: fx.Answer | Exception) -> TypeGuard[fx.Answer]:
    """Whether it stays true that this was answered: a send of which nothing leaves is asked for as things are now."""
    refused = isinstance(answer, Exception)
    return not refused and not (isinstance(answer, fx.SendAnswer) and answer.state in _NOTHING_LEFT)


def _is_of_journeys(effect: fx.Effect) -> bool:
    return not isinstance(effect, _NOT_OF_JOURNEYS)


class _Lockstep:
    """Turns under way, and what became of those that have ended."""

    def __init__(self, turns: Mapping[ActorKey, Turn]) -> None:
        self._turns = turns
        self.results: dict[ActorKey, TurnResult] = {}
        self.failed: dict[ActorKey, Exception] = {}

    def advance(self, answers: Mapping[ActorKey, fx.Answer | Exception | None]) -> dict[ActorKey, fx.Effect]:
        """Gives each turn its answer (None at the start); returns what they ask next."""
        asking: dict[ActorKey, fx.Effect] = {}
        for key, answer in answers.items():
            if isinstance(answer, Exception):
                self._turns[key].close()
                self.failed[key] = answer
                continue
            try:
                asking[key] = self._turns[key].send(answer)  # type: ignore[arg-type]  # None starts a generator
            except StopIteration as stop:
                self.results[key] = stop.value
            except Exception as error:  # noqa: BLE001 - one customer's poison must not keep the others; it parks them
                _log.exception("turn failed", **about(key))
                self.failed[key] = error
        return asking
