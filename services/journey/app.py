"""Composition root of the journey service: stores, clients, worker, schedule and servicer as one context."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial

import grpc

from libs.common.app import App, Run, Runtime, runtime
from libs.common.clients.retention import RetentionClient
from libs.common.clients.team_settings import TeamSettingsClient
from libs.common.clock import Clock
from libs.common.cpu_wait import CpuWait
from libs.common.db.requests import forget_by_batches
from libs.common.feeds.notifier import CommitNotifier
from libs.common.feeds.reading import PackedHistory
from libs.common.feeds.rows import FactRow, GatewayRow
from libs.common.leases import LeaseKeeper
from libs.common.mailbox import Mailbox, MailRelay, open_mailbox
from libs.common.mailbox.intake import Intake
from libs.common.mailbox.mail import MailSource
from libs.common.retention import Cutoffs, Own
from libs.common.rpc.long_work import OperationsOfKinds
from libs.common.rpc.operations import Progress
from libs.common.tasks import work_until
from libs.embedded import attach
from omnijourney.channel_gateway.v1.channel_gateway_service_pb2_grpc import ChannelGatewayServiceStub
from omnijourney.internal.v1.customers_service_pb2_grpc import CustomersServiceStub
from omnijourney.internal.v1.ledger_service_pb2_grpc import LedgerServiceStub
from omnijourney.internal.v1.mail_service_pb2_grpc import MailServiceStub
from omnijourney.internal.v1.sends_service_pb2_grpc import SendsServiceStub
from omnijourney.journey.v1 import journey_service_pb2, journey_service_pb2_grpc
from omnijourney.segment.v1.history_pb2 import FACT_KIND_ATTRIBUTE_DEFINED
from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceStub
from services.journey import metrics
from services.journey.clients.audiences import SegmentAudiences
from services.journey.clients.customers import SegmentCustomers
from services.journey.clients.effects import GrpcEffects
from services.journey.clients.gate import GrpcReferences
from services.journey.clients.mail import MailReader, SourceMail
from services.journey.clients.modules import GatewayModules
from services.journey.clients.names import GatewayDirectory
from services.journey.clients.plans import SegmentPlans
from services.journey.clients.sends import GatewaySends
from services.journey.clients.simulation import GrpcRecorded
from services.journey.clients.zones import SegmentZones
from services.journey.config import Settings
from services.journey.convert.gone import attribute_changes, content_changes
from services.journey.servicer import Dependencies, JourneyServicer, internal
from services.journey.servicer.audience_triggers import AudienceTriggerOperations
from services.journey.servicer.simulations import SimulationOperations
from services.journey.store.audience_triggers import AudienceTriggerStore
from services.journey.store.enrolments import EnrolmentStore
from services.journey.store.explain import ExplanationStore
from services.journey.store.following import FollowingStore
from services.journey.store.history import HistoryStore
from services.journey.store.journeys import JourneyStore
from services.journey.store.leases import LeaseStore
from services.journey.store.mail import JourneyMailStore
from services.journey.store.merges import MergeStore
from services.journey.store.old_steps import OldStepStore
from services.journey.store.orphans import OrphanStore
from services.journey.store.persons import PersonStore
from services.journey.store.places import CountedPlans, PlacedEffects, PlaceStore
from services.journey.store.references import FollowedSource, ReferenceStore
from services.journey.store.simulations import SimulationStore
from services.journey.store.standing import StandingStore
from services.journey.store.turns import TurnStore
from services.journey.store.visits import VisitStore
from services.journey.usecases.applying import Applying
from services.journey.usecases.audience_triggers import AudienceTriggers
from services.journey.usecases.ending import EndedEnrolments
from services.journey.usecases.explain import Explanations
from services.journey.usecases.gate import Gate
from services.journey.usecases.leases import WorkerDraining
from services.journey.usecases.lifecycle import Lifecycle
from services.journey.usecases.merges import Merges
from services.journey.usecases.parked import ParkedCustomers
from services.journey.usecases.persons import Persons
from services.journey.usecases.references import Uses
from services.journey.usecases.schedule import ScheduledChanges
from services.journey.usecases.simulations import Simulations
from services.journey.usecases.trigger_outcomes import TriggerOutcomes
from services.journey.usecases.triggers import SystemTriggers
from services.journey.usecases.visits import Visits
from services.journey.worker.actors import Worker
from services.journey.worker.audience_triggers import AudienceTriggering
from services.journey.worker.brakes import Brakes
from services.journey.worker.catalog import JourneyCatalog
from services.journey.worker.gone import GoneProjection, Stopper, gone_follower
from services.journey.worker.lag import JourneyLag, measure_mailboxes
from services.journey.worker.old_steps import OldSteps
from services.journey.worker.orphans import OrphanChecker
from services.journey.worker.references import ReferenceIndexer
from services.journey.worker.schedule import Scheduler
from services.journey.worker.simulations import Simulator
from services.journey.worker.takeover import MailboxRepair
from services.journey.worker.turns import TurnRunner

_PACKAGE = "services.journey"


@asynccontextmanager
async def app(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[App]:
    """The journey service, serving. Drains in the end: the server, the running batch, then the leases.

    Raises what `libs.common.app.runtime` raises, `MailboxUnavailable` and `MailboxOfAnother`.
    """
    async with AsyncExitStack() as stack:
        rt = await stack.enter_async_context(runtime(settings, package=_PACKAGE, servers=attach, clock=clock))
        mailbox = await stack.enter_async_context(open_mailbox(rt.redis_url, rt.installation))
        to_segment = await stack.enter_async_context(rt.channel(settings.segment_target))
        to_points = await stack.enter_async_context(rt.channel(settings.points_target))
        to_gateway = await stack.enter_async_context(rt.channel(settings.channel_gateway_target))
        gateway = SendsServiceStub(to_gateway)
        sends = GatewaySends(gateway)
        journeys, turns, mail = JourneyStore(rt.pool), TurnStore(rt.pool), JourneyMailStore(rt.pool)
        relay = MailRelay(MailSource.JOURNEY, mailbox, mail, mails_max=settings.mailbox_mails_max)
        metrics.MAIL_BACKLOG.set_function(lambda: relay.backlog)
        metrics.MAIL_HELD.set_function(lambda: relay.held_partitions)
        readers: dict[int, MailReader] = {
            MailSource.SEGMENT: SourceMail(MailSource.SEGMENT, MailServiceStub(to_segment)),
            MailSource.GATEWAY: SourceMail(MailSource.GATEWAY, MailServiceStub(to_gateway)),
            MailSource.JOURNEY: mail,
        }
        progress, notifier, team_settings, retention = (
            Progress(),
            CommitNotifier(),
            TeamSettingsClient(to_segment),
            RetentionClient(to_segment),
        )
        catalog = JourneyCatalog(
            turns,
            SegmentZones(team_settings),
            CountedPlans(SegmentPlans(team_settings), PlaceStore(rt.pool)),
        )
        effects = PlacedEffects(
            GrpcEffects(
                SegmentServiceStub(to_segment),
                CustomersServiceStub(to_segment),
                LedgerServiceStub(to_points),
                gateway,
            ),
            PlaceStore(rt.pool),
        )
        worker = Worker(
            mailbox=mailbox,
            store=turns,
            runner=TurnRunner(
                store=turns,
                catalog=catalog,
                effects=effects,
                readers=readers,
                clock=rt.clock,
                notifier=notifier,
            ),
            repair=MailboxRepair(mailbox, turns, readers),
            clock=rt.clock,
            progress=progress,
            cpu_wait=stack.enter_context(CpuWait()).share,
        )
        orphan_store, leases, enrolments = OrphanStore(rt.pool), LeaseStore(rt.pool), EnrolmentStore(rt.pool)
        orphans = OrphanChecker(
            store=orphan_store,
            probe=sends,
            mailbox=mailbox,
            clock=rt.clock,
            owned=lambda: worker.owned,
            heal=worker.ask_again,
            every_s=settings.orphan_check_seconds,
            age_s=settings.orphan_age_seconds,
        )
        brakes = Brakes(sends, journeys, rt.clock, worker.wake)
        scheduler = Scheduler(ScheduledChanges(journeys), brakes, rt.clock, progress, worker.set_stopping)

        journeys_stopped = _each(notifier.notify, scheduler.wake, worker.wake)
        references = _References(rt, journeys, to_segment, to_gateway, journeys_stopped)
        journeys_changed = _each(journeys_stopped, references.indexer.wake)
        gate = Gate(references.named, rt.clock)
        lifecycle = Lifecycle(
            journeys,
            gate,
            brakes,
            rt.clock,
            journeys_changed,
        )
        triggered = _Triggered(
            rt,
            Intake(relay, settings.mail_backlog_max),
            relay,
            to_segment,
            journeys=journeys,
            mail=mail,
        )
        parked = ParkedCustomers(
            rt.pool, mailbox, readers, rt.clock, changed=notifier.notify, unparked=worker.wake
        )
        ended = EndedEnrolments(
            rt.pool,
            enrolments=enrolments,
            mail=mail,
            sends=sends,
            clock=rt.clock,
            check_intake=triggered.check_intake,
            deliver=relay.submit,
            changed=notifier.notify,
        )
        dependencies = Dependencies(
            lifecycle=lifecycle,
            applying=Applying(journeys, lifecycle, journeys_changed),
            directory=GatewayDirectory(ChannelGatewayServiceStub(to_gateway)),
            triggers=triggered.one_by_one,
            trigger_outcomes=triggered.outcomes,
            audience_triggers=triggered.audiences,
            parked=parked,
            ended_enrolments=ended,
            persons=Persons(PersonStore(rt.pool), enrolments=enrolments, ended=ended, parked=parked),
            merges=Merges(MergeStore(rt.pool), rt.clock, worker.wake),
            uses=references.uses,
            simulations=_simulations(
                rt,
                journeys,
                gate,
                GrpcRecorded(
                    mail=MailServiceStub(to_segment),
                    customers=CustomersServiceStub(to_segment),
                    ledger=LedgerServiceStub(to_points),
                    gateway=ChannelGatewayServiceStub(to_gateway),
                    settings=team_settings,
                    audiences=SegmentAudiences(SegmentServiceStub(to_segment)),
                ),
            ),
            explanations=Explanations(
                journeys,
                enrolments,
                ExplanationStore(rt.pool),
                readers=readers,
                customers=SegmentCustomers(CustomersServiceStub(to_segment)),
                gate=gate,
                clock=rt.clock,
            ),
            draining_of_workers=WorkerDraining(rt.pool, leases),
            journeys=journeys,
            enrolments=enrolments,
            visits=Visits(journeys, VisitStore(rt.pool)),
            standing=StandingStore(rt.pool),
            leases=leases,
            orphans=orphan_store,
            history=HistoryStore(rt.pool),
            following=FollowingStore(rt.pool),
            mail=mail,
            mailbox=mailbox,
            notifier=notifier,
            clock=rt.clock,
            draining=rt.draining,
        )
        rt.server.add(
            journey_service_pb2_grpc.add_JourneyServiceServicer_to_server,
            JourneyServicer(dependencies),
            journey_service_pb2.DESCRIPTOR.services_by_name["JourneyService"],
        )
        internal.serve(rt.server, dependencies)
        await stack.enter_async_context(rt.running("mail relay", relay))
        loops: dict[str, Run] = {
            "worker": partial(_work, rt, settings, worker),
            "schedule": scheduler.run,
            "orphans": orphans.run,
            "clock watch": partial(_watch_clock, rt.clock, worker, scheduler),
            "data of triggers": partial(
                _forget_data, mail, rt.clock, settings.content_retention, retention.own("message_contents")
            ),
            "old steps": OldSteps(OldStepStore(rt.pool), rt.clock, retention.own("enrolment_steps")).run,
        }
        for name, run in loops.items():
            rt.spawn(name, run)
        references.spawn(rt)
        lag = JourneyLag(
            worker=worker, mailbox=mailbox, turns=turns, relay=relay, clock=rt.clock, progress=progress
        )
        async with _serving(rt, lag, mailbox, dependencies) as serving:
            yield serving


def _serving(
    rt: Runtime, lag: JourneyLag, mailbox: Mailbox, dependencies: Dependencies
) -> AbstractAsyncContextManager[App]:
    rt.measures.append(partial(measure_mailboxes, mailbox))
    return rt.serving(lag, _long_work(dependencies))


def _long_work(dependencies: Dependencies) -> OperationsOfKinds:
    return OperationsOfKinds(
        SimulationOperations(dependencies.simulations),
        AudienceTriggerOperations(dependencies.audience_triggers),
    )


def _each(*calls: Callable[[], None]) -> Callable[[], None]:
    """Calls each, in this order."""

    def call() -> None:
        for each in calls:
            each()

    return call


def _simulations(rt: Runtime, journeys: JourneyStore, gate: Gate, recorded: GrpcRecorded) -> Simulations:
    """Simulations, and the loop that runs them."""
    store = SimulationStore(rt.pool)
    simulator = Simulator(store, recorded, rt.clock)
    rt.spawn("simulations", simulator.run)
    return Simulations(store, journeys, gate, rt.clock, simulator.wake)


class _Triggered:
    """Customers who are triggered through the API, by themselves or as an audience."""

    def __init__(
        self,
        rt: Runtime,
        intake: Intake,
        relay: MailRelay,
        to_segment: grpc.aio.Channel,
        *,
        journeys: JourneyStore,
        mail: JourneyMailStore,
    ) -> None:
        self.check_intake = intake.check
        store = AudienceTriggerStore(rt.pool)
        audiences = SegmentAudiences(SegmentServiceStub(to_segment))
        self.one_by_one = SystemTriggers(
            journeys=journeys,
            customers=SegmentCustomers(CustomersServiceStub(to_segment)),
            mail=mail,
            clock=rt.clock,
            check_intake=intake.check,
            deliver=relay.submit,
        )
        self.outcomes = TriggerOutcomes(store, journeys, mail)
        steps = AudienceTriggering(
            store=store,
            journeys=journeys,
            audiences=audiences,
            mail=mail,
            clock=rt.clock,
            check_intake=intake.check,
            deliver=relay.submit,
        )
        self.audiences = AudienceTriggers(store, journeys, audiences, rt.clock, steps.wake)
        rt.spawn("audience triggers", steps.run)


class _References:
    """The index of what journeys name, and what stops them when that goes."""

    def __init__(
        self,
        rt: Runtime,
        journeys: JourneyStore,
        to_segment: grpc.aio.Channel,
        to_gateway: grpc.aio.Channel,
        stopped: Callable[[], None],
    ) -> None:
        store = ReferenceStore(rt.pool, journeys)
        modules = GatewayModules(ChannelGatewayServiceStub(to_gateway))
        self.named = GrpcReferences(CustomersServiceStub(to_segment), SendsServiceStub(to_gateway))
        stopper = Stopper(store, self.named, rt.clock, stopped)
        self.indexer = ReferenceIndexer(store, stopper, rt.clock)
        self.uses = Uses(store, self.indexer, modules)
        self._content = gone_follower(
            PackedHistory("channel_gateway", to_gateway, GatewayRow, content_only=True),
            GoneProjection(FollowedSource.GATEWAY, content_changes, store, modules, stopper),
        )
        self._attributes = gone_follower(
            PackedHistory("segment", to_segment, FactRow, kinds=[FACT_KIND_ATTRIBUTE_DEFINED]),
            GoneProjection(FollowedSource.SEGMENT, attribute_changes, store, modules, stopper),
        )

    def spawn(self, rt: Runtime) -> None:
        rt.spawn("references", self.indexer.run)
        rt.spawn("gone content", self._content.run)
        rt.spawn("gone attributes", self._attributes.run)


async def _work(rt: Runtime, settings: Settings, worker: Worker, stopping: asyncio.Event) -> None:
    """The worker under its leases: it ends first, then its partitions are handed back."""
    keeper = LeaseKeeper(
        rt.pool, worker.set_leases, lease_s=settings.lease_seconds, hand_over=worker.hand_over
    )
    async with rt.running("leases", keeper):
        await worker.run(stopping)


async def _forget_data(
    mail: JourneyMailStore, clock: Clock, kept: timedelta, own: Own, stopping: asyncio.Event
) -> None:
    """Removes the data of triggers that are older than `kept`, or than their team says, a little at a time."""

    async def forget(row_max: int) -> int:
        return await mail.forget_data(Cutoffs.at(clock.now(), kept, await own()), row_max)

    await forget_by_batches(forget, "data of triggers", stopping)


async def _watch_clock(clock: Clock, worker: Worker, scheduler: Scheduler, stopping: asyncio.Event) -> None:
    """A clock that was moved makes timers due at once."""

    async def watch() -> None:
        version = clock.version
        while True:
            version = await clock.changed(version)
            worker.wake()
            scheduler.wake()

    await work_until(stopping, watch(), name="clock watch")
