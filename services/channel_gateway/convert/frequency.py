"""Proto ⇄ domain for frequency caps. Pure; collects every fault of a request."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from libs.common.frequency import ALL_CHANNELS, PERIOD_MAX, FrequencyRule
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import duration
from omnijourney.channel_gateway.v1 import limits_pb2
from omnijourney.common.v1 import channel_pb2
from services.channel_gateway.convert.deliveries import channel_of
from services.channel_gateway.domain.views import FrequencyCap

PERIOD_MIN: Final = timedelta(hours=1)
MESSAGES_MAX: Final = 1_000
RULES_MAX: Final = 10


def rules_of(check: FieldCheck, message: limits_pb2.FrequencyCap) -> tuple[FrequencyRule, ...]:
    """The rules of a cap."""
    check.count("frequency_cap.rules", message.rules, most=RULES_MAX)
    return tuple(
        _rule_of(check, f"frequency_cap.rules[{place}]", rule) for place, rule in enumerate(message.rules)
    )


def _rule_of(check: FieldCheck, path: str, rule: limits_pb2.FrequencyRule) -> FrequencyRule:
    channel = channel_of(check, f"{path}.channel", rule.channel) if rule.channel else ALL_CHANNELS
    most = check.whole(f"{path}.message_max", rule.message_max, least=1, most=MESSAGES_MAX)
    period = rule.period.ToTimedelta()
    if not PERIOD_MIN <= period <= PERIOD_MAX:
        check.fault(f"{path}.period", "must be 1 hour to 90 days")
    return FrequencyRule(int(channel), most, period)


def cap_message(cap: FrequencyCap) -> limits_pb2.FrequencyCap:
    """A team's cap."""
    return limits_pb2.FrequencyCap(
        rules=[
            limits_pb2.FrequencyRule(
                channel=channel_pb2.Channel.ValueType(rule.channel),
                message_max=rule.most,
                period=duration(rule.period),
            )
            for rule in cap.rules
        ],
        etag=str(cap.version),
    )
