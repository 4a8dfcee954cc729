"""Who waited for an event heard of it, and of no other: judged by mail and by the order of what was committed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from libs.common.mailbox.mail import Checkout, Mail, TagApplied
from services.journey.domain.enrolment import StepResult
from services.journey.domain.model import CheckoutTrigger, TagTrigger, Trigger
from services.journey.domain.turn import Refusal, RunSegment
from tests.sim.site import Site


class _Read(NamedTuple):
    """When a mail was read that started something: the place of that among all that was told of its customer."""

    place: int
    mail: Mail


def events_were_heard(site: Site) -> Iterator[str]:
    """No wait went on by an event that was never mailed, nor by time after it had read the event; so with goals."""
    mails = {mail.event_id: mail for mail in site.mails()}
    events = {
        e.enrolment_id: e.trigger_event_id for all_ in site.tables.enrolments.values() for e in all_.values()
    }
    told: defaultdict[UUID, list[tuple[int, RunSegment]]] = defaultdict(list)
    read: defaultdict[UUID, list[_Read]] = defaultdict(list)
    for place, fact in enumerate(site.tables.history):
        if isinstance(fact.what, Refusal):
            continue
        told[fact.what.enrolment_id].append((place, fact.what))
        if fact.what.enrolled and events.get(fact.what.enrolment_id) in mails:
            read[fact.customer.customer_id].append(_Read(place, mails[events[fact.what.enrolment_id]]))
    for customer, found in site.tables.enrolments.items():
        for enrolment in found.values():
            if enrolment.trigger_event_id in mails:
                own = mails[enrolment.trigger_event_id]
                of_customer = [m for m in mails.values() if m.customer_id == customer.customer_id]
                yield from _judge(
                    site, told[enrolment.enrolment_id], own, of_customer, read[customer.customer_id]
                )


def _judge(
    site: Site, told: list[tuple[int, RunSegment]], own: Mail, mails: list[Mail], read: list[_Read]
) -> Iterator[str]:
    started: dict[str, int] = {}
    for place, segment in told:
        definition = site.tables.journeys[segment.journey_id].definition
        for step in segment.steps:
            wait = definition.waits.get(step.node_id)
            if step.result is StepResult.WAIT_STARTED and wait:
                started[step.node_id] = place
                before = [each.mail for each in read if told[0][0] < each.place < place]
                if wait.counts_earlier and _any(wait.event, own, before):
                    yield f"{step.node_id} waits for what it had: {step}"
            elif step.result is StepResult.HAPPENED and wait and not _any(wait.event, own, mails):
                yield f"{step.node_id} heard what never was"
            elif step.result is StepResult.GOAL_REACHED and not _any(definition.goal, own, mails):
                yield f"{step.node_id} reached what never was"
            elif step.result is StepResult.TIMED_OUT and wait:
                between = [each.mail for each in read if started[step.node_id] < each.place < place]
                if _any(wait.event, own, between):
                    yield f"{step.node_id} timed out after the event: {step}"


def _any(event: Trigger | None, own: Mail, mails: list[Mail]) -> bool:
    """Whether there is such an event that did not occur before the one that started the enrolment."""
    return any(
        mail is not own
        and mail.occurred_at >= own.occurred_at
        and (
            (isinstance(event, CheckoutTrigger) and isinstance(mail.body, Checkout))
            or (
                isinstance(event, TagTrigger)
                and isinstance(mail.body, TagApplied)
                and mail.body.tag in event.tags
            )
        )
        for mail in mails
    )
