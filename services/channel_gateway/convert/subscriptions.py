"""Subscriptions, dead letters and attempts to contract."""

from __future__ import annotations

from datetime import timedelta

from libs.common.rpc.values import duration, timestamp
from omnijourney.channel_gateway.v1 import limits_pb2, webhook_pb2
from omnijourney.common.v1 import error_reason_pb2
from services.channel_gateway.domain.signing import encode_secret
from services.channel_gateway.domain.webhooks_out import DeadLetter, Subscription, WebhookAttempt


def subscription_message(
    subscription: Subscription, *, shows_secret: bool = False
) -> webhook_pb2.WebhookSubscription:
    """A subscription, without its key unless that is asked for."""
    return webhook_pb2.WebhookSubscription(
        webhook_subscription_id=str(subscription.subscription_id),
        team_id=str(subscription.team_id),
        url=subscription.url,
        event_types=subscription.event_types,
        state=webhook_pb2.SubscriptionState.ValueType(subscription.state),
        secret=encode_secret(subscription.keys[0].secret) if shows_secret else "",
        create_time=timestamp(subscription.created_at),
        update_time=timestamp(subscription.updated_at),
        etag=str(subscription.version),
    )


def dead_letter_message(letter: DeadLetter) -> webhook_pb2.DeadLetter:
    """A webhook that was given up."""
    return webhook_pb2.DeadLetter(
        webhook_id=str(letter.webhook_id),
        webhook_subscription_id=str(letter.subscription_id),
        event_type=letter.event_type,
        body=letter.body,
        attempts=letter.attempts,
        last_error=letter.last_error,
        occur_time=timestamp(letter.occurred_at),
        dead_time=timestamp(letter.dead_at),
    )


def attempt_message(attempt: WebhookAttempt) -> limits_pb2.WebhookAttempt:
    """A call of an address."""
    reason = error_reason_pb2.ERROR_REASON_NO_ANSWER if not attempt.status_code else 0
    return limits_pb2.WebhookAttempt(
        webhook_id=str(attempt.webhook_id),
        event_type=attempt.event_type,
        attempt=attempt.attempt,
        status_code=attempt.status_code,
        reason=reason,  # type: ignore[arg-type]  # a number of the enum
        duration=duration(timedelta(milliseconds=attempt.duration_ms)),
        attempt_time=timestamp(attempt.attempted_at),
    )
