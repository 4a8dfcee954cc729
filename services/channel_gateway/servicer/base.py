"""What the gateway's servicers are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from libs.common.clients.using_journeys import UsingJourneys
from libs.common.clock import Clock
from libs.common.feeds.notifier import CommitNotifier
from libs.common.rpc.servicing import Edge
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2_grpc as pb_grpc
from services.channel_gateway.clients.channels.base import Adapter
from services.channel_gateway.clients.services import OpenPoints
from services.channel_gateway.domain.link_tokens import TokenSeal
from services.channel_gateway.domain.model import ConnectionKind
from services.channel_gateway.domain.webhooks_out import Network
from services.channel_gateway.store.accounts import AccountStore
from services.channel_gateway.store.charges import ChargeStore
from services.channel_gateway.store.content import ContentStore
from services.channel_gateway.store.feed import FeedStore
from services.channel_gateway.store.figures import FigureStore
from services.channel_gateway.store.frequency import FrequencyStore
from services.channel_gateway.store.links import LinkStore
from services.channel_gateway.store.money import MoneyStore
from services.channel_gateway.store.pixels import PixelStore
from services.channel_gateway.store.replays import ReplayStore
from services.channel_gateway.store.shops import ShopStore
from services.channel_gateway.store.webhooks_out import WebhookStore
from services.channel_gateway.usecases.accounts import Accounts
from services.channel_gateway.usecases.balance_alerts import BalanceAlerts
from services.channel_gateway.usecases.consents import Consents
from services.channel_gateway.usecases.content import Content
from services.channel_gateway.usecases.content_tests import ContentTests
from services.channel_gateway.usecases.frequency import FrequencyCaps
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
from services.channel_gateway.worker.send_traces import SendTraces
from services.channel_gateway.worker.sender import Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """What the servicers are made of."""

    clock: Clock
    reservation: Reservation
    send_traces: SendTraces
    lost_sends: LostSends
    references: References
    persons: Persons
    journeys: UsingJourneys
    """Asked who uses what is about to be deleted."""
    accounts: Accounts
    consents: Consents
    merges: Merges
    content: Content
    content_tests: ContentTests
    template_sync: TemplateSync
    money: Money
    opens: OpensReader
    frequency_caps: FrequencyCaps
    balance_alerts: BalanceAlerts
    shops: Shops
    pixels: Pixels
    replays: Replays
    secret_keys: SecretKeys
    sender: Sender
    adapters: Mapping[ConnectionKind, Adapter]
    open_points: OpenPoints
    notifier: CommitNotifier
    content_notifier: CommitNotifier
    """Notified when content is gone, and of nothing else."""
    draining: asyncio.Event
    """Set when long polls are to end."""
    feed: FeedStore
    figures: FigureStore
    account_store: AccountStore
    content_store: ContentStore
    money_store: MoneyStore
    charge_store: ChargeStore
    frequency_store: FrequencyStore
    shop_store: ShopStore
    pixel_store: PixelStore
    replay_store: ReplayStore
    link_store: LinkStore
    token_seal: TokenSeal
    subscriptions: Subscriptions
    webhook_store: WebhookStore
    private_networks: tuple[Network, ...]
    """To which webhooks may go."""


class Part(Edge[Dependencies], pb_grpc.ChannelGatewayServiceServicer):
    """The base of the servicer's parts."""

    @property
    def _clock(self) -> Clock:
        """Domain time."""
        return self._deps.clock
