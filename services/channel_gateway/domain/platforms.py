"""The platforms that shops run on: which there are, and what their webhooks say. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from libs.common.hints import Reason
from services.channel_gateway.domain.inbox import InboxSource
from services.channel_gateway.domain.json_faults import Fault
from services.channel_gateway.domain.platform_bodies import read_object
from services.channel_gateway.domain.segment_calls import segment_reports
from services.channel_gateway.domain.shop_events import EventFaultError, ShopReport
from services.channel_gateway.domain.shopify import shopify_reports
from services.channel_gateway.domain.woocommerce import woocommerce_reports


class Platform(StrEnum):
    """As the path of a webhook names it."""

    SHOPIFY = "shopify"
    WOOCOMMERCE = "woocommerce"
    SEGMENT = "segment"


SOURCES: Final = {
    Platform.SHOPIFY: InboxSource.SHOPIFY,
    Platform.WOOCOMMERCE: InboxSource.WOOCOMMERCE,
    Platform.SEGMENT: InboxSource.SEGMENT,
}
_TOPICS: Final = {Platform.SHOPIFY: "X-Shopify-Topic", Platform.WOOCOMMERCE: "X-WC-Webhook-Topic"}
_PLATFORMS: Final = {source: platform for platform, source in SOURCES.items()}


class Placed(NamedTuple):
    """A report and where it stands in the body; empty: the whole."""

    at: str
    report: ShopReport


def kept_id(topic: str, webhook_id: str) -> str:
    """Under which a webhook is stored: what it is about is not said by its body."""
    return f"{topic} {webhook_id}" if topic else webhook_id


def is_of_platform(source: InboxSource) -> bool:
    """Whether a stored webhook is of a shop's platform."""
    return source in _PLATFORMS


def stored_reports(source: InboxSource, webhook_id: str, body: bytes) -> list[ShopReport]:
    """What a stored webhook says, `webhook_id` being the kept one. Raises EventFaultError."""
    topic = webhook_id.rpartition(" ")[0]
    return [placed.report for placed in reports_of(_PLATFORMS[source], topic, body)]


def reports_of(platform: Platform, topic: str, body: bytes) -> list[Placed]:
    """What a webhook says, in order. Raises EventFaultError."""
    try:
        return _reports_of(platform, topic, body)
    except RecursionError:  # of what is nested just not too deep to be read
        raise EventFaultError("the body is nested too deep", "send the body as the platform does") from None


def _reports_of(platform: Platform, topic: str, body: bytes) -> list[Placed]:
    if not topic and platform in _TOPICS:
        read_object(body)
        # What it is about is not said by its body: it is kept for whoever mends what lies between.
        fault = Fault(
            _TOPICS[platform], Reason.MISSING, Reason.MISSING.value, "hand the platform's headers on"
        )
        return [Placed("", ShopReport("", None, fault))]
    match platform:
        case Platform.SHOPIFY:
            return [Placed("", report) for report in shopify_reports(topic, body)]
        case Platform.WOOCOMMERCE:
            return [Placed("", report) for report in woocommerce_reports(topic, body)]
        case Platform.SEGMENT:
            calls, is_list = segment_reports(body)
            return [
                Placed(f"[{index}]" if is_list else "", report)
                for index, reports in enumerate(calls)
                for report in reports
            ]
