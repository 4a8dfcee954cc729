"""Listings, page after page."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from google.protobuf.message import Message


async def items(
    call: Callable[..., Any], request: Message, field: str, *, timeout_s: float
) -> AsyncIterator[Any]:
    """What an RPC lists in `field` of its answers, over all pages from the one that `request` asks for.

    `timeout_s` is for each page; the request is left asking for the last one. Raises `grpc.aio.AioRpcError`.
    """
    asked: Any = request
    while True:
        page = await call(asked, timeout=timeout_s)
        for item in getattr(page, field):
            yield item
        asked.page_token = page.next_page_token
        if not page.next_page_token:
            return
