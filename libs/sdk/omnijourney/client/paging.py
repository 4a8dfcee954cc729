"""Listings, page after page."""

from __future__ import annotations

from typing import Any


class Following:
    """The requests for the pages of a listing, one after another."""

    def __init__(self, request: Any) -> None:
        """From the page that `request` asks for, which is left as it is."""
        self.request: Any = type(request)()
        """What asks for the next page; None after the last."""
        self.request.CopyFrom(request)

    def read(self, page: Any) -> None:
        """The page that was asked for is there."""
        if page.next_page_token:
            self.request.page_token = page.next_page_token
        else:
            self.request = None
