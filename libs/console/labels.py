"""What several areas call the same things of the contracts: channels, sources of points, states of long work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from libs.console.languages import noted
from omnijourney.common.v1 import channel_pb2, operation_pb2
from omnijourney.points.v1 import entry_pb2

CHANNELS: Final[Mapping[int, str]] = {
    channel_pb2.CHANNEL_LINE: "LINE",
    channel_pb2.CHANNEL_WHATSAPP: "WhatsApp",
    channel_pb2.CHANNEL_MESSENGER: "Facebook Messenger",
    channel_pb2.CHANNEL_INSTAGRAM: "Instagram",
}
"""As they call themselves in every language."""
POINT_SOURCES: Final[Mapping[int, str]] = {
    entry_pb2.ENTRY_SOURCE_WEB_ORDER: noted("Web shop order"),
    entry_pb2.ENTRY_SOURCE_COUPON_REDEMPTION: noted("Coupon redemption"),
    entry_pb2.ENTRY_SOURCE_JOURNEY: noted("Omnichannel journey"),
    entry_pb2.ENTRY_SOURCE_IMPORT: noted("Customer data import"),
    entry_pb2.ENTRY_SOURCE_REFUND: noted("Web shop refund"),
    entry_pb2.ENTRY_SOURCE_MANUAL: noted("Adjusted by hand"),
    entry_pb2.ENTRY_SOURCE_MERGE: noted("Merge of customers"),
}
OPERATION_STATES: Final[Mapping[int, tuple[str, str]]] = {
    operation_pb2.OPERATION_STATE_PENDING: ("planned", noted("Waiting")),
    operation_pb2.OPERATION_STATE_RUNNING: ("planned", noted("Running")),
    operation_pb2.OPERATION_STATE_SUCCEEDED: ("good", noted("Done")),
    operation_pb2.OPERATION_STATE_FAILED: ("bad", noted("Failed")),
    operation_pb2.OPERATION_STATE_CANCELLED: ("closed", noted("Cancelled")),
    operation_pb2.OPERATION_STATE_PAUSED: ("warn", noted("Paused")),
}
"""The kind of badge, and the word."""
ENDED: Final = frozenset(
    {
        operation_pb2.OPERATION_STATE_SUCCEEDED,
        operation_pb2.OPERATION_STATE_FAILED,
        operation_pb2.OPERATION_STATE_CANCELLED,
    }
)


def options(names: Mapping[int, str]) -> list[tuple[str, str]]:
    """For a select of the macros."""
    return [(str(number), name) for number, name in names.items()]
