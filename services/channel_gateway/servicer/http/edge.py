"""The HTTP edge as a whole: what stands at which address, and how much of it there may be at once."""

from __future__ import annotations

import ssl
from typing import NamedTuple

from libs.common.clock import Clock
from services.channel_gateway.config import Settings
from services.channel_gateway.domain.link_tokens import TokenSeal
from services.channel_gateway.servicer.http.bodies import ReadingRoom
from services.channel_gateway.servicer.http.channel_hooks import ChannelHooks
from services.channel_gateway.servicer.http.head import HeadCheck
from services.channel_gateway.servicer.http.item_results import Countries, Telling
from services.channel_gateway.servicer.http.links import LinkRedirects
from services.channel_gateway.servicer.http.listener import Bounds
from services.channel_gateway.servicer.http.pixel import PixelEvents
from services.channel_gateway.servicer.http.platform_hooks import PlatformHooks
from services.channel_gateway.servicer.http.rates import Buckets, Rates
from services.channel_gateway.servicer.http.router import Router
from services.channel_gateway.servicer.http.shop_events import ShopEvents
from services.channel_gateway.servicer.http.storing import Storing
from services.channel_gateway.usecases.links import Clicks
from services.channel_gateway.worker.heard_accounts import HeardAccounts
from services.channel_gateway.worker.pixel_keys import PixelKeys
from services.channel_gateway.worker.shop_keys import ShopKeys


class EdgeKeys(NamedTuple):
    """By whom webhooks are signed, and how they are read."""

    shops: ShopKeys
    pixels: PixelKeys
    accounts: HeardAccounts
    countries: Countries


def link_redirects(settings: Settings, clicks: Clicks, seal: TokenSeal) -> LinkRedirects:
    """What opens short links."""
    per_second = settings.link_requests_per_second
    return LinkRedirects(clicks, seal, Buckets(per_second), Buckets(per_second))


def edge_router(
    settings: Settings, clock: Clock, storing: Storing, keys: EdgeKeys, redirects: LinkRedirects
) -> Router:
    """What stands at which address."""
    room = ReadingRoom(settings.http_bytes_max, int(settings.http_bytes_max * settings.http_client_share))
    rates = Rates(settings.shop_requests_per_second)
    telling = Telling(keys.countries, clock, settings.ahead_max)
    shop_events = ShopEvents(
        storing=storing,
        head=HeadCheck(keys.shops, clock, settings.webhook_tolerance),
        room=room,
        rates=rates,
        telling=telling,
        clock=clock,
    )
    platform_hooks = PlatformHooks(
        storing=storing, keys=keys.shops, room=room, rates=rates, telling=telling, clock=clock
    )
    pixel_events = PixelEvents(
        storing=storing,
        pixel_keys=keys.pixels,
        shop_keys=keys.shops,
        room=room,
        rates=rates,
        telling=telling,
        clock=clock,
    )
    channel_hooks = ChannelHooks(storing=storing, accounts=keys.accounts, room=room, rates=rates, clock=clock)
    return Router(shop_events, channel_hooks, platform_hooks, pixel_events, redirects)


def edge_tls(settings: Settings) -> ssl.SSLContext | None:
    """None: plain text."""
    return settings.http_tls.server_context() if settings.http_tls is not None else None


def edge_bounds(settings: Settings) -> Bounds:
    """Connections of the HTTP edge."""
    of_one = int(settings.http_connections_max * settings.http_client_share)
    return Bounds(settings.http_connections_max, max(1, of_one))
