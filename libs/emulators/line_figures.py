"""LINE's calls about figures: statistics of units, deliveries, friends."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any, Final

from aiohttp import web

from libs.emulators.base import bearer
from libs.emulators.clock import EmulatorClock
from libs.emulators.line_answers import RATE_LIMIT, error, unauthenticated
from libs.emulators.line_insight import FIRST_DAY, PEOPLE_MIN, RANGE_DAYS_MAX, day_of, read_day
from libs.emulators.line_state import LineChannel, LineState

FRIENDS_MAX: Final = 1_000
"""Of one page."""
NAMES_MAX: Final = 100
_KINDS: Final = ("push", "multicast", "reply", "broadcast")
_NO_DAY: Final = "The value for the 'date' parameter is invalid"

Handler = Callable[[web.Request, LineChannel], Awaitable[web.Response]]


class LineFigures:
    """Reads what the emulator's state has counted."""

    def __init__(self, state: LineState, clock: EmulatorClock) -> None:
        """Of the emulator."""
        self._state = state
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """The calls; those about statistics are taken 60 times an hour."""
        insight = "/v2/bot/insight"
        return [
            web.get(f"{insight}/message/event/aggregation", self._of(self._statistics, rated=True)),
            web.get(f"{insight}/message/delivery", self._of(self._deliveries, rated=True)),
            web.get(f"{insight}/followers", self._of(self._followers, rated=True)),
            web.get("/v2/bot/message/delivery/{kind}", self._of(self._delivered)),
            web.get("/v2/bot/message/aggregation/info", self._of(self._units_used)),
            web.get("/v2/bot/message/aggregation/list", self._of(self._units)),
            web.get("/v2/bot/followers/ids", self._of(self._friends)),
        ]

    def _of(
        self, handler: Handler, *, rated: bool = False
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            channel = self._state.channel_of(bearer(request))
            if channel is None:
                return unauthenticated()
            if rated and not self._state.insight.may_ask(channel.channel_id, request.path, self._clock.now()):
                return error(429, RATE_LIMIT)
            return await handler(request, channel)

        return answer

    def _today(self) -> date:
        return day_of(self._clock.now())

    async def _statistics(self, request: web.Request, channel: LineChannel) -> web.Response:
        unit = request.query.get("customAggregationUnit", "")
        first, last = read_day(request.query.get("from")), read_day(request.query.get("to"))
        if not unit or first is None or last is None:
            return error(400, "customAggregationUnit, from and to are required")
        if not 0 <= (last - first).days <= RANGE_DAYS_MAX:
            return error(400, f"'to' lies up to {RANGE_DAYS_MAX} days behind 'from'")
        return web.json_response(self._state.insight.statistics((channel.channel_id, unit), first, last))

    async def _deliveries(self, request: web.Request, channel: LineChannel) -> web.Response:
        day = read_day(request.query.get("date"))
        if day is None:
            return error(400, _NO_DAY)
        if day >= self._today() or day < FIRST_DAY:
            return web.json_response({"status": "unready" if day >= self._today() else "out_of_service"})
        sent = self._state.insight.sent
        counts = {f"api{kind.title()}": sent[channel.channel_id, kind, day] for kind in _KINDS}
        return web.json_response({"status": "ready", **counts})

    async def _followers(self, request: web.Request, _channel: LineChannel) -> web.Response:
        """Everybody counts of whom anything was told; of past days it is what it is now."""
        asked = request.query.get("date")
        day = read_day(asked)
        if asked is not None and day is None:
            return error(400, _NO_DAY)
        if day is not None and (day >= self._today() or day < FIRST_DAY):
            return web.json_response({"status": "unready" if day >= self._today() else "out_of_service"})
        people = list(self._state.people.values())
        friends, blocks = people.count("friend"), people.count("blocked")
        counts = {"followers": friends + blocks, "targetedReaches": friends, "blocks": blocks}
        return web.json_response({"status": "ready", **counts})

    async def _delivered(self, request: web.Request, channel: LineChannel) -> web.Response:
        kind, day = request.match_info["kind"], read_day(request.query.get("date"))
        if kind not in _KINDS:
            return error(404, "Not found")
        if day is None:
            return error(400, _NO_DAY)
        count = self._state.insight.sent[channel.channel_id, kind, day]
        answer: dict[str, Any] = {"status": "ready", "success": count}
        if day >= self._today():
            answer = {"status": "unready"}
        elif day < FIRST_DAY:
            answer = {"status": "out_of_service"}
        elif count < PEOPLE_MIN:
            answer = {"status": "unavailable_for_privacy"}
        return web.json_response(answer)

    async def _units_used(self, _request: web.Request, channel: LineChannel) -> web.Response:
        return web.json_response({"numOfCustomAggregationUnits": len(self._names(channel))})

    async def _units(self, request: web.Request, channel: LineChannel) -> web.Response:
        page = _page(self._names(channel), request, NAMES_MAX, NAMES_MAX)
        return _no_page() if page is None else web.json_response(_listed("customAggregationUnits", *page))

    async def _friends(self, request: web.Request, _channel: LineChannel) -> web.Response:
        friends = [person for person, state in self._state.people.items() if state == "friend"]
        page = _page(friends, request, 300, FRIENDS_MAX)
        return _no_page() if page is None else web.json_response(_listed("userIds", *page))

    def _names(self, channel: LineChannel) -> list[str]:
        return list(self._state.insight.units[channel.channel_id, self._today().strftime("%Y-%m")])


def _page(names: list[str], request: web.Request, usual: int, most: int) -> tuple[list[str], str] | None:
    """A page, and where the next one begins; None for what is no page."""
    limit, start = request.query.get("limit", str(usual)), request.query.get("start", "0")
    if not (limit.isascii() and limit.isdigit() and start.isascii() and start.isdigit()):
        return None
    if not 1 <= int(limit) <= most:
        return None
    end = int(start) + int(limit)
    return names[int(start) : end], str(end) if end < len(names) else ""


def _no_page() -> web.Response:
    return error(400, "The value for the 'limit' or the 'start' parameter is invalid")


def _listed(field: str, names: list[str], following: str) -> dict[str, Any]:
    return {field: names, "next": following} if following else {field: names}
