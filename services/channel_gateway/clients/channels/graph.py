"""What the channels of Meta share: addresses and errors of the Graph API, and proof that a call is the app's."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from services.channel_gateway.clients.channels.base import WAIT_MAX_S
from services.channel_gateway.clients.channels.transport import Reply

VERSION: Final = "v25.0"
"""Version of the Graph API, unless the address names one."""
_CODE: Final = re.compile(r"[0-9]{1,10}")
_VERSIONED: Final = re.compile(r"/v\d+\.\d+$")


class GraphError(NamedTuple):
    """Meta's error envelope; without a code where there was none."""

    code: int | None
    subcode: int | None
    message: str
    trace_id: str
    """What Meta's support finds the answer by."""


def versioned(base_url: str) -> str:
    """The address with a version."""
    return base_url if _VERSIONED.search(base_url) else f"{base_url}/{VERSION}"


def error_of(body: Mapping[str, Any]) -> GraphError:
    """What an answer says is wrong."""
    error = body.get("error")
    if not isinstance(error, dict):
        return GraphError(None, None, "", "")
    return GraphError(
        _number(error.get("code")),
        _number(error.get("error_subcode")),
        str(error.get("message", "")),
        str(error.get("fbtrace_id", "")),
    )


def _number(value: object) -> int | None:
    """A code, also where it is written as text or with a point."""
    if isinstance(value, str) and _CODE.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def answer_id_of(reply: Reply) -> str:
    """What Meta's support finds an answer by: of the error, or where it has none, as from a proxy, of the header."""
    return error_of(reply.body).trace_id or reply.headers.get("X-FB-Trace-ID", "")


def usage_wait_s(headers: Mapping[str, str]) -> float:
    """Seconds until the account may call again, as the usage header says in minutes; 0 where it says nothing."""
    usage = headers.get("X-Business-Use-Case-Usage")
    if not usage:
        return 0.0
    try:
        accounts = msgspec.json.decode(usage, type=dict[str, list[dict[str, Any]]])
    except (msgspec.DecodeError, RecursionError):
        return 0.0
    minutes = [
        item.get("estimated_time_to_regain_access", 0) for items in accounts.values() for item in items
    ]
    # Compared before it is multiplied: JSON has whole numbers that no float can hold.
    return max(
        (60.0 * min(m, WAIT_MAX_S) for m in minutes if isinstance(m, int | float) and m is not True),
        default=0.0,
    )


def app_secret_proof(token: str, secret: str) -> str:
    """`appsecret_proof`: that who calls has the app's secret, not only a token of it.
    https://developers.facebook.com/docs/graph-api/guides/secure-requests"""
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
