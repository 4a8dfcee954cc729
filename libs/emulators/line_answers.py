"""What LINE answers to requests that it does not take."""

from aiohttp import web

from libs.common.ids import new_id

RATE_LIMIT = "The API rate limit has been exceeded. Try again later."


def error(status: int, message: str) -> web.Response:
    """A refusal."""
    headers = {"X-Line-Request-Id": str(new_id())}
    return web.json_response({"message": message}, status=status, headers=headers)


def unauthenticated() -> web.Response:
    """To a token that is no channel's."""
    return error(
        401, "Authentication failed. Confirm that the access token in the authorization header is valid."
    )
