"""Composition root of the gateway: adapters, sender, reservation, HTTP edge and servicer as one context."""

from __future__ import annotations

import functools
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

import grpc

from libs.common import tracing
from libs.common.app import App, ConfigurationFault, Runtime, runtime
from libs.common.clients.retention import RetentionClient
from libs.common.clients.using_journeys import UsingJourneys
from libs.common.clock import Clock
from libs.common.feeds.notifier import CommitNotifier
from libs.common.feeds.publisher import CommitPublisher
from libs.common.feeds.reading import PackedHistory
from libs.common.feeds.rows import FactRow
from libs.common.ids import new_id
from libs.common.mailbox import MailRelay, open_mailbox
from libs.common.mailbox.mail import MailSource
from libs.common.rpc.operations import Progress
from libs.common.sealing import KeyRing, key_ring
from libs.embedded import attach, secret_key
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2, channel_gateway_service_pb2_grpc
from services.channel_gateway import metrics
from services.channel_gateway.clients.channels.adapters import adapters_of
from services.channel_gateway.clients.channels.sink import SinkAdapter
from services.channel_gateway.clients.channels.transport import Transport
from services.channel_gateway.clients.coupons import ClaimsClient
from services.channel_gateway.clients.services import PointsClient, SegmentClient
from services.channel_gateway.clients.webhook_calls import WebhookCalls
from services.channel_gateway.config import Settings, networks_of
from services.channel_gateway.convert.contact_events import KINDS as CONTACT_KINDS
from services.channel_gateway.convert.heard import stored_events
from services.channel_gateway.domain.webhooks_out import Network
from services.channel_gateway.servicer import internal
from services.channel_gateway.servicer.admission import InboxBound
from services.channel_gateway.servicer.base import Dependencies
from services.channel_gateway.servicer.deliveries import ChannelGatewayServicer
from services.channel_gateway.servicer.http.edge import (
    EdgeKeys,
    edge_bounds,
    edge_router,
    edge_tls,
    link_redirects,
)
from services.channel_gateway.servicer.http.listener import listening
from services.channel_gateway.servicer.http.storing import Storing
from services.channel_gateway.servicer.replays import ReplayOperations
from services.channel_gateway.store.accounts import AccountStore
from services.channel_gateway.store.catalogue import CatalogueStore
from services.channel_gateway.store.charges import ChargeStore
from services.channel_gateway.store.content import ContentStore
from services.channel_gateway.store.coupon_presses import CouponPressStore
from services.channel_gateway.store.deliveries import DeliveryStore
from services.channel_gateway.store.feed import FeedStore
from services.channel_gateway.store.figures import FigureStore
from services.channel_gateway.store.frequency import FrequencyStore
from services.channel_gateway.store.heard import HeardStore
from services.channel_gateway.store.inbox import InboxStore
from services.channel_gateway.store.limited import LimitStore
from services.channel_gateway.store.lost_sends import LostSendStore
from services.channel_gateway.store.money import MoneyStore
from services.channel_gateway.store.persons import PersonStore
from services.channel_gateway.store.pixels import PixelStore
from services.channel_gateway.store.rates import RateStore
from services.channel_gateway.store.replays import ReplayStore
from services.channel_gateway.store.resealing import ResealStore
from services.channel_gateway.store.send_traces import SendTraceStore
from services.channel_gateway.store.sends import SendStore
from services.channel_gateway.store.shops import ShopStore
from services.channel_gateway.store.taken import TakenStore
from services.channel_gateway.store.trouble import TroubleStore
from services.channel_gateway.store.vault import Vault
from services.channel_gateway.store.webhooks_out import WebhookStore
from services.channel_gateway.usecases.accounts import Accounts
from services.channel_gateway.usecases.balance_alerts import BalanceAlerts
from services.channel_gateway.usecases.consents import Consents
from services.channel_gateway.usecases.content import Content
from services.channel_gateway.usecases.content_tests import ContentTests
from services.channel_gateway.usecases.frequency import FrequencyCaps
from services.channel_gateway.usecases.links import link_parts
from services.channel_gateway.usecases.lost_sends import LostSends
from services.channel_gateway.usecases.merges import Merges
from services.channel_gateway.usecases.money import Money
from services.channel_gateway.usecases.opens import OpensReader
from services.channel_gateway.usecases.persons import Persons
from services.channel_gateway.usecases.pixels import Pixels
from services.channel_gateway.usecases.references import References
from services.channel_gateway.usecases.replays import Replays
from services.channel_gateway.usecases.reservation import Reservation
from services.channel_gateway.usecases.secret_keys import SecretKeys
from services.channel_gateway.usecases.shops import Shops
from services.channel_gateway.usecases.subscriptions import Subscriptions
from services.channel_gateway.usecases.template_sync import TemplateSync
from services.channel_gateway.worker.accounting import Accounting
from services.channel_gateway.worker.contact_events import ContactFollower, ContactProjection
from services.channel_gateway.worker.coupon_presses import CouponPresses
from services.channel_gateway.worker.forgetting import Forgetting, forgetting_of
from services.channel_gateway.worker.heard_accounts import HeardAccounts
from services.channel_gateway.worker.hearing import Hearing
from services.channel_gateway.worker.inbox import InboxWorker
from services.channel_gateway.worker.lag import GatewayLag
from services.channel_gateway.worker.pixel_keys import PixelKeys
from services.channel_gateway.worker.presence import Presence
from services.channel_gateway.worker.recovery import Recovery
from services.channel_gateway.worker.replaying import Replaying
from services.channel_gateway.worker.resealing import Resealing
from services.channel_gateway.worker.resolving import Resolving
from services.channel_gateway.worker.rest import measure_rest
from services.channel_gateway.worker.send_traces import SendTraces
from services.channel_gateway.worker.sender import Sender, SenderDependencies
from services.channel_gateway.worker.shop_keys import ShopKeys
from services.channel_gateway.worker.webhooks_out import WebhookSender

