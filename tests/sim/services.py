"""The services around journey, as it calls them; what they do is decided by their own domains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from msgspec.structs import asdict

from services.journey.domain import effects as fx
from tests.sim.chance import Chance
from tests.sim.gateway import Gateway
from tests.sim.points import Points
from tests.sim.segment import Segment

_WHEN: Final = {"at", "not_after", "stop_epoch", "cap", "has_phone", "journey_name", "recipient"}
"""What an effect may say differently when it is asked again."""
TURN_MAX_S: Final = 0.5
"""Virtual seconds from when a turn takes its mail to its last effect; mail that comes later is not for it."""
SLEPT_TURN_MAX_S: Final = 10.0
"""The same where a process may have stood still."""


ZONES: Final = ("", "Asia/Taipei", "America/New_York", "Pacific/Auckland")


def zone_of(customer_id: UUID) -> str:
    """By whose clock a customer lives; empty: nobody knows."""
    return ZONES[customer_id.int % len(ZONES)]


class Services:
    """Segment, points and gateway as journey calls them."""

    def __init__(self, segment: Segment, points: Points, gateway: Gateway, chance: Chance) -> None:
        self.segment = segment
        self.points = points
        self.gateway = gateway
        self._chance = chance
        self.poisoned: set[UUID] = set()
        """Customers for whom every call fails for good."""
        self.unlike: list[str] = []
        """Keys that came again with other content."""
        self.stale: list[str] = []
        """Effects that carried what was no longer true, longer than mail is on its way."""
        self.carried = 0
        """Effects that carried what would have been asked for."""
        self._first: dict[UUID, fx.Effect] = {}

    def answer(self, effects: Sequence[fx.Effect]) -> list[fx.Answer | Exception]:
        """Does what was not done yet; one answer each."""
        return [self._answer(effect) for effect in effects]

    def _answer(self, effect: fx.Effect) -> fx.Answer | Exception:
        if effect.customer_id in self.poisoned:
            return RuntimeError("poison")
        if isinstance(effect, fx.EvaluateAudience):
            return fx.Verdict(belongs=self.segment.has(effect.customer_id, effect.audience.decode()))
        if isinstance(effect, fx.FindZone):
            return fx.Zone(zone_of(effect.customer_id))
        if effect.key not in self._first:
            self._ask_as_well(effect)
        self._compare(effect, self._first.setdefault(effect.key, effect))
        match effect:
            case fx.Send():
                return self.gateway.ask(effect)
            case fx.EarnPoints() | fx.RefundPoints() | fx.ChangePoints():
                return self.points.post(effect, self.segment.phone_of(effect.customer_id))
            case fx.ChangeTags():
                return self.segment.change(effect)
            case fx.SetAttribute() | fx.TakePlace() | fx.FindZone():
                raise AssertionError(f"no journey of the simulation asks for {effect}")

    def _ask_as_well(self, effect: fx.Effect) -> None:
        """Asks what the effect already carries, and compares."""
        match effect:
            case fx.Send(recipient=recipient) if recipient is not None:
                now = [
                    i.external_id
                    for i in self.segment.profile(effect.customer_id).identities
                    if not i.blocked
                ]
                is_true = recipient.external_id in now
            case fx.ChangePoints(has_phone=has_phone) if has_phone is not None:
                is_true = has_phone == (self.segment.phone_of(effect.customer_id) is not None)
            case _:
                return
        self.carried += 1
        slept = any(fault.startswith("asleep") for fault in self._chance.struck)
        turn_s = SLEPT_TURN_MAX_S if slept else TURN_MAX_S
        if not is_true and not self.segment.changed_within(effect.customer_id, turn_s):
            self.stale.append(str(effect))

    def _compare(self, effect: fx.Effect, first: fx.Effect) -> None:
        if effect is first:
            return
        said, before = asdict(effect), asdict(first)
        if any(said[name] != before.get(name) for name in said.keys() - _WHEN):
            self.unlike.append(f"{effect} after {first}")
