"""The other services as a worker meets them, in memory: effects by key, and mail that can be read again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from libs.common.feeds.serving import MailPage
from libs.common.mailbox.mail import Mail, SendOutcome
from services.journey.clients.calls import ServiceUnavailable
from services.journey.clients.sends import AwaitedSend
from services.journey.domain import effects as fx
from services.journey.domain.gate import AccountAnswer, MessageAnswer, Traits

TAGGED = b"tagged"
"""The audience of customers with a tag; everybody belongs to any other."""


class KeyedEffects:
    """Answers every effect; a repeated key gets its first answer and takes effect no second time."""

    def __init__(self) -> None:
        self.asked: list[fx.Effect] = []
        self.points: defaultdict[UUID, int] = defaultdict(int)
        self.sends: list[fx.Send] = []
        self.down = False
        self.poisonous: set[UUID] = set()
        self.exhausted = ""
        self.on_ask: list[object] = []
        self.tagged: set[UUID] = set()
        self.zones: dict[UUID, str] = {}
        self._answers: dict[UUID, fx.Answer] = {}

    async def answer(self, effects: Sequence[fx.Effect]) -> list[fx.Answer | Exception]:
        """See `Effects`."""
        self.asked.extend(effects)
        return [self._answer(effect) for effect in effects]

    def _answer(self, effect: fx.Effect) -> fx.Answer | Exception:
        if self.down:
            return ServiceUnavailable("down")
        if effect.customer_id in self.poisonous:
            return RuntimeError("poison")
        if isinstance(effect, fx.EvaluateAudience):
            return fx.Verdict(belongs=effect.audience != TAGGED or effect.customer_id in self.tagged)
        if isinstance(effect, fx.FindZone):
            return fx.Zone(self.zones.get(effect.customer_id, ""))
        if effect.key not in self._answers:
            self._answers[effect.key] = self._first(effect)
        return self._answers[effect.key]

    def settle(self, number: int, state: fx.SendState | None) -> None:
        """What the gateway knows of a send from now on; None: nothing, as after a lost commit."""
        key = self.sends[number].key
        if state is None:
            del self._answers[key]
        else:
            self._answers[key] = fx.SendAnswer(state)

    def is_under_way(self, effect_key: UUID) -> bool:
        """Whether the gateway has not settled a send."""
        answer = self._answers.get(effect_key)
        return isinstance(answer, fx.SendAnswer) and answer.state is fx.SendState.ACCEPTED

    def _first(self, effect: fx.Effect) -> fx.Answer:
        match effect:
            case fx.Send():
                if self.exhausted:
                    return fx.SendAnswer(fx.SendState.EXHAUSTED, self.exhausted)
                self.sends.append(effect)
                return fx.SendAnswer(fx.SendState.ACCEPTED)
            case fx.EarnPoints():
                self.points[effect.customer_id] += 1
            case fx.ChangePoints():
                self.points[effect.customer_id] += effect.delta
            case fx.ChangeTags():
                self.tagged.add(effect.customer_id)
            case _:
                pass
        return fx.ChangeAnswer(fx.ChangeState.APPLIED)


class MailArchive:
    """What a source has recorded, as its `ListMail` tells it."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def of_customer(self, team_id: UUID, customer_id: UUID, after_number: int) -> MailPage:
        """See `MailReader`; pages of two, so that paging is tried."""
        wanted = (team_id, customer_id)
        found = [m for m in self.mails if (m.team_id, m.customer_id) == wanted and m.number > after_number]
        return MailPage(sorted(found, key=lambda mail: mail.number)[:2], more=len(found) > 2)

    async def of_partition(self, partition: int, after_position: int) -> MailPage:
        """See `MailReader`; pages of two, so that paging is tried."""
        found = [m for m in self.mails if m.partition == partition and m.position > after_position]
        return MailPage(sorted(found, key=lambda mail: mail.position)[:2], more=len(found) > 2)


class LostSends:
    """What the gateway knows of sends that are awaited."""

    def __init__(self, effects: KeyedEffects, archive: MailArchive) -> None:
        self.questions: list[Sequence[AwaitedSend]] = []
        self._effects = effects
        self._archive = archive

    async def find_lost(self, sends: Sequence[AwaitedSend]) -> list[int]:
        """See `SendProbe`."""
        self.questions.append(sends)
        return [place for place, send in enumerate(sends) if self._is_lost(send)]

    def _is_lost(self, send: AwaitedSend) -> bool:
        told = (
            mail.number > send.after_number
            and isinstance(mail.body, SendOutcome)
            and mail.body.effect_key == send.effect_key
            for mail in self._archive.mails
        )
        return not self._effects.is_under_way(send.effect_key) and not any(told)


class NothingAsked:
    """For tests in which no definition goes live."""

    async def check_messages(self, team_id: UUID, accounts: object, messages: object) -> Any:
        """See `References`."""
        raise AssertionError("nothing goes live here")

    async def traits(self, team_id: UUID, keys: object, audiences: object) -> Any:
        """See `References`."""
        raise AssertionError("nothing goes live here")


class AllThere:
    """For tests in which everything that a definition names is there."""

    async def check_messages(
        self, team_id: UUID, accounts: Sequence[object], messages: Sequence[object]
    ) -> tuple[list[AccountAnswer], list[MessageAnswer]]:
        """See `References`."""
        return [AccountAnswer()] * len(accounts), [MessageAnswer()] * len(messages)

    async def traits(self, team_id: UUID, keys: object, audiences: Sequence[bytes]) -> Traits:
        """See `References`."""
        every = frozenset(range(16))
        return Traits(True, every, every, {}, [()] * len(audiences))


class UtcZones:
    """Every team is in UTC."""

    async def zones(self, teams: Iterable[UUID]) -> dict[UUID, str]:
        """See `TeamZones`."""
        return dict.fromkeys(teams, "UTC")


class RecordingStopper:
    """Remembers which sends were stopped."""

    def __init__(self) -> None:
        self.stopped: list[tuple[UUID, int]] = []
        self.recalled: list[tuple[UUID, int]] = []

    async def stop_sends(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        """See `SendStopper`."""
        self.stopped.append((journey_id, epoch))

    async def recall_sends(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        """See `SendStopper`."""
        self.recalled.append((journey_id, epoch))
