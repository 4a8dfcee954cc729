"""A customer's turn: order, triggers, limits, and being run twice."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from libs.common.audience.expressions import AttributeType
from libs.common.mailbox import mail as m
from services.journey.domain import effects as fx
from services.journey.domain import entering
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState
from services.journey.domain.inbox import read_inbox
from services.journey.domain.turn import RefusalReason
from tests.unit.journey.builders import (
    ACCOUNT,
    CUSTOMER,
    NOW,
    checkout,
    delay,
    journey,
    mail,
    message,
    minutes,
    run,
    with_status,
)

TAG = d.Node("tag", d.Tags(add=("seen",)))


def test_points_are_earned_before_a_journey_is_started_and_without_any() -> None:
    asked: list[fx.Effect] = []
    run([journey(TAG)], [checkout(1)], asked=asked)
    assert [type(effect) for effect in asked] == [fx.EarnPoints, fx.ChangeTags]
    asked.clear()
    run([], [checkout(1)], asked=asked)
    assert [type(effect) for effect in asked] == [fx.EarnPoints]


def test_a_test_order_and_an_unsigned_one_earn_nothing_and_start_nothing() -> None:
    asked: list[fx.Effect] = []
    turn = run([journey(TAG)], [checkout(1, test=True), checkout(2, earns=False)], asked=asked)
    assert (asked, turn.enrolments) == ([], ())


@pytest.mark.rule("J-20a", "J-20b", "J-20c", "J-20d")
@pytest.mark.parametrize(
    ("trigger", "starts"),
    [
        (d.CheckoutTrigger(), True),
        (d.CheckoutTrigger(item_match="contains", item_names=("CANDY",)), True),
        (d.CheckoutTrigger(item_match="contains", item_names=("ｃａｎｄｙ",)), True),
        (d.CheckoutTrigger(item_match="is", item_names=("candy",)), False),
        (d.CheckoutTrigger(item_match="is", item_names=("nothing", "BLUE candy")), True),
        (d.CheckoutTrigger(at_least=25_000_000), True),
        (d.CheckoutTrigger(at_least=25_000_001), False),
        (d.CheckoutTrigger(at_most=25_000_000), True),
        (d.CheckoutTrigger(at_most=24_999_999), False),
        (d.CheckoutTrigger(at_least=20_000_000, at_most=30_000_000), True),
        (d.CheckoutTrigger(item_match="is", item_names=("other",), at_least=1), False),
        (d.CheckoutTrigger(item_match="contains", item_names=("candy",), at_least=25_000_000), True),
        (d.CheckoutTrigger(item_match="contains", item_names=("candy",), at_least=25_000_001), False),
        (d.CheckoutTrigger(at_least=1, currency="EUR"), False),
    ],
)
def test_orders_start_what_their_items_and_amounts_meet(trigger: d.CheckoutTrigger, starts: bool) -> None:
    assert bool(run([journey(TAG, trigger=trigger)], [checkout(1)]).enrolments) is starts


@pytest.mark.rule("J-21a")
def test_a_new_contact_starts_journeys_on_that_account_only() -> None:
    given = journey(TAG, trigger=d.ContactTrigger())
    assert run([given], [mail(1, m.ContactAdded(d.Channel.LINE, ACCOUNT))]).enrolments
    assert not run([given], [mail(1, m.ContactAdded(d.Channel.LINE, UUID(int=99)))]).enrolments
    assert not run([given], [mail(1, m.ContactAdded(d.Channel.WHATSAPP, ACCOUNT))]).enrolments


@pytest.mark.rule("J-22a")
def test_an_applied_tag_starts_the_journeys_that_name_it() -> None:
    given = journey(TAG, trigger=d.TagTrigger(("VIP", "gold")))
    assert run([given], [mail(1, m.TagApplied("vip"))]).enrolments
    assert not run([given], [mail(1, m.TagApplied("silver"))]).enrolments
    assert not run([given], [mail(1, m.TagRemoved("vip"))]).enrolments


@pytest.mark.rule("J-22c")
def test_several_tags_of_one_call_start_a_journey_once() -> None:
    given = journey(TAG, trigger=d.TagTrigger(("VIP", "gold", "silver")))
    by_call = [
        mail(1, m.TagApplied("new")),
        mail(2, m.TagApplied("Gold", ("new",))),
        mail(3, m.TagApplied("vip", ("new", "Gold"))),
    ]
    assert len(run([given], by_call).enrolments) == 1
    turn = run([given], by_call[:2])
    assert len(run([given], by_call[2:], actor=turn.actor).enrolments) == 0
    by_another = mail(4, m.TagApplied("silver"))
    assert len(run([given], [*by_call, by_another]).enrolments) == 2
    gold = journey(TAG, number=101, trigger=d.TagTrigger(("gold",)))
    vip = journey(TAG, number=102, trigger=d.TagTrigger(("vip",)))
    assert len(run([gold, vip], by_call).enrolments) == 2


@pytest.mark.rule("J-23a")
def test_a_changed_attribute_starts_the_journeys_that_name_it_and_its_value() -> None:
    anything = journey(TAG, trigger=d.AttributeTrigger(("tier",)))
    platinum = journey(TAG, number=101, trigger=d.AttributeTrigger(("tier",), ("Platinum",)))
    changed = mail(1, m.AttributeChanged("tier", AttributeType.TEXT, "gold", "platinum"))
    assert len(run([anything, platinum], [changed]).enrolments) == 2
    other = mail(1, m.AttributeChanged("tier", AttributeType.TEXT, "gold", "silver"))
    assert len(run([anything, platinum], [other]).enrolments) == 1
    assert not run(
        [anything], [mail(1, m.AttributeChanged("size", AttributeType.TEXT, None, "L"))]
    ).enrolments


def test_a_system_trigger_enrols_into_the_journey_that_it_names() -> None:
    given = journey(TAG, trigger=d.SystemTriggerKind())
    other = journey(TAG, number=101, trigger=d.SystemTriggerKind())
    body = m.SystemTrigger(given.journey_id, UUID(int=7))
    turn = run([given, other], [mail(1, body, source=m.MailSource.JOURNEY)])
    assert [e.journey_id for e in turn.enrolments] == [given.journey_id]


@pytest.mark.rule("J-13b")
def test_the_limit_per_customer_is_exact_and_refusals_are_counted_apart() -> None:
    given = journey(TAG, enrolments_per_customer_max=2)
    turn = run([given], [checkout(n) for n in range(1, 5)])
    assert len(turn.enrolments) == 2
    assert [r.reason for r in turn.refusals] == [RefusalReason.CUSTOMER_LIMIT] * 2
    later = run([given], [checkout(5)], actor=turn.actor)
    assert (len(later.enrolments), len(later.refusals)) == (0, 1)


def test_a_customer_is_inside_so_many_enrolments_of_all_journeys_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entering, "LIVE_MAX", 3)
    sleeping = [journey(delay("wait", 60), number=number) for number in (101, 102)]
    turn = run(sleeping, [checkout(1), checkout(2)])
    assert len(turn.enrolments) == 3
    [refused] = turn.refusals
    assert (refused.reason, refused.source, refused.number) == (RefusalReason.LIVE_LIMIT, 1, 2)
    later = run(sleeping, [checkout(3)], actor=turn.actor, enrolments=turn.enrolments)
    assert (len(later.enrolments), [each.number for each in later.refusals]) == (0, [3, 3])
    left = run(sleeping, [checkout(3)], actor=turn.actor, enrolments=turn.enrolments[1:])
    assert (len(left.enrolments), len(left.refusals)) == (1, 1), "who has left makes room"
    # Who walks to the end at once stays nowhere.
    assert len(run([journey(TAG)], [checkout(number) for number in range(1, 6)]).enrolments) == 5


def test_the_data_of_live_enrolments_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entering, "LIVE_DATA_BYTES_MAX", 10)
    given = journey(delay("wait", 60), trigger=d.SystemTriggerKind())

    def by_call(number: int, **data: str) -> m.Mail:
        body = m.SystemTrigger(given.journey_id, UUID(int=number), data=data or None)
        return mail(number, body, source=m.MailSource.JOURNEY)

    turn = run([given], [by_call(1, a="茶茶"), by_call(2, b="123"), by_call(3, b="12"), by_call(4)])
    assert [each.memory and each.memory.data for each in turn.enrolments] == [
        {"a": "茶茶"},
        {"b": "12"},
        None,
    ]
    assert [(each.reason, each.number) for each in turn.refusals] == [(RefusalReason.LIVE_LIMIT, 2)]


def test_a_chain_of_journeys_longer_than_16_is_refused() -> None:
    given = journey(TAG, trigger=d.TagTrigger(("vip",)))
    assert run([given], [mail(1, m.TagApplied("vip"), depth=16)]).enrolments
    refused = run([given], [mail(1, m.TagApplied("vip"), depth=17)])
    assert [r.reason for r in refused.refusals] == [RefusalReason.CAUSATION_DEPTH]


@pytest.mark.rule("J-02a", "J-03a")
@pytest.mark.parametrize("status", [s for s in d.JourneyStatus if s is not d.JourneyStatus.ACTIVE])
def test_nobody_enters_a_journey_that_is_not_active(status: d.JourneyStatus) -> None:
    to_come = d.Schedule(NOW + minutes(1), NOW + minutes(2), d.ExpiryAction.STOP)
    schedule = to_come if status is d.JourneyStatus.SCHEDULED else None
    closed = with_status(journey(TAG, schedule=schedule), status)
    assert run([closed], [checkout(1)]).enrolments == ()


@pytest.mark.rule("J-02b")
def test_whoever_is_inside_walks_on_to_the_end_after_the_trigger_was_closed() -> None:
    given = journey(delay("wait", 3600, "hello"), message("hello", "tag"), TAG)
    closed = with_status(given, d.JourneyStatus.TRIGGER_CLOSED)
    asked: list[fx.Effect] = []
    asleep = run([given], [checkout(1)]).enrolments
    sending = run([closed], (), asleep, now=NOW + timedelta(hours=1), asked=asked).enrolments
    settled = mail(
        1,
        m.SendOutcome(fx.send_key(sending[0]), sending[0].enrolment_id, m.Outcome.SENT, "", NOW, 1),
        source=m.MailSource.GATEWAY,
    )
    [ended] = run([closed], [settled], sending, now=NOW + timedelta(hours=2), asked=asked).enrolments
    assert ended.state is EnrolmentState.COMPLETED
    assert [type(effect) for effect in asked] == [fx.Send, fx.ChangeTags]


def test_a_schedule_is_half_open() -> None:
    schedule = d.Schedule(NOW, NOW + minutes(2), d.ExpiryAction.CLOSE_TRIGGER)
    given = journey(TAG, schedule=schedule)
    times = [NOW + timedelta(seconds=s) for s in (-1, 0, 119, 120)]
    assert [bool(run([given], [checkout(1, at)], now=at).enrolments) for at in times] == [
        False,
        True,
        True,
        False,
    ]


def test_mail_and_timers_are_merged_by_domain_time() -> None:
    given = journey(delay("wait", 3600, "tag"), TAG)
    first = run([given], [checkout(1)])
    asked: list[fx.Effect] = []
    due = NOW + timedelta(hours=1)
    run(
        [given],
        [checkout(2, due - minutes(1)), checkout(3, due), checkout(4, due + minutes(1))],
        first.enrolments,
        now=due + minutes(10),
        asked=asked,
    )
    order = [type(effect).__name__ for effect in asked]
    assert order == ["EarnPoints", "ChangeTags", "EarnPoints", "EarnPoints"]


def test_a_turn_that_is_run_again_asks_for_the_same_effects() -> None:
    nodes = (d.Node("tag", d.Tags(add=("a",)), "send"), message("send"))
    runs: list[list[fx.Effect]] = []
    for _ in range(2):
        asked: list[fx.Effect] = []
        run([journey(*nodes)], [checkout(1), checkout(2)], asked=asked)
        runs.append(asked)
    assert runs[0] == runs[1]
    keys = [effect.key for effect in runs[0] if not isinstance(effect, fx.EvaluateAudience | fx.FindZone)]
    assert len(keys) == len(set(keys)) == 6


def test_duplicates_are_dropped_and_what_follows_a_gap_is_held_back() -> None:
    mails = [checkout(2), checkout(3), checkout(3), checkout(5), checkout(1, source=m.MailSource.JOURNEY)]
    inbox = read_inbox({m.MailSource.SEGMENT: 2}, mails)
    assert [(mail.source, mail.number) for mail in inbox.mails] == [(1, 3), (3, 1)]
    assert inbox.gaps == {m.MailSource.SEGMENT: 3}


def test_refunds_are_posted_under_their_own_key() -> None:
    asked: list[fx.Effect] = []
    refund = m.Refund(UUID(int=8), "shop", "r1", None, None, 5_000_000, "USD")
    run([], [mail(1, refund)], asked=asked)
    [posted] = asked
    assert isinstance(posted, fx.RefundPoints)
    assert (posted.key, posted.order_key, posted.customer_id) == (UUID(int=8), None, CUSTOMER)
