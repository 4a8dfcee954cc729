"""What is told of each item of a shop's webhook, whichever form it came in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from libs.common.clock import Clock
from libs.common.hints import Reason
from services.channel_gateway.domain.shop_events import LeftOut, ShopReport, needs_country, unreadable_phone


class Countries(Protocol):
    """Knows in which country's form a team writes phone numbers."""

    async def country(self, team_id: UUID) -> str:
        """ISO 3166-1 alpha-2; empty where the team has none. Raises Unavailable."""
        ...


class Telling:
    """Finds what can be found only here: phones that the team's people could not read, and times to come."""

    def __init__(self, countries: Countries, clock: Clock, ahead_max: timedelta) -> None:
        """An event of more than `ahead_max` from now counts as of now."""
        self._countries = countries
        self._clock = clock
        self._ahead_max = ahead_max

    async def of(self, team_id: UUID, reports: Sequence[ShopReport]) -> list[ShopReport]:
        """The same, with what is left out of them. The country is asked for only where it takes one."""
        if any(report.event is not None and needs_country(report.event) for report in reports):
            country = await self._countries.country(team_id)
            reports = [_with_phone_read(report, country) for report in reports]
        latest = self._clock.now() + self._ahead_max
        return [_with_time_cut(report, latest) for report in reports]


def _with_phone_read(report: ShopReport, country: str) -> ShopReport:
    fault = report.event and unreadable_phone(report.event, country)
    return report._replace(left_out=(*report.left_out, fault)) if fault else report


def _with_time_cut(report: ShopReport, latest: datetime) -> ShopReport:
    """The same, with a time to come told: what is stored stays as it came, and is cut when it is handed on."""
    if report.event is None or report.event.occurred_at <= latest:
        return report
    return report._replace(left_out=(*report.left_out, LeftOut("occurred_at", Reason.TOO_FAR_AHEAD)))


def results_of(reports: Iterable[ShopReport], places: Iterable[str]) -> list[dict[str, Any]]:
    """What is answered of each report; places of a list are `[0]`, `[1]`, …, that of a body as a whole is empty."""
    seen: set[bytes] = set()
    return [_result(report, at, seen) for report, at in zip(reports, places, strict=True)]


def _result(report: ShopReport, at: str, seen: set[bytes]) -> dict[str, Any]:
    if report.event is None:
        fault = report.fault
        if fault is None:
            return {"event_id": report.event_id, "status": "ignored"}
        return {
            "event_id": report.event_id,
            "status": "refused",
            "field": _path(at, fault.field),
            "reason": fault.reason.name,
            "message": fault.message,
            "remedy": fault.remedy,
        }
    content = report.event.content()
    result: dict[str, Any] = {
        "event_id": report.event_id,
        "status": "duplicate" if content in seen else "accepted",
    }
    seen.add(content)
    if report.left_out:
        result["left_out"] = [_left_out(each, at) for each in report.left_out]
    return result


def _left_out(left_out: LeftOut, at: str) -> dict[str, str]:
    reason = left_out.reason
    return {"field": _path(at, left_out.field), "reason": reason.name, "message": reason.value}


def _path(at: str, field: str) -> str:
    return f"{at}.{field}" if at and field else at or field
