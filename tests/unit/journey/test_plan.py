"""A plan's month, who knows it, and what a turn does about it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

import pytest

from libs.common.clients.team_settings import TeamSettings
from libs.common.errors import Unavailable
from libs.common.mailbox import mail as m
from services.journey.clients.plans import PAUSE_S, SegmentPlans
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.acting import take_turn
from services.journey.domain.matching import TeamJourneys
from services.journey.domain.plan import TeamPlan, month_of
from services.journey.domain.turn import Actor, RefusalReason, TurnInput, TurnResult
from tests.unit.journey.builders import CUSTOMER, NOW, TEAM, agreeable, checkout, delay, journey, mail

PLAN = TeamPlan("Asia/Taipei", 5)
CLOSED = d.JourneyStatus.TRIGGER_CLOSED


def turn(
    *journeys: d.Journey,
    mails: int = 1,
    places: int = 0,
    plan: TeamPlan | None = PLAN,
    now: datetime = NOW,
    body: m.Body | None = None,
) -> tuple[TurnResult, list[fx.Effect]]:
    """A turn of a team whose plan has so many places left; what it asked."""
    known = TeamJourneys((each.journey_id, each) for each in journeys)
    known.plan = plan
    inbox = [mail(1, body)] if body else [checkout(number + 1) for number in range(mails)]
    given = TurnInput(Actor(TEAM, CUSTOMER, {}, {}), (), inbox, known, now)
    steps = take_turn(given)
    asked: list[fx.Effect] = []
    reply: fx.Answer | None = None
    while True:
        try:
            effect = steps.send(reply)  # type: ignore[arg-type]
        except StopIteration as stop:
            result: TurnResult = stop.value
            return result, asked
        asked.append(effect)
        if isinstance(effect, fx.TakePlace):
            places -= 1
            reply = fx.Place(places >= 0)
        else:
            reply = agreeable(effect)


def node() -> d.Node:
    """Where customers rest after an effect."""
    return d.Node("tag", d.Tags(("a",)), "wait")


@pytest.mark.rule("J-07j")
def test_an_enrolment_asks_for_its_place_before_it_does_anything() -> None:
    result, asked = turn(journey(node(), delay("wait", 60)), places=1)
    kinds = [type(each) for each in asked]
    assert kinds == [fx.EarnPoints, fx.TakePlace, fx.ChangeTags]
    place = asked[1]
    assert isinstance(place, fx.TakePlace)
    assert (place.key, place.most, place.source, place.number) == (result.enrolments[0].enrolment_id, 5, 1, 1)
    assert place.month.first == date(2026, 3, 1)


def test_a_team_without_a_limit_asks_for_nothing() -> None:
    _, asked = turn(journey(delay("wait", 60)), plan=None)
    assert [type(each) for each in asked] == [fx.EarnPoints]


@pytest.mark.rule("J-07h", "J-07j")
def test_a_refused_trigger_closes_its_journey_and_no_other() -> None:
    first, second = journey(delay("wait", 60), number=100), journey(delay("wait", 60), number=101)
    result, _ = turn(first, second, places=1)
    assert [each.journey_id for each in result.enrolments] == [first.journey_id]
    assert [(each.journey_id, each.reason) for each in result.refusals] == [
        (second.journey_id, RefusalReason.PLAN_LIMIT)
    ]
    assert result.stops == {second.journey_id: "PLAN_TRIGGER_LIMIT"}


def test_who_is_refused_for_their_own_sake_takes_no_place() -> None:
    result, asked = turn(journey(delay("wait", 60), enrolments_per_customer_max=1), mails=2, places=2)
    assert [type(each) for each in asked].count(fx.TakePlace) == 1
    assert [each.reason for each in result.refusals] == [RefusalReason.CUSTOMER_LIMIT]


@pytest.mark.rule("J-13b")
@pytest.mark.parametrize(("closed_after", "refusals"), [(timedelta(), 1), (-timedelta(seconds=1), 0)])
@pytest.mark.parametrize(
    ("trigger", "body"), [(d.CheckoutTrigger(), None), (d.TagTrigger(("vip",)), m.TagApplied("VIP"))]
)
def test_what_occurred_before_the_plan_closed_a_journey_is_counted_as_refused(
    closed_after: timedelta, refusals: int, trigger: d.Trigger, body: m.Body | None
) -> None:
    def as_closed(reason: d.StatusReason) -> d.Journey:
        given = journey(delay("wait", 60), trigger=trigger)
        fields = {"status": CLOSED, "reason": reason, "updated_at": NOW + closed_after}
        return d.Journey(**{**{name: getattr(given, name) for name in given.__struct_fields__}, **fields})

    used_up = as_closed(d.StatusReason.PLAN_TRIGGER_LIMIT)
    result, _ = turn(used_up, now=NOW + timedelta(seconds=1), body=body)
    assert [each.reason for each in result.refusals] == [RefusalReason.PLAN_LIMIT] * refusals
    result, _ = turn(as_closed(d.StatusReason.NONE), now=NOW + timedelta(seconds=1), body=body)
    assert not result.refusals, "closed by a person or its schedule"


@pytest.mark.rule("J-07j")
@pytest.mark.parametrize(
    ("now", "zone", "first"),
    [
        (datetime(2026, 3, 31, 15, 59, 59, tzinfo=UTC), "Asia/Taipei", date(2026, 3, 1)),
        (datetime(2026, 3, 31, 16, tzinfo=UTC), "Asia/Taipei", date(2026, 4, 1)),
        (datetime(2026, 1, 1, 4, 59, tzinfo=UTC), "America/New_York", date(2025, 12, 1)),
        (datetime(2026, 1, 1, 5, tzinfo=UTC), "America/New_York", date(2026, 1, 1)),
    ],
)
def test_a_month_is_of_the_zone(now: datetime, zone: str, first: date) -> None:
    assert month_of(now, zone).first == first


def test_a_month_begins_with_its_first_instant_in_every_zone() -> None:
    for zone in sorted(available_timezones()):
        for year, number in ((1999, 4), (2011, 1), (2026, 10), (2026, 11)):
            start = month_of(datetime(year, number, 15, 12, tzinfo=UTC), zone).start
            first, local = date(year, number, 1), ZoneInfo(zone)
            assert start.astimezone(local).date() >= first, zone
            assert (start - timedelta(seconds=1)).astimezone(local).date() < first, zone


class Settings:
    """Settings that may be away."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0
        self.most: int | None = 7

    async def of_all(self, team_ids: Collection[UUID]) -> dict[UUID, TeamSettings]:
        """See `TeamSettingsClient`."""
        self.asked += 1
        if self.away:
            raise Unavailable.dependency("segment")
        settings = TeamSettings("Asia/Taipei", frozenset(), known=True, monthly_enrolments_max=self.most)
        return dict.fromkeys(team_ids, settings)


async def test_with_segment_away_a_plan_is_what_was_known_last_and_nothing_for_others() -> None:
    settings, now_s = Settings(), 100.0
    plans = SegmentPlans(settings, real_time=lambda: now_s)  # type: ignore[arg-type]
    other = UUID(int=99)
    assert await plans.plans([TEAM]) == {TEAM: TeamPlan("Asia/Taipei", 7)}
    settings.away = True
    for _ in range(2):
        found = await plans.plans([TEAM, other])
        assert (found[TEAM].most, found[other].most) == (7, None)
    assert settings.asked == 2, "not asked again at once"
    settings.away, settings.most = False, None
    now_s += PAUSE_S
    assert await plans.plans([TEAM, other]) == {}
