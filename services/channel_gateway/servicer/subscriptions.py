# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: who is told of contact events, and what could not be told."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.ids import epoch_ms, new_id
from libs.common.paging import fitting, page_key, page_of, page_size
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import changed_fields, ids_of, team_of
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import webhook_pb2
from services.channel_gateway.convert.subscriptions import (
    attempt_message,
    dead_letter_message,
    subscription_message,
)
from services.channel_gateway.domain.webhooks_out import (
    EVENT_TYPES,
    SigningKey,
    Subscription,
    SubscriptionState,
    WebhookAttempt,
    url_fault,
)
from services.channel_gateway.servicer.base import Part
from services.channel_gateway.usecases.call import Call
from services.channel_gateway.usecases.subscriptions import ShowsKey

SECRET_BYTES: Final = 32
_STATES: Final = {
    webhook_pb2.SUBSCRIPTION_STATE_UNSPECIFIED: SubscriptionState.ACTIVE,
    webhook_pb2.SUBSCRIPTION_STATE_ACTIVE: SubscriptionState.ACTIVE,
    webhook_pb2.SUBSCRIPTION_STATE_PAUSED: SubscriptionState.PAUSED,
}


class SubscriptionRpcs(Part):
    """Webhooks out."""

    async def CreateWebhookSubscription(
        self, request: pb.CreateWebhookSubscriptionRequest, context: Any
    ) -> pb.CreateWebhookSubscriptionResponse:
        """Subscribes to contact events."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        given = request.subscription
        self._check_url(check, given.url)
        types = _event_types(check, given.event_types)
        state = _state(check, given.state)
        check.done()
        now = self._clock.now()
        subscription = Subscription(
            *(team_id, new_id(epoch_ms(now)), given.url, types, state),
            *((SigningKey(secrets.token_bytes(SECRET_BYTES)),), now, now, 1),
        )
        call = Call(team_id, request, pb.CreateWebhookSubscriptionResponse, _created)
        return await self._deps.subscriptions.create(call, subscription, _SHOWS_CREATED)

    async def GetWebhookSubscription(
        self, request: pb.GetWebhookSubscriptionRequest, context: Any
    ) -> pb.GetWebhookSubscriptionResponse:
        """Reads a subscription."""
        key = ids_of(request.team_id, "webhook_subscription_id", request.webhook_subscription_id)
        subscription = await self._deps.webhook_store.subscription(*key)
        return pb.GetWebhookSubscriptionResponse(subscription=subscription_message(subscription))

    async def ListWebhookSubscriptions(
        self, request: pb.ListWebhookSubscriptionsRequest, context: Any
    ) -> pb.ListWebhookSubscriptionsResponse:
        """Lists subscriptions."""
        team_id = team_of(request.team_id)
        arguments = ("webhook subscriptions", team_id)
        size = page_size(request.page_size)
        after = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        rows = await self._deps.webhook_store.list_subscriptions(team_id, after, size + 1)
        page = page_of(rows, size, lambda last: (last.created_at, last.subscription_id), *arguments)
        return pb.ListWebhookSubscriptionsResponse(
            subscriptions=map(subscription_message, page.rows), next_page_token=page.next_token
        )

    async def UpdateWebhookSubscription(
        self, request: pb.UpdateWebhookSubscriptionRequest, context: Any
    ) -> pb.UpdateWebhookSubscriptionResponse:
        """Changes a subscription."""
        given = request.subscription
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        subscription_id = check.uuid("subscription.webhook_subscription_id", given.webhook_subscription_id)
        fields = changed_fields(check, request.update_mask.paths, ("url", "event_types", "state"), given)
        changes: dict[str, Any] = {}
        if "url" in fields:
            self._check_url(check, given.url)
            changes["url"] = given.url
        if "event_types" in fields:
            changes["event_types"] = _event_types(check, given.event_types)
        if "state" in fields:
            changes["state"] = _state(check, given.state)
        check.done()

        def reply(subscription: Subscription) -> pb.UpdateWebhookSubscriptionResponse:
            return pb.UpdateWebhookSubscriptionResponse(subscription=subscription_message(subscription))

        call = Call(team_id, request, pb.UpdateWebhookSubscriptionResponse, reply)
        etag = request.etag or given.etag
        return await self._deps.subscriptions.update(
            call, subscription_id, etag, lambda before: msgspec.structs.replace(before, **changes)
        )

    async def DeleteWebhookSubscription(
        self, request: pb.DeleteWebhookSubscriptionRequest, context: Any
    ) -> pb.DeleteWebhookSubscriptionResponse:
        """Ends a subscription."""
        team_id, subscription_id = ids_of(
            request.team_id, "webhook_subscription_id", request.webhook_subscription_id
        )
        call: Call[None, pb.DeleteWebhookSubscriptionResponse] = Call(
            team_id,
            request,
            pb.DeleteWebhookSubscriptionResponse,
            lambda _: pb.DeleteWebhookSubscriptionResponse(),
            subscription_message,
        )
        return await self._deps.subscriptions.delete(call, subscription_id)

    async def RotateWebhookSecret(
        self, request: pb.RotateWebhookSecretRequest, context: Any
    ) -> pb.RotateWebhookSecretResponse:
        """Gives a subscription another key."""
        team_id, subscription_id = ids_of(
            request.team_id, "webhook_subscription_id", request.webhook_subscription_id
        )
        call = Call(team_id, request, pb.RotateWebhookSecretResponse, _rotated)
        secret = secrets.token_bytes(SECRET_BYTES)
        return await self._deps.subscriptions.rotate(call, subscription_id, secret, _SHOWS_ROTATED)

    async def PingWebhookSubscription(
        self, request: pb.PingWebhookSubscriptionRequest, context: Any
    ) -> pb.PingWebhookSubscriptionResponse:
        """Calls the address once."""
        team_id, subscription_id = ids_of(
            request.team_id, "webhook_subscription_id", request.webhook_subscription_id
        )
        call: Call[WebhookAttempt, pb.PingWebhookSubscriptionResponse] = Call(
            team_id,
            request,
            pb.PingWebhookSubscriptionResponse,
            lambda attempt: pb.PingWebhookSubscriptionResponse(attempt=attempt_message(attempt)),
        )
        return await self._deps.subscriptions.ping(call, subscription_id)

    async def ListWebhookAttempts(
        self, request: pb.ListWebhookAttemptsRequest, context: Any
    ) -> pb.ListWebhookAttemptsResponse:
        """Lists calls of the address."""
        key = ids_of(request.team_id, "webhook_subscription_id", request.webhook_subscription_id)
        arguments = ("webhook attempts", *key)
        size = page_size(request.page_size)
        before = page_key(request.page_token, tuple[UUID], *arguments)
        rows = await self._deps.webhook_store.list_attempts(key, before[0] if before else None, size + 1)
        page = page_of(rows, size, lambda last: (last.attempt_id,), *arguments)
        return pb.ListWebhookAttemptsResponse(
            attempts=map(attempt_message, page.rows), next_page_token=page.next_token
        )

    async def ListDeadLetters(
        self, request: pb.ListDeadLettersRequest, context: Any
    ) -> pb.ListDeadLettersResponse:
        """Lists webhooks that were given up."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        subscription_id = check.optional_uuid("webhook_subscription_id", request.webhook_subscription_id)
        check.done()
        arguments = ("dead letters", team_id, subscription_id)
        size = page_size(request.page_size)
        before = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        rows = await self._deps.webhook_store.list_dead_letters(team_id, subscription_id, before, size + 1)
        page = page_of(rows, size, lambda last: (last.dead_at, last.webhook_id), *arguments)
        letters, token = fitting(
            page,
            [dead_letter_message(letter) for letter in page.rows],
            lambda last: (last.dead_at, last.webhook_id),
            *arguments,
        )
        return pb.ListDeadLettersResponse(dead_letters=letters, next_page_token=token)

    async def ReplayDeadLetters(
        self, request: pb.ReplayDeadLettersRequest, context: Any
    ) -> pb.ReplayDeadLettersResponse:
        """Sends given-up webhooks again."""
        team_id, subscription_id, ids = _letters(request)
        call: Call[int, pb.ReplayDeadLettersResponse] = Call(
            team_id,
            request,
            pb.ReplayDeadLettersResponse,
            lambda count: pb.ReplayDeadLettersResponse(replayed=count),
        )
        return await self._deps.subscriptions.change_dead_letters(call, subscription_id, ids, replay=True)

    async def DeleteDeadLetters(
        self, request: pb.DeleteDeadLettersRequest, context: Any
    ) -> pb.DeleteDeadLettersResponse:
        """Drops given-up webhooks."""
        team_id, subscription_id, ids = _letters(request)
        call: Call[int, pb.DeleteDeadLettersResponse] = Call(
            team_id,
            request,
            pb.DeleteDeadLettersResponse,
            lambda count: pb.DeleteDeadLettersResponse(deleted=count),
        )
        return await self._deps.subscriptions.change_dead_letters(call, subscription_id, ids, replay=False)

    def _check_url(self, check: FieldCheck, url: str) -> None:
        if fault := url_fault(url, self._deps.private_networks):
            check.fault("subscription.url", fault)


