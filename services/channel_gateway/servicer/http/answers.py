"""What the HTTP edge answers: JSON, by `docs/openapi.yaml`. None quotes bytes of a request that is not signed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

LATER: Final = "nothing was stored: send it again later, under the same webhook-id"


class RefusedError(Exception):
    """Ends the work on a request with an answer."""

    def __init__(self, answer: web.Response) -> None:
        """`answer` as it goes out."""
        super().__init__(answer.status)
        self.answer = answer


def json_answer(
    status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> web.Response:
    """Any answer."""
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers
    )


def refusal(
    status: int,
    field: str,
    message: str,
    remedy: str,
    *,
    headers: Mapping[str, str] | None = None,
    results: list[dict[str, Any]] | None = None,
) -> web.Response:
    """Says what is wrong with `field` and what to send instead; `results` of each item, where there are any."""
    body: dict[str, Any] = {"error": {"field": field, "message": message, "remedy": remedy}}
    if results is not None:
        body["results"] = results
    return json_answer(status, body, headers)


def closing(answer: web.Response) -> web.Response:
    """The answer, after which the connection is closed: the rest of the request is not read."""
    answer.force_close()
    return answer


def malformed() -> web.Response:
    """To what is no HTTP."""
    return closing(refusal(400, "", "the request is malformed HTTP", "send HTTP/1.1 as RFC 9112 has it"))


def no_such_path() -> web.Response:
    """To a path that the edge does not have."""
    remedy = (
        "post to /v1/teams/{team}/shops/{shop}/events (or /shopify, /woocommerce, /segment), "
        "/v1/teams/{team}/pixels/{key}/events or "
        "/v1/teams/{team}/accounts/{account}/events, the team and the account being UUIDs and the shop its id"
    )
    return refusal(404, "path", "there is nothing at this path", remedy)


def wrong_method(allowed: str) -> web.Response:
    """To a method that the path does not have."""
    return refusal(
        405, "method", "the path has no such method", f"send {allowed}", headers={"Allow": allowed}
    )


def unsigned() -> web.Response:
    """To whoever is not known to be the shop; which of the reasons it is, is not said."""
    return refusal(
        401,
        "webhook-signature",
        "the webhook is not signed by a valid key of this shop, or its time is off",
        "sign webhook-id.webhook-timestamp.body with the shop's key (Standard Webhooks) at the present time",
    )


def unsigned_by_platform() -> web.Response:
    """To whoever is not known to be the shop's platform; which of the reasons it is, is not said."""
    return refusal(
        401,
        "signature",
        "the webhook is not signed with a key of this shop",
        "give the shop here the secret with which its platform signs (CreateShopKey)",
    )


def no_page_of_the_shop() -> web.Response:
    """To a page that may not report here; which of the reasons it is, is not said."""
    return refusal(
        403,
        "origin",
        "there is no such key, or pages of this origin may not use it",
        "use a key of CreatePixelKey that has the page's origin",
    )


def unsigned_by_channel() -> web.Response:
    """To whoever is not known to be the account's platform; which of the reasons it is, is not said."""
    return refusal(
        401,
        "signature",
        "the webhook is not signed with a secret of this account",
        "sign the body as the platform does, with a secret that the account has here",
    )


def not_greeted() -> web.Response:
    """To a trial of a channel's address that does not know the account's token."""
    return refusal(
        403,
        "hub.verify_token",
        "the address is not this account's, or its verify token is another",
        "set the account's verify_token here, and the same one at the platform",
    )


def text_answer(text: str) -> web.Response:
    """A plain text, which no browser takes for anything else."""
    headers = {"X-Content-Type-Options": "nosniff"}
    return web.Response(status=200, text=text, content_type="text/plain", headers=headers)


def too_large(bytes_max: int) -> web.Response:
    """To a body over the limit."""
    return closing(refusal(413, "", f"the body is over {bytes_max} bytes", "send fewer events a request"))


def too_slow(seconds: float) -> web.Response:
    """To a body that does not come."""
    message = f"the body did not come within {seconds:g} s"
    return closing(refusal(408, "", message, "send it again, under the same webhook-id"))


def encoded() -> web.Response:
    """To a body that would have to be decoded."""
    return closing(
        refusal(
            415, "content-encoding", "bodies are taken as they are only", "send the body without encoding"
        )
    )


def busy(message: str, retry_after_s: float | None, headers: Mapping[str, str] | None = None) -> web.Response:
    """At a limit: 429."""
    return refusal(429, "", message, LATER, headers={**(headers or {}), **_after(retry_after_s)})


def away(message: str, retry_after_s: float | None = None) -> web.Response:
    """Where something that is needed does not answer: 503."""
    return refusal(503, "", message, LATER, headers=_after(retry_after_s))


def failed() -> web.Response:
    """To a fault of ours: 500."""
    message = "the request could not be worked, by no fault of its own"
    return closing(refusal(500, "", message, LATER))


def whole_seconds(seconds: float | None) -> str:
    """For `Retry-After`: rounded up, 1 at least."""
    return str(max(1, math.ceil(seconds or 1.0)))


def _after(seconds: float | None) -> dict[str, str]:
    return {"Retry-After": whole_seconds(seconds)}
