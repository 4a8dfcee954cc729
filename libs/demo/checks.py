"""Do the services agree with each other, with the emulators, and with what the stream says must come out?"""

from collections.abc import Iterator
from dataclasses import dataclass

from libs.demo.definitions import BIG_BASKET, FAVOURITE_ITEM, LINE_CAP, VIP_POINTS, VIP_WELCOME
from libs.demo.expected import Expected
from libs.demo.figures import CountedPoints, Figures, Journey, Simulated

CHANNEL_OF = {BIG_BASKET: "whatsapp", FAVOURITE_ITEM: "line", VIP_WELCOME: "whatsapp"}


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: what, as one side says, as the other says."""

    what: str
    found: object
    wanted: object

    @property
    def good(self) -> bool:
        """Whether both say the same."""
        return self.found == self.wanted


def check(figures: Figures, expected: Expected) -> list[Check]:
    """All comparisons, good and bad."""
    return [
        *_orders(figures, expected),
        *_points(figures, expected),
        *_channels(figures),
        *(found for journey in figures.journeys.values() for found in _journey(journey)),
        *_big_basket(figures, expected),
        *_favourite_item(figures, expected),
        *_vip_welcome(figures),
        *_attributed(figures, expected),
        *_dashboards(figures),
        *(
            found
            for name, simulated in figures.simulated.items()
            for found in _simulated(figures, expected, name, simulated)
        ),
    ]


def _orders(figures: Figures, expected: Expected) -> Iterator[Check]:
    yield Check("orders in stats = orders of the source", figures.orders, expected.orders)
    yield Check("refunds in stats = refunds of the source", figures.refunds, expected.refunds)
    yield Check("anonymous in stats = anonymous of the source", figures.anonymous, expected.anonymous)
    yield Check("customers in stats = customers of the source", figures.customers, expected.customers)


def _points(figures: Figures, expected: Expected) -> Iterator[Check]:
    points = figures.points
    yield Check("points earned = formula over all orders", points.earned, expected.earned)
    asked = points.refunded + points.refund_shortfall
    yield Check("points refunded + shortfall = formula over all refunds", asked, expected.refund_asked)
    sum_of_changes = points.earned - points.refunded + points.journey
    yield Check("balance = earned − refunded + journeys", points.balance, sum_of_changes)
    yield Check("cumulative = earned + journeys", points.cumulative, points.earned + points.journey)
    yield Check("sums over all customers = ledger", figures.balances, (points.balance, points.cumulative))
    yield Check("findings of the ledger's checker", figures.ledger_findings, 0)
    bonus = figures.journeys[BIG_BASKET].nodes.get("bonus", 0)
    yield Check("points of journeys = 50 × visits of `bonus`", points.journey, VIP_POINTS * bonus)
    yield Check("points in stats = ledger", figures.stats_points, CountedPoints.of(points))


def _channels(figures: Figures) -> Iterator[Check]:
    for name, channel in figures.channels.items():
        received = channel.received_by_emulator
        yield Check(f"{name}: sent in stats = received by the emulator", channel.sent, received)
        yield Check(f"{name}: sent in the gateway = received by the emulator", channel.gateway_sent, received)
        yield Check(f"{name}: messages received twice", channel.doubles, 0)
        journeys = [j for j in figures.journeys.values() if CHANNEL_OF[j.name] == name]
        total = sum(journey.messages.sent for journey in journeys)
        yield Check(f"{name}: sent by its journeys = sent", total, channel.sent)


def _journey(journey: Journey) -> Iterator[Check]:
    ended = journey.completed + journey.halted
    yield Check(f"{journey.name}: completed + halted = triggered", ended, journey.triggered)
    total = sum(journey.enrolments.values())
    yield Check(f"{journey.name}: enrolments of the journey service = triggered", total, journey.triggered)
    resting = total - journey.enrolments.get("COMPLETED", 0) - journey.enrolments.get("HALTED", 0)
    yield Check(f"{journey.name}: enrolments that still rest", resting, 0)
    troubled = journey.messages.failed + journey.messages.unknown
    yield Check(f"{journey.name}: messages failed or unknown", troubled, 0)


def _big_basket(figures: Figures, expected: Expected) -> Iterator[Check]:
    journey = figures.journeys[BIG_BASKET]
    nodes = journey.nodes
    yield Check(
        f"{BIG_BASKET}: triggered = customers with a big basket", journey.triggered, expected.big_customers
    )
    refused = expected.big_baskets - expected.big_customers
    yield Check(f"{BIG_BASKET}: refused = their further big baskets", journey.refused, refused)
    yield Check(f"{BIG_BASKET}: stands at", (journey.status, journey.reason), ("ACTIVE", None))
    for node in ("thanks", "next-day", "many-points"):
        yield Check(f"{BIG_BASKET}: visits of `{node}` = triggered", nodes.get(node, 0), journey.triggered)
    branches = nodes.get("make-vip", 0) + nodes.get("encourage", 0)
    yield Check(f"{BIG_BASKET}: both branches = triggered", branches, journey.triggered)
    yield Check(f"{BIG_BASKET}: sent = two a customer", journey.messages.sent, 2 * journey.triggered)


def _favourite_item(figures: Figures, expected: Expected) -> Iterator[Check]:
    journey = figures.journeys[FAVOURITE_ITEM]
    sent = min(LINE_CAP, expected.favourite_reachable)
    yield Check(f"{FAVOURITE_ITEM}: sent", journey.messages.sent, sent)
    stopped = expected.favourite_reachable > LINE_CAP
    state = ("STOPPED", "LINE_CAP_REACHED") if stopped else ("ACTIVE", None)
    yield Check(f"{FAVOURITE_ITEM}: stands at", (journey.status, journey.reason), state)
    if not stopped:
        yield Check(
            f"{FAVOURITE_ITEM}: triggered = orders with it", journey.triggered, expected.favourite_orders
        )


def _vip_welcome(figures: Figures) -> Iterator[Check]:
    journey = figures.journeys[VIP_WELCOME]
    made = figures.journeys[BIG_BASKET].nodes.get("make-vip", 0)
    yield Check(f"{VIP_WELCOME}: triggered = visits of `make-vip`", journey.triggered, made)
    yield Check(f"{VIP_WELCOME}: stands at", (journey.status, journey.reason), ("ACTIVE", None))
    yield Check(f"{VIP_WELCOME}: sent = one a customer", journey.messages.sent, journey.triggered)


def _dashboards(figures: Figures) -> Iterator[Check]:
    if figures.dashboards:
        empty = [query for query, series in figures.dashboards.items() if not series]
        yield Check("queries of dashboards without data in Prometheus", empty, [])


def _attributed(figures: Figures, expected: Expected) -> Iterator[Check]:
    for name, recounted in figures.recounted.items():
        journey = figures.journeys[name]
        found = journey.attributed
        yield Check(
            f"{name}: clicked in stats = messages whose link was opened", found.clicked, recounted.clicked
        )
        yield Check(f"{name}: orders in stats = recounted orders", found.orders, recounted.orders)
        yield Check(f"{name}: revenue in stats = recounted revenue", found.revenue, recounted.revenue)
        spent = journey.messages.sent * expected.message_prices[CHANNEL_OF[name]]
        ratio = round(float(recounted.revenue / spent), 6) if spent else None
        counted = journey.return_on_ad_spend
        yield Check(f"{name}: return on ad spend", counted and round(counted, 6), ratio)
    if figures.statistics_compared:
        yield Check(
            "figures that differ from the records, by stats' checker", figures.statistics_findings, ()
        )


def _simulated(figures: Figures, expected: Expected, name: str, simulated: Simulated) -> Iterator[Check]:
    """Of a journey that its cap stopped only what was sent: how many entered before depends on how many checkouts one
    instant had, which is half an hour's in the replay, and a second's in a simulation."""
    journey = figures.journeys[name]
    yield Check(f"{name}: sent in the simulation = sent", simulated.sent, journey.messages.sent)
    if journey.status == "STOPPED":
        return
    yield Check(f"{name}: triggered in the simulation = triggered", simulated.triggered, journey.triggered)
    yield Check(f"{name}: refused in the simulation = refused", simulated.refused, journey.refused)
    slack = expected.undecided if name == BIG_BASKET else 0
    for node, entered in journey.nodes.items():
        found = simulated.nodes.get(node, 0)
        found = entered if abs(found - entered) <= slack else found
        yield Check(f"{name}: visits of `{node}` in the simulation = visits", found, entered)
