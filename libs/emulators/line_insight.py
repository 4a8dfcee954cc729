"""What LINE counts of an account's messages: units, deliveries, friends, and who saw and opened what.

Days are those of UTC+9. Figures of fewer than 20 people are withheld, and at most 1,000 units of a month are counted.
https://developers.line.biz/en/reference/messaging-api/#get-statistics-per-unit
"""

import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

from libs.emulators.journal import Record

ZONE = timezone(timedelta(hours=9))
PEOPLE_MIN = 20
"""Figures of fewer people are withheld."""
UNITS_MAX = 1_000
"""Units of a month; later ones are sent and not counted."""
RANGE_DAYS_MAX = 30
"""How far the last day of a range may lie behind its first."""
CALLS_AN_HOUR = 60
"""Of one endpoint of statistics and one channel."""
FIRST_DAY = date(2018, 3, 31)
"""Nothing is counted of the time before."""

_DAY = re.compile(r"[0-9]{8}")
_MEDIA = (
    "mediaPlayed",
    "mediaPlayed25Percent",
    "mediaPlayed50Percent",
    "mediaPlayed75Percent",
    "mediaPlayed100Percent",
)

Unit = tuple[str, str]
"""Channel and name."""


@dataclass(slots=True)
class LineInsight:
    """All that is counted, of all channels; rebuilt from the journals."""

    units: defaultdict[tuple[str, str], dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    """Names by channel and month, in the order of their first message."""
    sent: Counter[tuple[str, str, date]] = field(default_factory=Counter)
    """Messages by channel, endpoint and day."""
    seen: defaultdict[Unit, defaultdict[tuple[date, int], Counter[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    """How often who saw a bubble, by the day of its message and its place, from 1."""
    opened: defaultdict[Unit, defaultdict[tuple[date, str], Counter[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    """How often who opened an address, by the day of its message."""
    calls: defaultdict[tuple[str, str], deque[datetime]] = field(default_factory=lambda: defaultdict(deque))

    def clear(self) -> None:
        """Back to a first start."""
        for each in (self.units, self.sent, self.seen, self.opened, self.calls):
            each.clear()

    def remember(self, record: Record, at: datetime) -> None:
        """Takes an accepted message."""
        day = day_of(at)
        if record["billed"] or record["endpoint"] == "reply":
            self.sent[record["account"], record["endpoint"], day] += 1
        names = self.units[record["account"], day.strftime("%Y-%m")]
        for name in record["body"].get("customAggregationUnits", ()):
            if len(names) < UNITS_MAX:
                names[name] = None

    def see(self, command: Mapping[str, Any]) -> None:
        """People saw messages: `messages` are channel, unit, day, person, count of bubbles, and an address that they
        opened or none."""
        for account, unit, day_text, person, bubbles, url in command["messages"]:
            day = date.fromisoformat(day_text)
            if unit not in self.units[account, day.strftime("%Y-%m")]:
                continue
            for place in range(1, bubbles + 1):
                self.seen[account, unit][day, place][person] += 1
            if url:
                self.opened[account, unit][day, url][person] += 1

    def may_ask(self, account: str, endpoint: str, now: datetime) -> bool:
        """Whether the channel has calls of the hour left; takes one."""
        calls = self.calls[account, endpoint]
        while calls and now - calls[0] >= timedelta(hours=1):
            calls.popleft()
        if len(calls) >= CALLS_AN_HOUR:
            return False
        calls.append(now)
        return True

    def statistics(self, unit: Unit, first: date, last: date) -> dict[str, Any]:
        """Of the messages of a unit that were sent from the first day to the last."""
        bubbles: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for (day, place), people in self.seen[unit].items():
            if first <= day <= last:
                bubbles[place] += people
        links: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for (day, url), people in self.opened[unit].items():
            if first <= day <= last:
                links[url] += people
        return {
            "overview": {
                "uniqueImpression": _people(bubbles.values()),
                "uniqueClick": _people(links.values()),
                "uniqueMediaPlayed": None,
                "uniqueMediaPlayed100Percent": None,
            },
            "messages": [_bubble(place, people) for place, people in sorted(bubbles.items())],
            "clicks": [
                {
                    "seq": number,
                    "url": url,
                    "click": _times(people),
                    "uniqueClick": _people([people]),
                    "uniqueClickOfRequest": _people([people]),
                }
                for number, (url, people) in enumerate(links.items(), 1)
            ],
        }


def _bubble(place: int, people: Counter[str]) -> dict[str, Any]:
    unplayed = dict.fromkeys((*_MEDIA, *(f"unique{each[0].upper()}{each[1:]}" for each in _MEDIA)))
    return {"seq": place, "impression": _times(people), "uniqueImpression": _people([people]), **unplayed}


def _people(groups: Iterable[Counter[str]]) -> int | None:
    count = len({person for group in groups for person in group})
    return count if count >= PEOPLE_MIN else None


def _times(people: Counter[str]) -> int | None:
    return people.total() if len(people) >= PEOPLE_MIN else None


def day_of(at: datetime) -> date:
    """The day of a time."""
    return at.astimezone(ZONE).date()


def read_day(text: str | None) -> date | None:
    """A day as `yyyyMMdd`; None for what is none."""
    if text is None or not _DAY.fullmatch(text):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None
