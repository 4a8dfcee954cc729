"""What must hold when a run has come to rest, judged from what the world recorded and what was committed.

It uses none of the code that decides turns: it reads mail, history, ledger and sends, and compares.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from uuid import UUID, uuid5

from libs.common.mailbox.mail import Body, Checkout, Mail, SystemTrigger, TagApplied
from services.journey.domain import effects as fx
from services.journey.domain.enrolment import Enrolment, EnrolmentState, Step, StepResult
from services.journey.domain.model import (
    CheckoutTrigger,
    Condition,
    Delay,
    Journey,
    JourneyStatus,
    Message,
    Node,
    Points,
    Split,
    SystemTriggerKind,
    Tags,
    TagTrigger,
    Wait,
)
from services.journey.domain.turn import Refusal, RunSegment
from services.points.domain.model import Source as EntrySource
from tests.sim.service_invariants import earned, service_faults
from tests.sim.site import Site
from tests.sim.waits import events_were_heard

ENDED = (EnrolmentState.COMPLETED, EnrolmentState.HALTED, EnrolmentState.CONVERTED)
_ANSWERED = {
    fx.SendState.SENT: StepResult.SENT,
    fx.SendState.SKIPPED: StepResult.SKIPPED,
    fx.SendState.FAILED: StepResult.FAILED,
    fx.SendState.UNKNOWN: StepResult.UNKNOWN,
    fx.SendState.CANCELLED: StepResult.CANCELLED,
}


def faults_of(site: Site) -> list[str]:
    """Everything that is wrong, in words; empty if nothing is."""
    return [*_Judge(site).faults(), *service_faults(site)]


class _Judge:
    def __init__(self, site: Site) -> None:
        self.site = site
        self.journeys = site.tables.journeys
        self.enrolments = {
            e.enrolment_id: e for of_one in site.tables.enrolments.values() for e in of_one.values()
        }
        self.steps: defaultdict[UUID, list[Step]] = defaultdict(list)
        self.entered: list[RunSegment] = []
        self.refused: list[tuple[UUID, Refusal]] = []
        for fact in site.tables.history:
            if isinstance(fact.what, Refusal):
                self.refused.append((fact.customer.customer_id, fact.what))
                continue
            self.steps[fact.what.enrolment_id] += fact.what.steps
            if fact.what.enrolled:
                self.entered.append(fact.what)

    def faults(self) -> Iterator[str]:
        yield from (f"one key, two effects: {unlike}" for unlike in self.site.services.unlike)
        yield from (f"known from mail, and not true: {stale}" for stale in self.site.services.stale)
        yield from self.mail_was_read_once()
        yield from self.triggers_took_effect_once()
        yield from self.limits_are_exact()
        yield from self.order_was_kept()
        for enrolment in self.enrolments.values():
            yield from self.path_is_whole(enrolment)
        yield from self.same_customers_went_the_same_way()
        yield from events_were_heard(self.site)
        yield from self.effects_are_those_of_the_paths()
        yield from self.sends_left_once()

    def mail_was_read_once(self) -> Iterator[str]:
        """Every number of every source was taken, and none that was never given."""
        for key, numbers in self.site.numbers().items():
            taken = {source: n for source, n in self.site.tables.actors[key].taken.items() if n}
            if taken != numbers:
                yield f"{key.customer_id} took {taken} of {numbers}"

    # -- entering ---------------------------------------------------------------------------------------------------

    def matches(self) -> Iterator[tuple[Mail, Journey]]:
        """Each mail with each journey that it starts, whatever the limits and the status say."""
        for mail in self.site.mails():
            for journey in self.journeys.values():
                if _starts(journey, mail.body):
                    yield mail, journey

    def triggers_took_effect_once(self) -> Iterator[str]:
        """An event enrols a customer once in each journey that it starts, and no other event does."""
        possible = {
            uuid5(journey.journey_id, f"{mail.customer_id}:{mail.event_id}")
            for mail, journey in self.matches()
        }
        told = Counter(run_segment.enrolment_id for run_segment in self.entered)
        yield from (f"{e} was enrolled {count} times" for e, count in told.items() if count > 1)
        if told.keys() != self.enrolments.keys():
            yield f"told of and kept are not the same: {told.keys() ^ self.enrolments.keys()}"
        if not told.keys() <= possible:
            yield f"enrolled for no reason: {told.keys() - possible}"

    def limits_are_exact(self) -> Iterator[str]:
        """Enrolled as often as the limit allows, no more and no less; the others were refused and counted."""
        wanted = Counter((mail.customer_id, journey.journey_id) for mail, journey in self.matches())
        entered = Counter(
            (self.enrolments[b.enrolment_id].customer_id, b.journey_id)
            for b in self.entered
            if b.enrolment_id in self.enrolments
        )
        refused = Counter((customer_id, refusal.journey_id) for customer_id, refusal in self.refused)
        for (customer_id, journey_id), count in wanted.items():
            journey = self.journeys[journey_id]
            got = entered[customer_id, journey_id], refused[customer_id, journey_id]
            if journey.status is not JourneyStatus.ACTIVE:
                if sum(got) > count:
                    yield f"{journey.definition.name}: {got} of {count} of {customer_id}"
                continue
            most = journey.definition.enrolments_per_customer_max or count
            deep = self.too_deep(customer_id, journey)
            if not deep and got != (min(most, count), max(0, count - most)):
                yield f"{journey.definition.name}: {got} of {count} triggers of {customer_id}, limit {most}"

    def too_deep(self, customer_id: UUID, journey: Journey) -> bool:
        """Whether a chain of causes grew so long that it was cut."""
        return any(
            mail.depth > 16 and mail.customer_id == customer_id and _starts(journey, mail.body)
            for mail in self.site.mails()
        )

    def order_was_kept(self) -> Iterator[str]:
        """What orders earned was posted in the order of their numbers, and so did customers enter."""
        place = {
            mail.body.order_key: mail.number for mail in self.site.mails() if isinstance(mail.body, Checkout)
        }
        posted: defaultdict[UUID, list[int]] = defaultdict(list)
        for entry in self.site.services.points.entries:
            if entry.key in place:
                posted[entry.customer_id].append(place[entry.key])
        yield from (
            f"orders of {who} were worked on as {order}"
            for who, order in posted.items()
            if order != sorted(order)
        )
        number_of = {mail.event_id: (mail.source, mail.number) for mail in self.site.mails()}
        last: dict[tuple[UUID, UUID, int], int] = {}
        for run_segment in self.entered:
            enrolment = self.enrolments.get(run_segment.enrolment_id)
            if enrolment is None or enrolment.trigger_event_id not in number_of:
                continue
            source, number = number_of[enrolment.trigger_event_id]
            line = (enrolment.customer_id, run_segment.journey_id, source)
            if last.get(line, 0) >= number:
                yield f"{enrolment.customer_id} entered {run_segment.journey_id} by {number} after {last[line]}"
            last[line] = number

    # -- walking ----------------------------------------------------------------------------------------------------

    def path_is_whole(self, enrolment: Enrolment) -> Iterator[str]:
        """The steps told are a way through the tree from its start, each node once, to where it ended."""
        journey = self.journeys[enrolment.journey_id]
        steps = self.steps[enrolment.enrolment_id]
        nodes = {node.node_id: node for node in journey.definition.nodes}
        if enrolment.state not in ENDED:
            yield f"has not ended: {enrolment}"
        visited = [step.node_id for step in steps if step.entered]
        if len(visited) != len(set(visited)):
            yield f"a node was entered twice: {visited}"
        expected: str | None = journey.definition.nodes[0].node_id
        for node_id in visited:
            if node_id != expected:
                yield f"went to {node_id} instead of {expected}: {visited}"
                return
            there = [step for step in steps if step.node_id == node_id]
            yield from _rests_were_right(nodes[node_id], there)
            expected = _following(nodes[node_id], there[-1])
        if enrolment.state is EnrolmentState.COMPLETED and expected is not None:
            yield f"completed at {visited[-1:]}, before {expected}"
        reached = [step for step in steps if step.result is StepResult.GOAL_REACHED]
        if len(reached) != (enrolment.state is EnrolmentState.CONVERTED):
            yield f"{enrolment.state.name} with {len(reached)} goals reached: {visited}"
        if enrolment.state is EnrolmentState.HALTED and journey.status is JourneyStatus.ACTIVE:
            yield f"halted in a journey that was never stopped: {visited}"

    def same_customers_went_the_same_way(self) -> Iterator[str]:
        """At a split, whatever enrolment it was; and told as held out who is."""
        ways: dict[tuple[UUID, UUID, str], str] = {}
        for enrolment, node, step in self._steps():
            if not isinstance(node.action, Split) or step.result is StepResult.HALTED:
                continue
            way = ways.setdefault((enrolment.customer_id, enrolment.journey_id, node.node_id), step.detail)
            if way != step.detail:
                yield f"{enrolment.customer_id} went ways {way} and {step.detail} of {node.node_id}"
            if node.action.ways[int(way) - 1].holdout is not (step.result is StepResult.HELD_OUT):
                yield f"way {way} of {node.node_id} was told as {step.result.name}"

    def effects_are_those_of_the_paths(self) -> Iterator[str]:
        """Services did exactly what the paths told say: points, tags, messages, times."""
        points, changed, marketed = self._earned(), set(), set()
        for enrolment, node, step in self._steps():
            key = fx.effect_key(enrolment.enrolment_id, node.node_id, step.visit)
            match node.action:
                case Points() if step.result is StepResult.APPLIED:
                    points[key] = node.action.delta
                case Tags() if step.result in (StepResult.APPLIED, StepResult.UNCHANGED):
                    changed.add(key)
                case Message() if step.result is StepResult.SENT:
                    marketed.add(enrolment.customer_id)
        entries = [e for e in self.site.services.points.entries if e.source is not EntrySource.REFUND]
        posted = {entry.key: entry.delta_balance for entry in entries}
        stopped = self._keys_of_stopped()
        if len(posted) != len(entries):
            yield "a ledger entry is there twice"
        yield from _differences("points", posted, points, stopped)
        done = dict.fromkeys(self.site.services.segment.effects_used, 1)
        yield from _differences("tags", done, dict.fromkeys(changed, 1), stopped)
        marked = self.site.services.segment.marketed
        yield from (f"a message left for {who}, and no mark says so" for who in marketed - marked.keys())
        if not stopped:
            yield from (f"{who} is marked, and no message left" for who in marked.keys() - marketed)
        left = [row for row in self.site.services.gateway.history if int(row.state) == fx.SendState.SENT]
        last = {row.delivery.send.customer_id: row.at for row in sorted(left, key=lambda row: row.at)}
        if marked != last:
            yield f"the team last marketed at {last}, and not at {marked}"

    def _earned(self) -> dict[UUID, int]:
        """What orders of people with a phone earn, by the orders' keys."""
        orders = [mail.body for mail in self.site.mails() if isinstance(mail.body, Checkout)]
        points = {order.order_key: earned(order.amount_micros) for order in orders if order.has_phone}
        return {key: value for key, value in points.items() if value}

    def _keys_of_stopped(self) -> set[UUID]:
        """Keys of the journey that was stopped: a turn may have acted for it just before, and never committed."""
        keys = set()
        for mail, journey in self.matches():
            if journey.status is JourneyStatus.ACTIVE:
                continue
            enrolment_id = uuid5(journey.journey_id, f"{mail.customer_id}:{mail.event_id}")
            for node in journey.definition.nodes:
                keys.add(fx.effect_key(enrolment_id, node.node_id, 1))
        return keys

    def sends_left_once(self) -> Iterator[str]:
        """A message left once for each visit that says so, and every visit says what became of its message."""
        told: dict[UUID, StepResult] = {}
        for enrolment, node, step in self._steps():
            if isinstance(node.action, Message):
                told[fx.effect_key(enrolment.enrolment_id, node.node_id, step.visit)] = step.result
        stopped = self._keys_of_stopped()
        deliveries = self.site.services.gateway.deliveries
        for key, delivery in deliveries.items():
            if delivery.attempts > 1:
                yield f"{delivery.send} left {delivery.attempts} times"
            if key not in stopped and told.get(key) is not _ANSWERED.get(fx.SendState(delivery.state)):
                yield f"a send that is {delivery.state.name} was told as {told.get(key)}: {delivery.send}"
        yield from (f"told of, never asked: {key}" for key in told.keys() - deliveries.keys() - stopped)

    def _steps(self) -> Iterator[tuple[Enrolment, Node, Step]]:
        for enrolment in self.enrolments.values():
            nodes = {n.node_id: n for n in self.journeys[enrolment.journey_id].definition.nodes}
            for step in self.steps[enrolment.enrolment_id]:
                yield enrolment, nodes[step.node_id], step


