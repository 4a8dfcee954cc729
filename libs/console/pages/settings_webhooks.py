"""Webhooks that go out: who is told of contact events, whether it arrives, and what was given up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from google.protobuf.field_mask_pb2 import FieldMask

from libs.console.forms import refusal, status_of, texts_of
from libs.console.languages import noted
from libs.console.pages.customers import id_of
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1 import limits_pb2, webhook_pb2
from omnijourney.channel_gateway.v1.webhook_pb2 import WebhookSubscription
from omnijourney.client import CallError

routes = web.RouteTableDef()

EVENTS: Final[Mapping[str, str]] = {
    "contact.created": noted("A customer became known"),
    "contact.bound": noted("A customer joined a channel"),
    "contact.unbound": noted("A customer left a channel"),
    "contact.tag_changed": noted("Tags of a customer changed"),
    "contact.attribute_changed": noted("An attribute of a customer changed"),
    "contact.merged": noted("Two customers became one"),
}
STATES: Final[Mapping[int, tuple[str, str]]] = {
    webhook_pb2.SUBSCRIPTION_STATE_ACTIVE: ("live", noted("Is called")),
    webhook_pb2.SUBSCRIPTION_STATE_PAUSED: ("warn", noted("Paused")),
    webhook_pb2.SUBSCRIPTION_STATE_GONE: ("stopped", noted("Refused for good by its address")),
}
_FIELDS: Final = {"subscription.url": "url", "subscription.event_types": "event_types"}
_SUCCESS: Final = range(200, 300)


@routes.get("/settings/webhooks")
async def listing(request: web.Request) -> web.Response:
    """All of the team's."""
    return await _list(Visit.of(request))


async def _list(visit: Visit, status: int = 200, **context: Any) -> web.Response:
    page = await visit.call(
        visit.client.channel_gateway.ListWebhookSubscriptions,
        gateway.ListWebhookSubscriptionsRequest(
            team_id=visit.team_id, page_size=PAGE_SIZE, page_token=visit.request.query.get("page_token", "")
        ),
    )
    return visit.render(
        "settings/webhooks.html",
        status=status,
        **{
            "subscriptions": page.subscriptions,
            "next_link": visit.page_link(page.next_page_token),
            "events": EVENTS,
            "states": STATES,
            "given": WebhookSubscription(event_types=list(EVENTS)),
            **context,
        },
    )


@routes.post("/settings/webhooks")
async def create(request: web.Request) -> web.Response:
    """Makes one and shows its secret, once: it is on no other page."""
    visit = Visit.of(request)
    given, texts = await _given(visit), await texts_of(visit)
    asked = gateway.CreateWebhookSubscriptionRequest(
        team_id=visit.team_id, request_id=texts["request_id"], subscription=given
    )
    try:
        made = await visit.call(visit.client.channel_gateway.CreateWebhookSubscription, asked)
    except CallError as error:
        return await _list(visit, status_of(error), given=given, faults=refusal(visit, error, _FIELDS))
    return await _show(visit, made.subscription.webhook_subscription_id, secret=made.subscription.secret)


@routes.get("/settings/webhooks/{subscription_id}")
async def shown(request: web.Request) -> web.Response:
    """One, with what became of its calls."""
    return await _show(Visit.of(request), id_of(request.match_info["subscription_id"]))


async def _show(visit: Visit, subscription_id: str, status: int = 200, **context: Any) -> web.Response:
    stub = visit.client.channel_gateway
    ids: dict[str, Any] = {"team_id": visit.team_id, "webhook_subscription_id": subscription_id}
    calls = gateway.ListWebhookAttemptsRequest(
        page_size=PAGE_SIZE, page_token=visit.request.query.get("page_token", ""), **ids
    )
    found, attempts, dead = await asyncio.gather(
        visit.call(stub.GetWebhookSubscription, gateway.GetWebhookSubscriptionRequest(**ids)),
        visit.call(stub.ListWebhookAttempts, calls),
        visit.call(stub.ListDeadLetters, gateway.ListDeadLettersRequest(page_size=PAGE_SIZE, **ids)),
    )
    return visit.render(
        "settings/webhook.html",
        status=status,
        **{
            "subscription": found.subscription,
            "given": found.subscription,
            "attempts": [(each, _arrived(each), _answer(visit, each)) for each in attempts.attempts],
            "next_link": visit.page_link(attempts.next_page_token),
            "dead": dead.dead_letters,
            "has_more_dead": bool(dead.next_page_token),
            "events": EVENTS,
            "states": STATES,
            "is_active": found.subscription.state == webhook_pb2.SUBSCRIPTION_STATE_ACTIVE,
            "secret": "",
            **context,
        },
    )


