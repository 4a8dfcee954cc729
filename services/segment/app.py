"""Composition root of segment: relay, writers, use cases and servicer as one context."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import grpc

from libs.common.app import App, Runtime, runtime
from libs.common.clock import Clock, SystemClock
from libs.common.mailbox import MailRelay, open_mailbox
from libs.common.mailbox.intake import Intake
from libs.common.mailbox.mail import MailSource
from libs.common.rpc.long_work import OperationsOfKinds
from libs.common.rpc.operations import Progress
from libs.embedded import attach
from omnijourney.segment.v1 import segment_service_pb2, segment_service_pb2_grpc
from services.segment import metrics
from services.segment.clients.consents import ConsentsClient
from services.segment.clients.followers import FollowersClient
from services.segment.clients.gateway import gateway_history
from services.segment.clients.journeys import JourneysClient
from services.segment.clients.ledger import LedgerClient
from services.segment.clients.merges import GrpcMergeParts
from services.segment.clients.persons import PersonsClient
from services.segment.clients.points import PointsClient, points_history
from services.segment.config import Settings
from services.segment.servicer import Dependencies, SegmentServicer, internal
from services.segment.servicer.audience_changes import AudienceChangeOperations
from services.segment.servicer.contact_imports import ContactImportOperations
from services.segment.servicer.erasures import ErasureOperations
from services.segment.servicer.merges import MergeOperations
from services.segment.store.audience_changes import AudienceChangeStore
from services.segment.store.contact_imports import ContactImportStore
from services.segment.store.erasures import ErasureStore
from services.segment.store.marketed import MarketedStore
from services.segment.store.merges import MergeStore
from services.segment.store.old_facts import OldFactStore
from services.segment.store.overdue_facts import OverdueFactStore
from services.segment.store.points import PointsStore
from services.segment.store.spellings import SpellingStore
from services.segment.store.texts import TextStore
from services.segment.usecases.accounts import Accounts
from services.segment.usecases.api_clients import ApiClients
from services.segment.usecases.attributes import Attributes
from services.segment.usecases.audience_changes import AudienceChanges, AudienceMembers
from services.segment.usecases.audiences import Audiences
from services.segment.usecases.audit import AuditTrail
from services.segment.usecases.conflicts import Conflicts
from services.segment.usecases.consents import Consents
from services.segment.usecases.contact_imports import ContactImports
from services.segment.usecases.customers import Customers
from services.segment.usecases.edits import Edits
from services.segment.usecases.erasures import Erasures
from services.segment.usecases.evaluator import AudienceEvaluator
from services.segment.usecases.history import History
from services.segment.usecases.identities import Identities
from services.segment.usecases.merges import Merges
from services.segment.usecases.orders import Orders
from services.segment.usecases.person_exports import PersonExports
from services.segment.usecases.retention import Retentions
from services.segment.usecases.teams import Teams
from services.segment.worker.audience_changes import AudienceChangeSteps, audience_changer
from services.segment.worker.contact_imports import ContactImportSteps, contact_importer, forget_imports
from services.segment.worker.erasing import Erasing
from services.segment.worker.marketed import MarketedProjection, marketed_follower
from services.segment.worker.merges import Merging
from services.segment.worker.notifier import FactNotifiers
from services.segment.worker.old_facts import OldFactPruning
from services.segment.worker.overdue_facts import OverduePruning
from services.segment.worker.points import PointsProjection, points_follower
from services.segment.worker.relay import FactMailStore
from services.segment.worker.spellings import Spellings
from services.segment.worker.team_texts import TeamTexts
from services.segment.worker.texts import MessageTexts
from services.segment.worker.writers import FactPublisher, SegmentLag, Writer

_PACKAGE = "services.segment"


@asynccontextmanager
async def app(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[App]:
    """Segment, serving. Drains in the end: calls, then batches that wait, then mail that is not delivered.

    Raises what `libs.common.app.runtime` raises, MailboxUnavailable and MailboxOfAnother.
    """
    async with (
        runtime(settings, package=_PACKAGE, servers=attach, clock=clock) as rt,
        open_mailbox(rt.redis_url, rt.installation) as mailbox,
        rt.channel(settings.points_target) as points,
        rt.channel(settings.channel_gateway_target) as gateway,
        rt.channel(settings.journey_target) as journey,
        rt.channel(settings.stats_target) as stats,
    ):
        notifiers, progress = FactNotifiers(), Progress()
        relay = MailRelay(
            MailSource.SEGMENT, mailbox, FactMailStore(rt.pool), mails_max=settings.mailbox_mails_max
        )
        metrics.MAIL_BACKLOG.set_function(lambda: relay.backlog)
        metrics.MAIL_HELD.set_function(lambda: relay.held_partitions)
        marketed = marketed_follower(
            gateway_history(gateway), MarketedProjection(MarketedStore(rt.pool), rt.clock)
        )
        followed = points_follower(points_history(points), PointsProjection(PointsStore(rt.pool)))
        audit_trail = AuditTrail(rt.pool)
        async with rt.running("mail relay", relay):
            publisher = FactPublisher(relay, notifiers, progress)
            writer = Writer(rt.pool, rt.clock, publisher, settings.ahead_max)
            intake = Intake(relay, settings.mail_backlog_max)
            edits = Edits(rt.pool, rt.clock, writer, publisher, intake)
            customers = Customers(rt.pool, edits)
            erasure_store, all_others = (
                ErasureStore(rt.pool),
                {
                    "journey": journey,
                    "points": points,
                    "channel_gateway": gateway,
                    "stats": stats,
                },
            )
            others = PersonsClient(all_others)
            history = History(rt.pool, notifiers)
            erasing = Erasing(erasure_store, others, writer, publisher, rt.clock)
            erasures = Erasures(erasure_store, writer, rt.clock, erasing.wake)
            merge_store = MergeStore(rt.pool)
            merging = Merging(
                merge_store,
                GrpcMergeParts({"journey": journey, "points": points, "channel_gateway": gateway}),
                publisher,
                rt.clock,
            )
            retentions = Retentions(rt.pool, edits)
            audiences = Audiences(rt.pool, edits, JourneysClient(journey))
            evaluator = AudienceEvaluator(
                rt.pool, rt.clock, PointsClient(points), marketed=marketed, points_of_all=followed
            )
            changes = AudienceChangeStore(rt.pool)
            changer = audience_changer(
                AudienceChangeSteps(
                    changes,
                    AudienceMembers(rt.pool, audiences, evaluator),
                    rt.clock,
                    writer,
                    publisher,
                    intake=intake,
                )
            )
            audience_changes = AudienceChanges(
                changes,
                edits,
                audiences,
                evaluator,
                JourneysClient(journey),
                clock=rt.clock,
                wake=changer.wake,
            )
            dependencies = Dependencies(
                audience_changes=audience_changes,
                teams=Teams(rt.pool, edits),
                api_clients=ApiClients(rt.pool, edits, SystemClock()),
                audit_trail=audit_trail,
                conflicts=Conflicts(rt.pool, edits),
                consents=Consents(rt.pool, ConsentsClient(gateway)),
                contact_imports=_contact_imports(rt, writer, publisher, intake, points),
                customers=customers,
                accounts=Accounts(rt.pool),
                identities=Identities(edits, customers),
                merges=Merges(merge_store, edits, merging.wake),
                attributes=Attributes(rt.pool, edits, JourneysClient(journey), changer.wake),
                audiences=audiences,
                evaluator=evaluator,
                history=history,
                orders=Orders(rt.pool),
                erasures=erasures,
                person_exports=PersonExports(rt.pool, customers, history, others),
                retentions=retentions,
                writer=writer,
                intake=intake,
            )
            rt.server.add(
                segment_service_pb2_grpc.add_SegmentServiceServicer_to_server,
                SegmentServicer(dependencies),
                segment_service_pb2.DESCRIPTOR.services_by_name["SegmentService"],
            )
            internal.serve(rt.server, dependencies, rt.draining)
            for name, run in {
                "merges": merging.run,
                "marketed times": marketed.run,
                "points": followed.run,
                "erasures": erasing.run,
                "audience changes": changer.run,
                "spellings": Spellings(SpellingStore(rt.pool), rt.clock, writer, publisher).run,
            }.items():
                rt.spawn(name, run)
            _spawn_pruning(rt, settings, retentions, audit_trail, FollowersClient(all_others))
            async with rt.serving(
                SegmentLag(writer, relay, progress),
                OperationsOfKinds(
                    ErasureOperations(erasures),
                    MergeOperations(dependencies.merges),
                    AudienceChangeOperations(audience_changes),
                    ContactImportOperations(dependencies.contact_imports),
                ),
            ) as serving:
                yield serving
            await writer.drain()


def _spawn_pruning(
    rt: Runtime,
    settings: Settings,
    retentions: Retentions,
    audit_trail: AuditTrail,
    followers: FollowersClient,
) -> None:
    """What removes old rows beside all else."""
    texts = TextStore(rt.pool)
    rt.spawn("message texts", MessageTexts(texts, rt.clock, settings.text_retention).run)
    rt.spawn(
        "message texts of teams",
        TeamTexts(texts, rt.clock, settings.text_retention, retentions.message_contents).run,
    )
    rt.spawn(
        "old facts", OldFactPruning(OldFactStore(rt.pool), followers, rt.clock, retentions.histories).run
    )
    overdue = OverduePruning(
        OverdueFactStore(rt.pool),
        followers,
        rt.clock,
        histories=retentions.histories,
        texts=retentions.message_contents,
    )
    rt.spawn("overdue facts", overdue.run)
    rt.spawn(
        "audit log",
        partial(audit_trail.keep_forgetting, settings.audit_retention, retentions.audit_entries),
    )


def _contact_imports(
    rt: Runtime, writer: Writer, publisher: FactPublisher, intake: Intake, points: grpc.aio.Channel
) -> ContactImports:
    """Imports of contacts, with the loops that work on them and forget old ones."""
    store = ContactImportStore(rt.pool, SystemClock())
    steps = ContactImportSteps(store, rt.clock, writer, publisher, intake=intake, ledger=LedgerClient(points))
    importer = contact_importer(steps)
    rt.spawn("contact imports", importer.run)
    rt.spawn("old contact imports", partial(forget_imports, store))
    return ContactImports(store, rt.clock, importer.wake)