def _event_types(check: FieldCheck, given: Sequence[str]) -> tuple[str, ...]:
    check.count("subscription.event_types", given, least=1, most=len(EVENT_TYPES))
    for index, event_type in enumerate(given):
        if event_type not in EVENT_TYPES:
            check.fault(f"subscription.event_types[{index}]", f"must be one of {', '.join(EVENT_TYPES)}")
    return tuple(dict.fromkeys(given))


def _state(check: FieldCheck, given: int) -> SubscriptionState:
    state = _STATES.get(webhook_pb2.SubscriptionState.ValueType(given))
    if state is None:
        check.fault("subscription.state", "must be SUBSCRIPTION_STATE_ACTIVE or SUBSCRIPTION_STATE_PAUSED")
    return state or SubscriptionState.ACTIVE


def _letters(
    request: pb.ReplayDeadLettersRequest | pb.DeleteDeadLettersRequest,
) -> tuple[UUID, UUID, list[UUID]]:
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    subscription_id = check.uuid("webhook_subscription_id", request.webhook_subscription_id)
    ids = [check.uuid(f"webhook_ids[{index}]", text) for index, text in enumerate(request.webhook_ids)]
    check.done()
    return team_id, subscription_id, ids


def _created(subscription: Subscription) -> pb.CreateWebhookSubscriptionResponse:
    return pb.CreateWebhookSubscriptionResponse(
        subscription=subscription_message(subscription, shows_secret=True)
    )


def _rotated(subscription: Subscription) -> pb.RotateWebhookSecretResponse:
    return pb.RotateWebhookSecretResponse(subscription=subscription_message(subscription, shows_secret=True))


def _shown_created(
    reply: pb.CreateWebhookSubscriptionResponse, subscription: Subscription
) -> pb.CreateWebhookSubscriptionResponse:
    reply.subscription.secret = subscription_message(subscription, shows_secret=True).secret
    return reply


def _shown_rotated(
    reply: pb.RotateWebhookSecretResponse, subscription: Subscription
) -> pb.RotateWebhookSecretResponse:
    reply.subscription.secret = subscription_message(subscription, shows_secret=True).secret
    return reply


_SHOWS_CREATED: Final[ShowsKey[pb.CreateWebhookSubscriptionResponse]] = ShowsKey(
    lambda reply: UUID(reply.subscription.webhook_subscription_id), _shown_created
)
_SHOWS_ROTATED: Final[ShowsKey[pb.RotateWebhookSecretResponse]] = ShowsKey(
    lambda reply: UUID(reply.subscription.webhook_subscription_id), _shown_rotated
)
