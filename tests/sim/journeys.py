"""The journeys of the simulation: every kind of wait, a limit, a branch, a goal, journeys that cause others, a stop."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from libs.testing.mails import START, TEAM
from services.journey.domain.model import (
    Channel,
    CheckoutTrigger,
    Condition,
    Definition,
    Delay,
    Journey,
    JourneyStatus,
    Message,
    Node,
    Points,
    QuietWindow,
    QuietZone,
    Split,
    StatusReason,
    SystemTriggerKind,
    Tags,
    TagTrigger,
    Target,
    Trigger,
    Wait,
    Way,
)

ACCOUNT: Final = UUID(int=3)
MODULE: Final = UUID(int=4)
SAY: Final = Message(Channel.LINE, bot_module_id=MODULE)
HOUR_S: Final = 3_600
NIGHT: Final = (QuietWindow(22 * 60, 8 * 60),)


def _journey(number: int, trigger: Trigger, *nodes: Node, **definition: object) -> Journey:
    given: dict[str, object] = {"targets": (Target(Channel.LINE, ACCOUNT),)}
    return Journey(
        journey_id=UUID(int=number),
        team_id=TEAM,
        status=JourneyStatus.ACTIVE,
        reason=StatusReason.NONE,
        revision=1,
        version=1,
        stop_epoch=0,
        definition=Definition(f"journey {number}", trigger, nodes, **(given | definition)),  # type: ignore[arg-type]
        zone="UTC",
        created_at=START,
        updated_at=START,
    )


SYSTEM: Final = UUID(int=104)
STOPPABLE: Final = UUID(int=105)
JOURNEYS: Final = (
    _journey(
        101,
        CheckoutTrigger(),
        Node("hello", SAY, "wait"),
        Node("wait", Delay(HOUR_S), "vip?"),
        Node("vip?", Condition(b"vip", "reward", "make vip")),
        Node("reward", Points(10), None),
        Node("make vip", Tags(add=("vip",)), None),
    ),
    _journey(
        102,
        CheckoutTrigger(),
        Node("gift", Points(5), "divide"),
        Node("divide", Split((Way(30, "more"), Way(50, "wait"), Way(20, holdout=True)))),
        Node("more", Points(4), "wait"),
        Node("wait", Delay(30 * 60), "bye"),
        Node("bye", SAY, None),
        enrolments_per_customer_max=2,
    ),
    _journey(
        103,
        TagTrigger(("vip",)),
        Node("welcome", Points(1), "say"),
        Node("say", SAY, "no vip"),
        Node("no vip", Tags(remove=("vip",)), None),
    ),
    _journey(
        SYSTEM.int,
        SystemTriggerKind(),
        Node("wait", Delay(HOUR_S), "good morning"),
        Node("good morning", SAY, "thanks"),
        Node("thanks", Points(2), None),
        quiet=NIGHT,
        quiet_zone=QuietZone.CUSTOMER,
    ),
    _journey(
        STOPPABLE.int,
        CheckoutTrigger(),
        Node("wait", Delay(2 * HOUR_S), "say"),
        Node("say", SAY, "points"),
        Node("points", Points(3), None),
    ),
    _journey(
        106,
        TagTrigger(("vip",)),
        Node("order?", Wait(CheckoutTrigger(), 2 * HOUR_S, "thanks", "ask")),
        Node("thanks", Points(7), None),
        Node("ask", SAY, None),
    ),
    _journey(
        107,
        CheckoutTrigger(),
        Node("say", SAY, "another?"),
        Node("another?", Wait(CheckoutTrigger(), HOUR_S, "double", "small", counts_earlier=True)),
        Node("double", Points(4), None),
        Node("small", Points(1), None),
        goal=TagTrigger(("vip",)),
    ),
)
