"""What the faults happen to: a team whose journeys use every kind of effect, with figures that follow from the load."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

from libs.common.money import micros_of
from libs.common.rpc.values import duration
from libs.demo.definitions import BIG_BASKET, PAGES, TIER, VARIABLES, References
from libs.demo.stream import Profile
from omnijourney.common.v1.channel_pb2 import CHANNEL_LINE, CHANNEL_WHATSAPP
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.journey.v1.journey_pb2 import Definition, Target
from omnijourney.journey.v1.node_pb2 import (
    AttributeNode,
    Branch,
    ConditionNode,
    DelayNode,
    MessageNode,
    Node,
    PointsNode,
    TagsNode,
    TemplateContent,
)
from omnijourney.journey.v1.trigger_pb2 import (
    AmountCondition,
    AttributeChanged,
    CheckoutCompleted,
    SystemTriggered,
    TagApplied,
    Trigger,
    ValueCondition,
)
from omnijourney.segment.v1.audience_pb2 import TAG_OPERATOR_ANY_OF, Audience, TagPredicate

PROFILE = Profile(
    source="chaos",
    shop_id="web",
    currency="HKD",
    time_zone="Asia/Hong_Kong",
    big_amount=Decimal(100),
    big_points=10,
    favourite="",
)
TILL = "till"
"""The shop whose orders come over gRPC."""
LADDER, VIP, BIG, TIERED, MANUAL = "ladder", "vip", "big", "tiered", "manual"
LADDER_POINTS, VIP_POINTS, TIERED_POINTS, MANUAL_POINTS, BIG_COST = 5, 11, 1, 2, 4
BIG_MAX = 2
"""Enrolments of one customer in `big`."""
VIP_TAG = "vip"
SLEEP = timedelta(days=300)
"""How long `vip` rests in the end: nobody wakes during a run."""
SLEEP_NODE = "sleep"
FIRST_LADDER = ("thanks", "wait", "is-vip", "tag", "first", "tier")
"""The way of those who were not tagged when they were asked for."""
WAYS: dict[str, set[tuple[str, ...]]] = {
    LADDER: {FIRST_LADDER, ("thanks", "wait", "is-vip", "again", "remind")},
    BIG: {("wait", "pay", "remind")},
    VIP: {("welcome", "bonus", SLEEP_NODE)},
    TIERED: {("bonus",)},
    MANUAL: {("bonus", "reward")},
}
"""All nodes that an enrolment has entered when all is quiet."""
WHATSAPP_NODES = {(LADDER, "thanks"), (VIP, "welcome"), (VIP, "wake"), (MANUAL, "reward")}
LINE_NODES = {(LADDER, "remind"), (BIG, "remind")}
POINTS_PER = Decimal(10)
"""The formula that the demo's builder sets: this amount earns one point."""


def points_of(amount: Decimal) -> int:
    """What an amount earns."""
    return int((amount / POINTS_PER).quantize(Decimal(1), ROUND_HALF_UP))


def journeys(profile: Profile, references: References) -> Sequence[Definition]:
    """All journeys, for `libs.demo.shopfront.Builder`."""
    both = [
        Target(channel=CHANNEL_WHATSAPP, account_id=references.whatsapp_account),
        Target(channel=CHANNEL_LINE, account_id=references.line_account),
    ]
    vip = Audience(tags=TagPredicate(operator=TAG_OPERATOR_ANY_OF, tags=[VIP_TAG]))
    least = Money(currency_code=profile.currency, amount_micros=micros_of(profile.big_amount))
    ladder = Definition(
        name=LADDER,
        trigger=Trigger(checkout_completed=CheckoutCompleted()),
        targets=both,
        nodes=[
            _whatsapp("thanks", "basket_thanks", references, then="wait"),
            _delay("wait", timedelta(minutes=1), then="is-vip"),
            Node(
                node_id="is-vip",
                condition=ConditionNode(audience=vip, yes=Branch(node_id="again"), no=Branch(node_id="tag")),
            ),
            Node(node_id="tag", next_node_id="first", tags=TagsNode(add=[VIP_TAG])),
            Node(node_id="first", next_node_id="tier", points=PointsNode(add=LADDER_POINTS)),
            Node(node_id="tier", attribute=AttributeNode(key=TIER, text="platinum")),
            Node(node_id="again", next_node_id="remind", points=PointsNode(add=LADDER_POINTS)),
            _line("remind", references),
        ],
    )
    big = Definition(
        name=BIG,
        enrolments_per_customer_max=BIG_MAX,
        trigger=Trigger(checkout_completed=CheckoutCompleted(amount=AmountCondition(at_least=least))),
        targets=both,
        nodes=[
            _delay("wait", timedelta(minutes=2), then="pay"),
            Node(node_id="pay", next_node_id="remind", points=PointsNode(deduct=BIG_COST)),
            _line("remind", references),
        ],
    )
    welcome = Definition(
        name=VIP,
        trigger=Trigger(tag_applied=TagApplied(tags=[VIP_TAG])),
        targets=both,
        nodes=[
            _whatsapp("welcome", "vip_welcome", references, then="bonus"),
            Node(node_id="bonus", next_node_id=SLEEP_NODE, points=PointsNode(add=VIP_POINTS)),
            _delay(SLEEP_NODE, SLEEP, then="wake"),
            _whatsapp("wake", "basket_reward", references),
        ],
    )
    platinum = AttributeChanged(keys=[TIER], value=ValueCondition(any_of=["platinum"]))
    tiered = Definition(
        name=TIERED,
        trigger=Trigger(attribute_changed=platinum),
        targets=both,
        nodes=[Node(node_id="bonus", points=PointsNode(add=TIERED_POINTS))],
    )
    manual = Definition(
        name=MANUAL,
        trigger=Trigger(system=SystemTriggered()),
        targets=both,
        nodes=[
            Node(node_id="bonus", next_node_id="reward", points=PointsNode(add=MANUAL_POINTS)),
            _whatsapp("reward", "basket_reward", references),
        ],
    )
    # Those that others set off are published first.
    return [tiered, welcome, ladder, big, manual]


def _delay(node_id: str, span: timedelta, then: str) -> Node:
    return Node(node_id=node_id, next_node_id=then, delay=DelayNode(delay=duration(span)))


def _whatsapp(node_id: str, name: str, references: References, then: str = "") -> Node:
    parameters = [*VARIABLES, PAGES[BIG_BASKET]]
    content = TemplateContent(template_id=references.templates[name], parameters=parameters)
    message = MessageNode(channel=CHANNEL_WHATSAPP, template=content)
    return Node(node_id=node_id, next_node_id=then, message=message)


def _line(node_id: str, references: References) -> Node:
    message = MessageNode(channel=CHANNEL_LINE, bot_module_id=references.bot_module)
    return Node(node_id=node_id, message=message)
