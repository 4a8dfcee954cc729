"""What the gRPC edge calls."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.feeds.notifier import CommitNotifier
from libs.common.mailbox.api import Mailbox
from libs.common.rpc.servicing import Edge
from omnijourney.journey.v1 import journey_service_pb2_grpc as pb_grpc
from services.journey.clients.names import Directory
from services.journey.store.enrolments import EnrolmentStore
from services.journey.store.following import FollowingStore
from services.journey.store.history import HistoryStore
from services.journey.store.journeys import JourneyStore
from services.journey.store.leases import LeaseStore
from services.journey.store.mail import JourneyMailStore
from services.journey.store.orphans import OrphanStore
from services.journey.store.standing import StandingStore
from services.journey.usecases.applying import Applying
from services.journey.usecases.audience_triggers import AudienceTriggers
from services.journey.usecases.ending import EndedEnrolments
from services.journey.usecases.explain import Explanations
from services.journey.usecases.leases import WorkerDraining
from services.journey.usecases.lifecycle import Lifecycle
from services.journey.usecases.merges import Merges
from services.journey.usecases.parked import ParkedCustomers
from services.journey.usecases.persons import Persons
from services.journey.usecases.references import Uses
from services.journey.usecases.simulations import Simulations
from services.journey.usecases.trigger_outcomes import TriggerOutcomes
from services.journey.usecases.triggers import SystemTriggers
from services.journey.usecases.visits import Visits


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Stores and use cases, as the composition root has built them."""

    lifecycle: Lifecycle
    applying: Applying
    directory: Directory
    triggers: SystemTriggers
    trigger_outcomes: TriggerOutcomes
    audience_triggers: AudienceTriggers
    parked: ParkedCustomers
    ended_enrolments: EndedEnrolments
    persons: Persons
    merges: Merges
    uses: Uses
    simulations: Simulations
    explanations: Explanations
    draining_of_workers: WorkerDraining
    journeys: JourneyStore
    enrolments: EnrolmentStore
    visits: Visits
    standing: StandingStore
    leases: LeaseStore
    orphans: OrphanStore
    history: HistoryStore
    following: FollowingStore
    mail: JourneyMailStore
    mailbox: Mailbox
    notifier: CommitNotifier
    """Notified when history was written."""
    clock: Clock
    draining: asyncio.Event
    """Set when the service stops; ends reads that wait."""


class BaseRpcs(Edge[Dependencies], pb_grpc.JourneyServiceServicer):
    """A part of the servicer: the RPCs of one noun."""