@routes.post("/settings/webhooks/{subscription_id}")
async def change(request: web.Request) -> web.Response:
    """Another address or other events, or whether it is called."""
    visit = Visit.of(request)
    subscription_id = id_of(request.match_info["subscription_id"])
    given, texts = await _given(visit), await texts_of(visit)
    given.webhook_subscription_id = subscription_id
    paths = ["url", "event_types"]
    if texts.get("state"):
        paths = ["state"]
        active = texts["state"] == "active"
        given.state = (
            webhook_pb2.SUBSCRIPTION_STATE_ACTIVE if active else webhook_pb2.SUBSCRIPTION_STATE_PAUSED
        )
    asked = gateway.UpdateWebhookSubscriptionRequest(
        team_id=visit.team_id,
        request_id=texts["request_id"],
        subscription=given,
        update_mask=FieldMask(paths=paths),
        etag=texts.get("etag", ""),
    )
    try:
        await visit.call(visit.client.channel_gateway.UpdateWebhookSubscription, asked)
    except CallError as error:
        faults = refusal(visit, error, _FIELDS)
        return await _show(visit, subscription_id, status_of(error), given=given, faults=faults)
    return visit.go(f"/settings/webhooks/{subscription_id}", noted("The webhook is changed."))


@routes.post("/settings/webhooks/{subscription_id}/ping")
async def ping(request: web.Request) -> web.Response:
    """Calls the address once, and says what came back."""
    visit = Visit.of(request)
    subscription_id = id_of(request.match_info["subscription_id"])
    asked = gateway.PingWebhookSubscriptionRequest(**await _once(visit, subscription_id))
    attempt = (await visit.call(visit.client.channel_gateway.PingWebhookSubscription, asked)).attempt
    answered = noted("The address took the test: %(answer)s.")
    failed = noted("The address did not take the test: %(answer)s.")
    if not _arrived(attempt):
        visit.session.note("fault", visit.say(failed, answer=_answer(visit, attempt)))
        return visit.go(f"/settings/webhooks/{subscription_id}")
    return visit.go(f"/settings/webhooks/{subscription_id}", answered, answer=_answer(visit, attempt))


@routes.post("/settings/webhooks/{subscription_id}/rotate")
async def rotate(request: web.Request) -> web.Response:
    """Gives it a new secret and shows it, once."""
    visit = Visit.of(request)
    subscription_id = id_of(request.match_info["subscription_id"])
    asked = gateway.RotateWebhookSecretRequest(**await _once(visit, subscription_id))
    made = await visit.call(visit.client.channel_gateway.RotateWebhookSecret, asked)
    return await _show(visit, subscription_id, secret=made.subscription.secret)


@routes.post("/settings/webhooks/{subscription_id}/delete")
async def delete(request: web.Request) -> web.Response:
    """Ends it."""
    visit = Visit.of(request)
    subscription_id = id_of(request.match_info["subscription_id"])
    asked = gateway.DeleteWebhookSubscriptionRequest(**await _once(visit, subscription_id))
    await visit.call(visit.client.channel_gateway.DeleteWebhookSubscription, asked)
    return visit.go("/settings/webhooks", noted("The webhook is deleted."))


@routes.post("/settings/webhooks/{subscription_id}/{what:replay|drop}")
async def given_up(request: web.Request) -> web.Response:
    """Delivers again what was given up, or drops it: one, or all."""
    visit = Visit.of(request)
    subscription_id = id_of(request.match_info["subscription_id"])
    once = await _once(visit, subscription_id)
    chosen = (await texts_of(visit)).get("webhook_id", "")
    ids = [chosen] if chosen else []
    stub = visit.client.channel_gateway
    if request.match_info["what"] == "replay":
        await visit.call(stub.ReplayDeadLetters, gateway.ReplayDeadLettersRequest(webhook_ids=ids, **once))
        done = noted("It is delivered again.")
    else:
        await visit.call(stub.DeleteDeadLetters, gateway.DeleteDeadLettersRequest(webhook_ids=ids, **once))
        done = noted("It is dropped.")
    return visit.go(f"/settings/webhooks/{subscription_id}", done)


async def _given(visit: Visit) -> WebhookSubscription:
    """What the form of one says."""
    form = await visit.form()
    return WebhookSubscription(
        url=str(form.get("url", "")).strip(),
        event_types=[str(each) for each in form.getall("event_types", [])],
    )


async def _once(visit: Visit, subscription_id: str) -> dict[str, Any]:
    texts = await texts_of(visit)
    return {
        "team_id": visit.team_id,
        "request_id": texts["request_id"],
        "webhook_subscription_id": subscription_id,
    }


def _arrived(attempt: limits_pb2.WebhookAttempt) -> bool:
    return attempt.status_code in _SUCCESS


def _answer(visit: Visit, attempt: limits_pb2.WebhookAttempt) -> str:
    """What came back: the status of HTTP, or that there was none."""
    return f"HTTP {attempt.status_code}" if attempt.status_code else visit.say(noted("no answer"))