def _starts(journey: Journey, body: Body) -> bool:
    match journey.definition.trigger, body:
        case CheckoutTrigger(), Checkout():
            return True
        case TagTrigger(tags), TagApplied(tag):
            return tag in tags
        case SystemTriggerKind(), SystemTrigger():
            return body.journey_id == journey.journey_id
        case _:
            return False


def _rests_were_right(node: Node, steps: list[Step]) -> Iterator[str]:
    results = [step.result for step in steps]
    if isinstance(node.action, Delay):
        if results[0] is not StepResult.DELAY_STARTED:
            yield f"a delay that did not start: {steps}"
        ended = [step for step in steps if step.result is StepResult.DELAY_ENDED]
        # It counts from the message before it, which may have left a little earlier than its outcome was read.
        if len(ended) > 1:
            yield f"a delay that ended {len(ended)} times"
    if isinstance(node.action, Wait):
        if results[0] not in (StepResult.WAIT_STARTED, StepResult.HAPPENED):
            yield f"a wait that did not start: {steps}"
        if results.count(StepResult.HAPPENED) + results.count(StepResult.TIMED_OUT) > 1:
            yield f"the event and the time-out both went on: {steps}"
    if isinstance(node.action, Message) and results.count(StepResult.SENT) > 1:
        yield f"sent twice: {steps}"


def _following(node: Node, last: Step) -> str | None:
    if last.result in (StepResult.HALTED, StepResult.CANCELLED, StepResult.GOAL_REACHED):
        return None
    if isinstance(node.action, Condition):
        return node.action.yes if last.result is StepResult.YES else node.action.no
    if isinstance(node.action, Split):
        way = node.action.ways[int(last.detail) - 1]
        return None if last.result is StepResult.HELD_OUT else way.target
    if isinstance(node.action, Wait):
        return node.action.happened if last.result is StepResult.HAPPENED else node.action.timed_out
    return node.next


def _differences(
    what: str, found: Mapping[UUID, int], wanted: Mapping[UUID, int], stopped: set[UUID]
) -> Iterator[str]:
    for key in found.keys() | wanted.keys():
        if found.get(key) != wanted.get(key) and not (key in stopped and key not in wanted):
            yield f"{what}: the service has {found.get(key)}, the steps say {wanted.get(key)} ({key})"
