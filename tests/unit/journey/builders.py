"""Small journeys and mail for tests, and a driver that answers a turn's questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import msgspec

from libs.common.mailbox import mail as m
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.acting import take_turn
from services.journey.domain.enrolment import Enrolment
from services.journey.domain.matching import TeamJourneys
from services.journey.domain.turn import Actor, EarlierRun, TurnInput, TurnResult

TEAM = UUID(int=1)
CUSTOMER = UUID(int=2)
ACCOUNT = UUID(int=3)
MODULE = UUID(int=4)
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)

Answerer = Callable[[fx.Effect], fx.Answer]


def journey(*nodes: d.Node, number: int = 100, **definition: object) -> d.Journey:
    """A live journey of these nodes that any checkout starts, on one LINE account."""
    given: dict[str, object] = {
        "name": f"journey {number}",
        "trigger": d.CheckoutTrigger(),
        "targets": (d.Target(d.Channel.LINE, ACCOUNT),),
    }
    return d.Journey(
        journey_id=UUID(int=number),
        team_id=TEAM,
        status=d.JourneyStatus.ACTIVE,
        reason=d.StatusReason.NONE,
        revision=1,
        version=1,
        stop_epoch=0,
        definition=d.Definition(nodes=nodes, **(given | definition)),  # type: ignore[arg-type]
        zone="UTC",
        created_at=NOW,
        updated_at=NOW,
    )


def with_status(given: d.Journey, status: d.JourneyStatus) -> d.Journey:
    """The same journey in another status."""
    return msgspec.structs.replace(given, status=status)


def message(node_id: str, following: str | None = None) -> d.Node:
    """A message node."""
    return d.Node(node_id, d.Message(d.Channel.LINE, bot_module_id=MODULE), following)


def delay(node_id: str, seconds: int, following: str | None = None) -> d.Node:
    """A delay node."""
    return d.Node(node_id, d.Delay(seconds), following)


def checkout(
    number: int, at: datetime = NOW, *, source: int = m.MailSource.SEGMENT, **order: object
) -> m.Mail:
    """An order of 25.00 USD as mail."""
    fields: dict[str, object] = {
        "order_key": uuid5(CUSTOMER, f"order {number}"),
        "shop_id": "shop",
        "order_id": str(number),
        "amount_micros": 25_000_000,
        "currency": "USD",
        "items": ["Blue Candy"],
        "earns": True,
        "has_phone": True,
        "test": False,
    }
    return mail(number, m.Checkout(**(fields | order)), at, source=source)  # type: ignore[arg-type]


def mail(
    number: int,
    body: m.Body,
    at: datetime = NOW,
    *,
    source: int = m.MailSource.SEGMENT,
    depth: int = 0,
) -> m.Mail:
    """Any mail to the customer."""
    return m.Mail(
        source=source,
        number=number,
        position=number,
        partition=0,
        team_id=TEAM,
        customer_id=CUSTOMER,
        event_id=uuid5(CUSTOMER, f"event {source} {number}"),
        occurred_at=at,
        depth=depth,
        body=body,
    )


def outcome(
    number: int, enrolment: Enrolment, state: m.Outcome, at: datetime = NOW, reason: str = ""
) -> m.Mail:
    """The outcome of the send for which an enrolment waits."""
    body = m.SendOutcome(fx.send_key(enrolment), enrolment.enrolment_id, state, reason, at, 1)
    return mail(number, body, at, source=m.MailSource.GATEWAY)


def agreeable(effect: fx.Effect) -> fx.Answer:
    """Every send is accepted, every change applied, every question answered with yes."""
    match effect:
        case fx.Send():
            return fx.SendAnswer(fx.SendState.ACCEPTED)
        case fx.EvaluateAudience():
            return fx.Verdict(belongs=True)
        case _:
            return fx.ChangeAnswer(fx.ChangeState.APPLIED)


def run(
    journeys: Sequence[d.Journey],
    mails: Sequence[m.Mail] = (),
    enrolments: Sequence[Enrolment] = (),
    *,
    now: datetime = NOW,
    answer: Answerer = agreeable,
    actor: Actor | None = None,
    asked: list[fx.Effect] | None = None,
    again: bool = False,
    view: m.CustomerView | None = None,
    earlier: Sequence[EarlierRun] = (),
) -> TurnResult:
    """Runs one turn to its end; `asked` collects the effects in order."""
    turn = take_turn(
        TurnInput(
            actor or Actor(TEAM, CUSTOMER, {}, {}),
            enrolments,
            mails,
            TeamJourneys((given.journey_id, given) for given in journeys),
            now,
            again=again,
            view=view,
            earlier=earlier,
        )
    )
    reply: fx.Answer | None = None
    while True:
        try:
            effect = turn.send(reply)  # type: ignore[arg-type]
        except StopIteration as stop:
            result: TurnResult = stop.value
            return result
        if asked is not None:
            asked.append(effect)
        reply = answer(effect)


def minutes(count: int) -> timedelta:
    """So many minutes."""
    return timedelta(minutes=count)


def answering(state: fx.SendState) -> Callable[[fx.Effect], fx.Answer]:
    """The gateway answers sends so, everybody else agrees."""
    return lambda effect: fx.SendAnswer(state) if isinstance(effect, fx.Send) else agreeable(effect)