_PACKAGE: Final = "services.channel_gateway"


@dataclass
class GatewayApp(App):
    """The gateway, serving."""

    http_port: int = 0
    """The port of the HTTP edge."""


@asynccontextmanager
async def app(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[GatewayApp]:
    """The gateway, serving. Drains in the end: HTTP and gRPC first, then the sends on the wire, then the mail.

    Raises what `libs.common.app.runtime` raises, `MailboxUnavailable` and `MailboxOfAnother`.
    """
    async with AsyncExitStack() as stack:
        rt = await stack.enter_async_context(runtime(settings, package=_PACKAGE, servers=attach, clock=clock))
        mailbox = await stack.enter_async_context(open_mailbox(rt.redis_url, rt.installation))
        transport = await stack.enter_async_context(Transport())
        sender_id = new_id()
        presence = await stack.enter_async_context(Presence.hold(rt.dsn, sender_id))
        segment_channel = await stack.enter_async_context(rt.channel(settings.segment_target))
        to_points = await stack.enter_async_context(rt.channel(settings.points_target))
        segment, points = SegmentClient(segment_channel), PointsClient(to_points)
        vault = Vault(_key_ring(settings))
        reseal_store = ResealStore(rt.pool, vault)
        await _check_keys(vault, reseal_store)
        resealing = Resealing(reseal_store)
        feed, deliveries = FeedStore(rt.pool), DeliveryStore(rt.pool)
        account_store, inbox = AccountStore(rt.pool, vault), InboxStore(rt.pool, vault)
        relay = MailRelay(MailSource.GATEWAY, mailbox, feed, mails_max=settings.mailbox_mails_max)
        _measure(relay)
        notifier, progress = CommitNotifier(), Progress()
        publisher = CommitPublisher(relay, notifier.notify, progress)
        of_content, content_publisher = _content_publisher(relay, notifier, progress)
        adapters, trouble = adapters_of(settings, transport), TroubleStore(rt.pool, inbox, rt.clock)
        sender = Sender(
            SenderDependencies(
                sender_id=sender_id,
                store=deliveries,
                rates=RateStore(rt.pool),
                accounts=account_store,
                adapters=adapters,
                trouble=trouble,
                clock=rt.clock,
                publisher=publisher,
                rng=random.Random(sender_id.int),  # noqa: S311 - jitter of waits
                lane_max=settings.lane_sends_max,
            )
        )
        links, send_traces = (
            await link_parts(settings, rt.pool, rt.clock, vault, publisher),
            SendTraces(SendTraceStore(rt.pool), rt.clock),
        )
        reservation = Reservation(
            store=SendStore(rt.pool, vault),
            profiles=segment,
            points=points,
            channels=segment,
            adapters=adapters,
            sender=sender,
            publisher=publisher,
            clock=rt.clock,
            links=links.maker,
        )
        presses, resolving = (
            CouponPresses(CouponPressStore(rt.pool), ClaimsClient(to_points), reservation, presence),
            Resolving(TakenStore(rt.pool), rt.clock, publisher),
        )
        worker = InboxWorker(
            inbox,
            segment,
            presence,
            progress,
            functools.partial(stored_events, tolerance=settings.webhook_tolerance),
            hearing=Hearing(
                HeardStore(rt.pool),
                trouble,
                rt.clock,
                segment,
                limits=LimitStore(rt.pool),
                resolving=resolving,
                traces=send_traces,
                publisher=publisher,
                content_publisher=content_publisher,
            ),
            following=presses,
        )
        keys, heard, pixel_keys, replaying, figures = (
            ShopKeys(inbox, rt.clock),
            HeardAccounts(inbox),
            PixelKeys(PixelStore(rt.pool)),
            Replaying(ReplayStore(rt.pool), rt.clock, worker.wake),
            FigureStore(rt.pool),
        )
        storing = Storing(inbox, InboxBound(inbox, settings.webhook_events_max), worker.wake)
        out = await stack.enter_async_context(_webhooks_out(settings, rt, vault, segment_channel))
        router = edge_router(
            *(settings, rt.clock, storing, EdgeKeys(keys, pixel_keys, heard, segment)),
            link_redirects(settings, links.clicks, links.seal),
        )
        deps = Dependencies(
            clock=rt.clock,
            reservation=reservation,
            send_traces=send_traces,
            content_tests=ContentTests(rt.pool, reservation, figures),
            lost_sends=LostSends(LostSendStore(rt.pool), relay.is_behind),
            references=References(CatalogueStore(rt.pool, vault), points, adapters, SinkAdapter.writer),
            journeys=UsingJourneys(await stack.enter_async_context(rt.channel(settings.journey_target))),
            accounts=Accounts(
                pool=rt.pool,
                accounts=account_store,
                sender=sender,
                heard=heard,
                publisher=content_publisher,
                clock=rt.clock,
            ),
            persons=Persons(PersonStore(rt.pool)),
            consents=Consents(rt.pool, rt.clock),
            merges=Merges(rt.pool, rt.clock),
            content=Content(rt.pool, vault, points, content_publisher, rt.clock),
            template_sync=TemplateSync(rt.pool, vault, content_publisher, rt.clock),
            money=Money(rt.pool, vault, rt.clock),
            opens=OpensReader(account_store, adapters),
            frequency_caps=FrequencyCaps(rt.pool, rt.clock),
            balance_alerts=BalanceAlerts(rt.pool, rt.clock),
            shops=Shops(rt.pool, vault, keys, worker, rt.clock),
            pixels=Pixels(rt.pool, pixel_keys, rt.clock),
            replays=Replays(rt.pool, replaying, rt.clock),
            secret_keys=SecretKeys(rt.pool, vault, reseal_store, resealing),
            sender=sender,
            adapters=adapters,
            open_points=segment,
            notifier=notifier,
            content_notifier=of_content,
            draining=rt.draining,
            feed=feed,
            figures=figures,
            account_store=account_store,
            content_store=ContentStore(rt.pool),
            money_store=MoneyStore(rt.pool),
            charge_store=ChargeStore(rt.pool),
            frequency_store=FrequencyStore(rt.pool),
            shop_store=ShopStore(rt.pool, vault),
            pixel_store=PixelStore(rt.pool),
            replay_store=ReplayStore(rt.pool),
            link_store=links.store,
            subscriptions=out.subscriptions,
            webhook_store=out.store,
            private_networks=out.private,
            token_seal=links.seal,
        )
        _serve(rt, deps)
        await stack.enter_async_context(rt.running("mail relay", relay))
        rt.spawn("sender", sender.run)
        rt.spawn("recovery", Recovery(deliveries, account_store, presence, sender, traces=send_traces).run)
        _spawn_inbox(rt, worker, presses, replaying, resolving)
        _spawn_upkeep(
            rt,
            resealing,
            send_traces,
            forgetting_of(
                rt.pool,
                rt.clock,
                settings,
                RetentionClient(segment_channel),
                webhooks=inbox,
                contents=figures,
                clicks=links.store,
            ),
        )
        async with (
            rt.serving(GatewayLag(deliveries, relay, progress), ReplayOperations(deps)) as serving,
            listening(
                router, settings.bind_host, settings.http_port, edge_bounds(settings), edge_tls(settings)
            ) as port,
        ):
            yield GatewayApp(serving.port, serving.metrics_port, serving.failed, port)


def _spawn_inbox(
    rt: Runtime, worker: InboxWorker, presses: CouponPresses, replaying: Replaying, resolving: Resolving
) -> None:
    """What works webhooks, what follows from them, and what has them worked again."""
    rt.spawn("inbox replays", replaying.run)
    rt.spawn("inbox", worker.run)
    rt.spawn("presses of coupons", presses.run)
    rt.spawn("unknown sends", resolving.run)


def _spawn_upkeep(
    rt: Runtime, resealing: Resealing, traces: SendTraces, forgetting: Mapping[str, Forgetting]
) -> None:
    """What is done to secrets, balances, traces and old rows beside all else."""
    if tracing.is_on():
        rt.spawn("traces of sends", traces.run)
    rt.spawn("resealing", resealing.run)
    rt.measures.append(functools.partial(measure_rest, rt.pool, rt.clock))
    rt.spawn("accounting", Accounting(ChargeStore(rt.pool), rt.clock).run)
    for what, each in forgetting.items():
        rt.spawn(f"old {what}", each.run)


class WebhookParts(NamedTuple):
    """What tells others of contact events."""

    store: WebhookStore
    private: tuple[Network, ...]
    """To which webhooks may go."""
    subscriptions: Subscriptions


@asynccontextmanager
async def _webhooks_out(
    settings: Settings, rt: Runtime, vault: Vault, segment: grpc.aio.Channel
) -> AsyncIterator[WebhookParts]:
    store = WebhookStore(rt.pool, vault)
    private = networks_of(settings.webhook_private_networks)
    async with WebhookCalls(private) as calls:
        sender = WebhookSender(store, calls, rt.clock, random.Random())  # noqa: S311 - jitter of waits
        history = PackedHistory("segment", segment, FactRow, kinds=CONTACT_KINDS)
        follower = ContactFollower(history, ContactProjection(store, sender.wake))
        subscriptions = Subscriptions(rt.pool, vault, follower, sender, rt.clock)
        async with rt.running("outgoing webhooks", sender), rt.running("contact events", follower):
            yield WebhookParts(store, private, subscriptions)


def _measure(relay: MailRelay) -> None:
    metrics.MAIL_BACKLOG.set_function(lambda: relay.backlog)
    metrics.MAIL_HELD.set_function(lambda: relay.held_partitions)


def _content_publisher(
    relay: MailRelay, notifier: CommitNotifier, progress: Progress
) -> tuple[CommitNotifier, CommitPublisher]:
    """Who waits for content that is gone, and what wakes them together with those who wait for any row."""
    of_content = CommitNotifier()

    def notify() -> None:
        notifier.notify()
        of_content.notify()

    return of_content, CommitPublisher(relay, notify, progress)


def _key_ring(settings: Settings) -> KeyRing:
    """The configured keys, else the one of the data directory."""
    return key_ring(settings.secret_keys.get_secret_value() or secret_key(settings.data_dir))


async def _check_keys(vault: Vault, store: ResealStore) -> None:
    """Raises ConfigurationFault when secrets are sealed with keys that are not there: those could not be used."""
    counts = await store.keys()
    lost = {key: count for key, count in counts.items() if key is not None and key not in vault.ring.key_ids}
    if lost:
        named = ", ".join(f"{key.hex()} ({count} secrets)" for key, count in sorted(lost.items()))
        raise ConfigurationFault(
            "OMNIJOURNEY_SECRET_KEYS", f"lacks keys that secrets are sealed with: {named}"
        )


def _serve(rt: Runtime, deps: Dependencies) -> None:
    rt.server.add(
        channel_gateway_service_pb2_grpc.add_ChannelGatewayServiceServicer_to_server,
        ChannelGatewayServicer(deps),
        channel_gateway_service_pb2.DESCRIPTOR.services_by_name["ChannelGatewayService"],
    )
    internal.serve(rt.server, deps)
