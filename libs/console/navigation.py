"""What stands in the navigation: each module of `libs.console.pages` says what it adds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Area:
    """One entry."""

    label: str
    """In English, marked by `noted`."""
    path: str
    """Where it leads; pages below it belong to it."""
    place: int
    """Entries stand in this order: journeys 10, overview 20, customers 30, audiences 40, points 50, coupons 60, content
    70, channels 80, settings 90, tour 95."""

    def holds(self, path: str) -> bool:
        """Whether a page is of this area."""
        return path == self.path or path.startswith(f"{self.path}/")
