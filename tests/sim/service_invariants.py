"""What must hold of segment, points and stats when a run has come to rest, worked out from what happened alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from libs.common.mailbox.mail import Checkout, MailSource, Refund
from libs.testing.mails import TEAM
from services.channel_gateway.domain.model import SendState
from services.journey.domain.enrolment import EnrolmentState, StepResult
from services.journey.domain.turn import Refusal, RunSegment
from services.points.domain.model import OrderKey
from services.points.domain.model import Source as EntrySource
from services.segment.domain.model import OrderCompleted, OrderRefunded
from services.stats.domain.facts import LEAVING
from services.stats.domain.model import Metric
from tests.sim.site import Site

Key = tuple[int, UUID, str]
"""Metric, journey, node."""
NO_JOURNEY = UUID(int=0)
PASSED = 0
"""In the place of a metric: those who went on from a node."""


def earned(amount_micros: int) -> int:
    """Ten earn a point, rounded half up."""
    return max(0, (amount_micros + 5_000_000) // 10_000_000)


def service_faults(site: Site) -> Iterator[str]:
    """Everything that is wrong, in words."""
    yield from _reports_are_facts(site)
    yield from _the_ledger_follows(site)
    yield from _orders_are_exact(site)
    yield from _figures_are_counted(site)


def _reports_are_facts(site: Site) -> Iterator[str]:
    """Each order and refund that was reported is mailed once, however often it was reported."""
    reports, mails = site.services.segment.reports, site.sources[MailSource.SEGMENT].mails
    for reported, mailed in ((OrderCompleted, Checkout), (OrderRefunded, Refund)):
        told = Counter(_name(event.body) for event in reports if isinstance(event.body, reported))
        heard = Counter(_name(mail.body) for mail in mails if isinstance(mail.body, mailed))
        if told != heard or any(count > 1 for count in heard.values()):
            yield f"reported {told}, mailed {heard}"


def _name(body: object) -> str:
    return str(getattr(body, "refund_id", None) or getattr(body, "order_id", None))


def _the_ledger_follows(site: Site) -> Iterator[str]:
    """Each entry follows from the one before, and accounts are the last of theirs."""
    points = site.services.points
    sums: defaultdict[UUID, tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    for entry in points.entries:
        sequence, balance, cumulative = sums[entry.customer_id]
        after = (sequence + 1, balance + entry.delta_balance, cumulative + entry.delta_cumulative)
        if after != (entry.sequence, entry.balance, entry.cumulative) or min(after) < 0:
            yield f"{entry} does not follow from {sums[entry.customer_id]}"
        sums[entry.customer_id] = after
    accounts = {
        customer: (a.sequence, a.balance, a.cumulative) for (_, customer), a in points.accounts.items()
    }
    if accounts != dict(sums):
        yield f"accounts are {accounts}, their entries come to {dict(sums)}"


def _orders_are_exact(site: Site) -> Iterator[str]:
    """What each order earned, and what its refunds asked back: by the formula, whatever happened on the way."""
    mails = site.sources[MailSource.SEGMENT].mails
    back: Counter[UUID] = Counter()
    for mail in mails:
        if isinstance(mail.body, Refund):
            assert mail.body.order_key is not None
            back[mail.body.order_key] += mail.body.amount_micros
            if (TEAM, mail.body.refund_key) not in site.services.points.outcomes:
                yield f"a refund that was never posted: {mail}"
    for mail in mails:
        if not isinstance(mail.body, Checkout):
            continue
        order = site.services.points.orders.get(OrderKey((TEAM, mail.body.order_key)))
        if order is None or not order.posted:
            yield f"an order that was never posted: {mail}"
            continue
        before, left = mail.body.amount_micros, mail.body.amount_micros - back[mail.body.order_key]
        wanted = (earned(before), earned(before) - earned(left)) if mail.body.has_phone else (0, 0)
        if (order.earned, order.clawed) != wanted:
            yield f"an order earned and gave back {order.earned, order.clawed}, not {wanted}"


def _figures_are_counted(site: Site) -> Iterator[str]:
    """Stats says what the histories say."""
    found: Counter[Key] = Counter()
    for key, value in site.stats.counters.items():
        if key.metric == Metric.NODE_STAYED:
            found[PASSED, key.journey_id, key.node_id] -= value
        elif key.metric < Metric.NODE_RESULT:
            found[int(key.metric), key.journey_id, key.node_id] += value
        elif key.metric - Metric.NODE_RESULT in LEAVING:
            found[PASSED, key.journey_id, key.node_id] += value
    wanted = _counted(site)
    _count_ways_on(site, wanted)
    for figure in found.keys() | wanted.keys():
        if found[figure] != wanted[figure]:
            what = f"{Metric(figure[0]).name if figure[0] else 'passed'} {figure[1:]}"
            yield f"stats says {found[figure]} and not {wanted[figure]} of {what}"


def _count_ways_on(site: Site, wanted: Counter[Key]) -> None:
    """Who went on from each node: to another one, to the end, or on the way to another one."""
    standing: dict[UUID, str] = {}
    on_the_way: set[UUID] = set()
    for row in site.tables.history:
        if isinstance(row.what, Refusal):
            continue
        run: RunSegment = row.what
        who, journey = run.enrolment_id, run.journey_id
        for step in run.steps:
            if step.entered and who in standing:
                wanted[PASSED, journey, standing[who]] += 1
            if step.entered:
                standing[who] = step.node_id
                on_the_way.discard(who)
        last = run.steps[-1]
        if run.state is EnrolmentState.COMPLETED and last.result is not StepResult.HELD_OUT:
            wanted[PASSED, journey, last.node_id] += 1
        elif run.state is EnrolmentState.LIVE and int(last.result) in LEAVING:
            on_the_way.add(who)
        elif run.state in (EnrolmentState.HALTED, EnrolmentState.CONVERTED):
            wanted[PASSED, journey, last.node_id] += who in on_the_way
        wanted[Metric.NODE_DROPPED, journey, last.node_id] += run.state is EnrolmentState.HALTED


_SALES: Final = (OrderCompleted, OrderRefunded)


def _counted(site: Site) -> Counter[Key]:
    wanted: Counter[Key] = Counter()
    for row in site.tables.history:
        if isinstance(row.what, Refusal):
            wanted[Metric.REFUSED, row.what.journey_id, ""] += 1
            continue
        journey = row.what.journey_id
        wanted[Metric.TRIGGERED, journey, ""] += row.what.enrolled
        reached_an_end = row.what.state in (EnrolmentState.COMPLETED, EnrolmentState.CONVERTED)
        wanted[Metric.COMPLETED, journey, ""] += reached_an_end
        wanted[Metric.HALTED, journey, ""] += row.what.state is EnrolmentState.HALTED
        for step in row.what.steps:
            wanted[Metric.NODE_ENTERED, journey, step.node_id] += step.entered
    _count_sends(site, wanted)
    _count_points(site, wanted)
    reports = [event for event in site.services.segment.reports if isinstance(event.body, _SALES)]
    wanted[Metric.ORDERS, NO_JOURNEY, ""] = sum(isinstance(e.body, OrderCompleted) for e in reports)
    wanted[Metric.REFUNDS, NO_JOURNEY, ""] = sum(isinstance(e.body, OrderRefunded) for e in reports)
    wanted[Metric.SHOPPERS, NO_JOURNEY, ""] = len({event.selector.customer_id for event in reports})
    return wanted


def _count_sends(site: Site, wanted: Counter[Key]) -> None:
    ended = {
        SendState.SKIPPED: Metric.SENDS_SKIPPED,
        SendState.FAILED: Metric.SENDS_FAILED,
        SendState.UNKNOWN: Metric.SENDS_UNKNOWN,
    }
    for delivery in site.services.gateway.deliveries.values():
        place = (delivery.send.journey_id, delivery.send.node_id)
        if delivery.state is SendState.SENT:
            wanted[Metric.MESSAGES_SENT, *place] += delivery.messages
        elif delivery.state in ended:
            wanted[ended[delivery.state], *place] += 1


def _count_points(site: Site, wanted: Counter[Key]) -> None:
    named = {
        EntrySource.WEB_ORDER: (Metric.EARNED, 1),
        EntrySource.REFUND: (Metric.REFUNDED, -1),
        EntrySource.JOURNEY: (Metric.JOURNEY_POINTS, 1),
    }
    for entry in site.services.points.entries:
        metric, sign = named[entry.source]
        wanted[metric, NO_JOURNEY, ""] += sign * entry.delta_balance
        wanted[Metric.ENTRIES, NO_JOURNEY, ""] += 1
        wanted[Metric.BALANCE, NO_JOURNEY, ""] += entry.delta_balance
        wanted[Metric.CUMULATIVE, NO_JOURNEY, ""] += entry.delta_cumulative
        if entry.source is EntrySource.REFUND:
            wanted[Metric.REFUND_SHORTFALL, NO_JOURNEY, ""] += entry.delta_balance - entry.requested_balance
