"""Order webhooks as a shop's back end sends them: signed by Standard Webhooks, several events a request."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import aiohttp
from standardwebhooks import Webhook

from libs.common.backoff import Backoff, Retries
from libs.demo.patience import PATIENCE_S, DemoFault
from libs.demo.stream import Checkout, Kind

EVENTS_MAX = 200
"""Events in one request."""
BODY_BYTES_MAX = 900_000
"""The endpoint takes 1 MB."""
ITEMS_MAX = 1_000
"""Lines that one order may carry; lines of one name are joined beyond it."""
NAME_MAX = 500
"""Characters of an item's name."""
_BACKOFF = Backoff(0.05, 1.0)
_PASSING = (408, 429, 500, 502, 503, 504)


def event_of(checkout: Checkout, currency: str) -> dict[str, Any]:
    """The JSON of one order or refund; an anonymous one has no customer."""
    event: dict[str, Any] = {
        "event": checkout.kind.value,
        "event_id": f"{checkout.kind.value}-{checkout.reference}",
        "occurred_at": checkout.occurred_at.isoformat().replace("+00:00", "Z"),
    }
    if checkout.member is not None:
        event["customer"] = {"member_id": str(checkout.member)}
    if checkout.kind is Kind.REFUND:
        event["order"] = {"currency": currency}
        event["refund"] = {"id": checkout.reference, "amount": f"{checkout.amount:f}"}
    else:
        event["order"] = {
            "id": checkout.reference,
            "currency": currency,
            "total": f"{checkout.amount:f}",
            "items": _items(checkout),
        }
    return event


def _items(checkout: Checkout) -> list[dict[str, Any]]:
    lines = [(item.name, item.quantity) for item in checkout.items]
    if len(lines) > ITEMS_MAX:
        joined: dict[str, int] = {}
        for name, quantity in lines:
            joined[name] = joined.get(name, 0) + quantity
        lines = list(joined.items())
    return [{"name": name[:NAME_MAX], "quantity": quantity} for name, quantity in lines]


def bodies(events: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    """The events as JSON lists within the limits of a request, in order."""
    parts: list[bytes] = []
    size = 0
    for event in events:
        part = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        if parts and (len(parts) == EVENTS_MAX or size + len(part) > BODY_BYTES_MAX):
            yield b"[" + b",".join(parts) + b"]"
            parts, size = [], 0
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield b"[" + b",".join(parts) + b"]"


class WebhookPoster:
    """Posts checkouts to the gateway. One request at a time, so that the order of the stream is kept."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        secret: str,
        currency: str,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`url`: the shop's endpoint; `secret`: its key, with the prefix `whsec_`; `patience_s`: how long one
        request may fail for passing reasons."""
        self._session = session
        self._url = url
        self._signer = Webhook(secret)
        self._currency = currency
        self._patience_s = patience_s
        self._requests = 0

    async def post(self, checkouts: Sequence[Checkout], now: datetime) -> None:
        """Posts them, signed at the domain time `now`; a request that got no answer is repeated under its id.

        DemoFault when the gateway refuses one, or does not answer for so long.
        """
        for body in bodies([event_of(checkout, self._currency) for checkout in checkouts]):
            self._requests += 1
            await self.deliver(f"demo-{self._requests:06d}", body, now)

    async def deliver(self, webhook_id: str, body: bytes, now: datetime) -> None:
        """Posts one request, again and again until it is answered. DemoFault as of `post`."""
        headers = {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(webhook_id, now, body.decode()),
        }
        deadline_s = time.monotonic() + self._patience_s
        retries = Retries(_BACKOFF)
        while True:
            try:
                async with self._session.post(self._url, data=body, headers=headers) as answer:
                    if answer.status not in _PASSING:
                        _check(answer.status, await answer.text())
                        return
                    fault = f"HTTP {answer.status}"
            except (aiohttp.ClientError, TimeoutError) as error:
                fault = f"{type(error).__name__} {error}"
            if time.monotonic() > deadline_s:
                raise DemoFault(f"the webhook {webhook_id} is not taken: {fault}")
            await asyncio.sleep(retries.failed())


def _check(status: int, text: str) -> None:
    if status != 202:
        raise DemoFault(f"the gateway refused a webhook: HTTP {status} {text[:500]}")
    refused = [result for result in json.loads(text)["results"] if result["status"] == "refused"]
    if refused:
        raise DemoFault(f"the gateway refused {len(refused)} events, first: {refused[0]}")
