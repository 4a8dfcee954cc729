"""What the demo team has: templates, a bot module, three journeys."""

from dataclasses import dataclass
from datetime import timedelta

from libs.common.money import micros_of
from libs.common.rpc.values import duration
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
    ITEM_MATCH_CONTAINS,
    AmountCondition,
    CheckoutCompleted,
    ItemCondition,
    TagApplied,
    Trigger,
)
from omnijourney.segment.v1.audience_pb2 import (
    COMPARE_OPERATOR_GREATER_OR_EQUAL,
    POINTS_FIGURE_CUMULATIVE,
    Audience,
    PointsPredicate,
)

BIG_BASKET = "big-basket"
FAVOURITE_ITEM = "favourite-item"
VIP_WELCOME = "vip-welcome"
VIP_POINTS = 50
LINE_CAP = 100
TIER = "tier"
VARIABLES = ("{{customer.name}}", "{{points.balance}}")
"""The first parameters of every template, in order; the last one is a link."""
TEMPLATES = {
    "basket_thanks": "Hi {{1}}, thank you for your order! You have {{2}} points. More of it: {{3}} !",
    "basket_reward": "Hi {{1}}, welcome among our best customers. A bonus is in: {{2}} points now. See {{3}} !",
    "basket_collect": "Hi {{1}}, you have {{2}} points. A few more, and there is a bonus. See {{3}} !",
    "vip_welcome": "Hi {{1}}, you are platinum now, with {{2}} points. Enjoy {{3}} !",
}
"""Name and text of the WhatsApp templates, as they are approved outside."""
PAGES = {
    BIG_BASKET: "https://shop.example/baskets",
    FAVOURITE_ITEM: "https://shop.example/favourites",
    VIP_WELCOME: "https://shop.example/platinum",
}
"""Where the links in each journey's messages lead."""
LINE_TEXT = (
    "Hi {{customer.name}}, your favourite is back on the shelf. You have {{points.balance}} points. "
    + PAGES[FAVOURITE_ITEM]
)


@dataclass(frozen=True, slots=True)
class References:
    """Ids at the gateway that the journeys name."""

    whatsapp_account: str
    line_account: str
    templates: dict[str, str]
    """Id by name."""
    bot_module: str


def definitions(profile: Profile, references: References) -> list[Definition]:
    """The three journeys, in the order in which they are published."""
    return [
        _vip_welcome(references),
        _big_basket(profile, references),
        _favourite_item(profile, references),
    ]


def _big_basket(profile: Profile, references: References) -> Definition:
    least = Money(currency_code=profile.currency, amount_micros=micros_of(profile.big_amount))
    collected = Audience(
        points=PointsPredicate(
            figure=POINTS_FIGURE_CUMULATIVE,
            operator=COMPARE_OPERATOR_GREATER_OR_EQUAL,
            value=profile.big_points,
        )
    )
    return Definition(
        name=BIG_BASKET,
        enrolments_per_customer_max=1,
        trigger=Trigger(checkout_completed=CheckoutCompleted(amount=AmountCondition(at_least=least))),
        targets=[Target(channel=CHANNEL_WHATSAPP, account_id=references.whatsapp_account)],
        nodes=[
            _template("thanks", "basket_thanks", BIG_BASKET, references, then="next-day"),
            Node(
                node_id="next-day",
                next_node_id="many-points",
                delay=DelayNode(delay=duration(timedelta(days=1))),
            ),
            Node(
                node_id="many-points",
                condition=ConditionNode(
                    audience=collected, yes=Branch(node_id="make-vip"), no=Branch(node_id="encourage")
                ),
            ),
            Node(node_id="make-vip", next_node_id="bonus", tags=TagsNode(add=["vip"])),
            Node(node_id="bonus", next_node_id="reward", points=PointsNode(add=VIP_POINTS)),
            _template("reward", "basket_reward", BIG_BASKET, references),
            _template("encourage", "basket_collect", BIG_BASKET, references),
        ],
    )


def _favourite_item(profile: Profile, references: References) -> Definition:
    item = ItemCondition(match=ITEM_MATCH_CONTAINS, names=[profile.favourite])
    target = Target(channel=CHANNEL_LINE, account_id=references.line_account, message_cap=LINE_CAP)
    message = MessageNode(channel=CHANNEL_LINE, bot_module_id=references.bot_module)
    return Definition(
        name=FAVOURITE_ITEM,
        trigger=Trigger(checkout_completed=CheckoutCompleted(item=item)),
        targets=[target],
        nodes=[Node(node_id="remind", message=message)],
    )


def _vip_welcome(references: References) -> Definition:
    return Definition(
        name=VIP_WELCOME,
        trigger=Trigger(tag_applied=TagApplied(tags=["vip"])),
        targets=[Target(channel=CHANNEL_WHATSAPP, account_id=references.whatsapp_account)],
        nodes=[
            Node(
                node_id="platinum",
                next_node_id="welcome",
                attribute=AttributeNode(key=TIER, text="platinum"),
            ),
            _template("welcome", "vip_welcome", VIP_WELCOME, references),
        ],
    )


def _template(node_id: str, name: str, journey: str, references: References, then: str = "") -> Node:
    parameters = [*VARIABLES, PAGES[journey]]
    content = TemplateContent(template_id=references.templates[name], parameters=parameters)
    message = MessageNode(channel=CHANNEL_WHATSAPP, template=content)
    return Node(node_id=node_id, next_node_id=then, message=message)
