"""Error answers of the Messenger and Instagram Send APIs: one envelope, a code and often a subcode."""

import json
import uuid
from collections.abc import Mapping

from aiohttp import web

STATUSES = {1: 500, 2: 500, 190: 401, 200: 403, 10: 403, 368: 403, 551: 400, 613: 400}
"""HTTP status by code; 400 for all others. The platforms promise none."""
TEXTS = {
    (10, 2018278): "This message is sent outside of allowed window.",
    (10, 2534022): "This message is sent outside of allowed window.",
    (10, 1893063): "The page is temporarily restricted from sending messages.",
    (100, 2018001): "No matching user found",
    (100, 2534014): "The requested user cannot be found",
    (551, 1545041): "This person isn't available right now.",
    (613, None): "Calls to this api have exceeded the rate limit.",
    (190, None): "Error validating access token",
}


class PageError(Exception):
    """A refusal: code and subcode, `details` says what exactly."""

    def __init__(
        self,
        code: int,
        subcode: int | None = None,
        details: str = "",
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        text = TEXTS.get((code, subcode)) or TEXTS.get((code, None)) or "Invalid parameter"
        super().__init__(f"(#{code}) {text} {details}".strip())
        self.code = code
        self.subcode = subcode
        self.plain = details.startswith("Invalid appsecret_proof")
        self.details = details
        self.status = status or STATUSES.get(code, 400)
        self.headers = dict(headers or {})

    def answer(self) -> web.Response:
        """The Graph API's answer."""
        # This one is told without its number.
        message = self.details if self.plain else str(self)
        error = {"message": message, "type": "OAuthException", "code": self.code}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        error["fbtrace_id"] = uuid.uuid5(uuid.NAMESPACE_OID, message).hex[:24]
        return web.json_response({"error": error}, status=self.status, headers=self.headers)


def too_many(page_id: str, kind: str) -> PageError:
    """More messages than the Send API takes, with the minutes until it takes some again."""
    usage = [
        {
            "type": kind,
            "call_count": 100,
            "total_cputime": 20,
            "total_time": 20,
            "estimated_time_to_regain_access": 1,
        }
    ]
    headers = {"X-Business-Use-Case-Usage": json.dumps({page_id: usage})}
    return PageError(613, details="too many messages sent", headers=headers)
