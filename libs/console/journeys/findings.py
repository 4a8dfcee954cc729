"""What a simulation found, as a page shows it: in numbers, and in the tree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from libs.console.journeys.reasons import reason_in_words
from libs.console.journeys.tree import START, ways_of
from libs.console.labels import CHANNELS
from libs.console.languages import noted
from libs.console.visits import Visit
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.journey.v1 import simulation_pb2 as pb
from omnijourney.journey.v1.journey_pb2 import Definition

PREMISES: Final[Mapping[int, str]] = {
    pb.SIMULATION_PREMISE_ALL_DELIVERED: noted(
        "Every message to a customer whom its account can reach is delivered at once."
    ),
    pb.SIMULATION_PREMISE_BASICS_OF_NOW: noted("Member ID, phone and email are those of now."),
    pb.SIMULATION_PREMISE_BINDINGS_OF_NOW: noted("Whoever is on an account now was so before."),
    pb.SIMULATION_PREMISE_TIMES_OF_NOW: noted("The times of the last interactions are those of now."),
    pb.SIMULATION_PREMISE_POINTS_OF_NOW: noted("Points are those of now."),
    pb.SIMULATION_PREMISE_LIMITS_OF_NOW: noted(
        "Quotas and limits are those of now, and all there for this journey."
    ),
    pb.SIMULATION_PREMISE_BALANCE_OF_NOW: noted("The prepaid balance is that of now."),
    pb.SIMULATION_PREMISE_SCHEDULE_LEFT_ASIDE: noted(
        "The active time begins after the simulated time, and was left aside."
    ),
}
"""What is taken for granted, since recorded events do not tell it."""
_ENTERED: Final = noted("%(entered)s entered")
_DEFERRED: Final = noted("%(deferred)s had to wait for quiet time to end or for room")


class Sent(NamedTuple):
    """Messages of one channel."""

    channel: str
    messages: str
    cost: str


class Findings(NamedTuple):
    """All of it, in the visitor's language."""

    figures: list[tuple[str, tuple[str, str]]]
    """As `tiles` of the figures shows them; the names are translated there."""
    numbers: Mapping[str, str]
    """What stands at a node."""
    taken: Mapping[str, str]
    """How many took a way, by its place; not where two ways of a node lead to the same one."""
    refusals: list[tuple[str, str]]
    """Why some were not let in, and how many."""
    limits: list[tuple[str, str]]
    """What would have been used up, and when."""
    sends: list[Sent]
    premises: list[str]


def findings_of(
    visit: Visit, found: pb.Simulation, definition: Definition, *, so_far: bool = False
) -> Findings:
    """`definition` is what was simulated; `so_far`: the simulation works, and its messages are not told yet."""
    number = visit.formats.number
    counts, costs = _sums(found)
    figures = (
        (noted("Events looked at"), found.events_count),
        (noted("Customers who entered"), found.enrolled_count),
        (noted("Reached the end"), found.completed_count),
        (noted("Halted on the way"), found.halted_count),
        (noted("Still inside at the end"), found.live_count),
        *([] if so_far else [(noted("Messages"), sum(counts.values()))]),
        (noted("Points added"), found.points_added),
        (noted("Points deducted"), found.points_deducted),
    )
    return Findings(
        figures=[(name, (number(value), "")) for name, value in figures],
        numbers={each.node_id: _at_node(visit, each) for each in found.nodes},
        taken={place: number(count) for place, count in _taken(found, definition)},
        refusals=[
            (reason_in_words(visit, each.reason), number(each.refused_count)) for each in found.refusals
        ],
        limits=[
            (reason_in_words(visit, each.reason), visit.formats.moment(each.reach_time))
            for each in found.limits
        ],
        sends=[
            Sent(CHANNELS.get(channel, ""), number(count), _cost(visit, costs, channel))
            for channel, count in sorted(counts.items())
        ],
        premises=[visit.say(PREMISES[each]) for each in found.premises if each in PREMISES],
    )


def _at_node(visit: Visit, node: pb.SimulatedNode) -> str:
    number = visit.formats.number
    said = [visit.say(_ENTERED, entered=number(node.entered_count))]
    if node.deferred_count:
        said.append(visit.say(_DEFERRED, deferred=number(node.deferred_count)))
    return " · ".join(said)


def _sums(found: pb.Simulation) -> tuple[Counter[int], Counter[tuple[int, str]]]:
    """Messages by channel, and their price by channel and currency."""
    counts, costs = Counter[int](), Counter[tuple[int, str]]()
    for sends in found.sends:
        counts[sends.channel] += sends.message_count
        if sends.HasField("cost"):
            costs[sends.channel, sends.cost.currency_code] += sends.cost.amount_micros
    return counts, costs


def _cost(visit: Visit, costs: Counter[tuple[int, str]], channel: int) -> str:
    amounts = [
        Money(currency_code=code, amount_micros=sum_) for (of, code), sum_ in costs.items() if of == channel
    ]
    return " + ".join(map(visit.formats.money, amounts)) or visit.formats.number(None)


def _taken(found: pb.Simulation, definition: Definition) -> Iterator[tuple[str, int]]:
    """How many took each way."""
    yield START, found.enrolled_count
    edges = {(each.node_id, each.next_node_id): each.taken_count for each in found.edges}
    split = {each.node_id: {way.way: way.count for way in each.ways} for each in found.nodes if each.ways}
    for node in definition.nodes:
        ways = list(ways_of(node))
        leading = Counter(leads_to for _, leads_to in ways)
        for number, (way, leads_to) in enumerate(ways, 1):
            if node.HasField("split"):
                yield way.place, split.get(node.node_id, {}).get(number, 0)
            elif leading[leads_to] == 1:
                yield way.place, edges.get((node.node_id, leads_to), 0)
