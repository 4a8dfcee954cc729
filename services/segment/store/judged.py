"""Customers as audiences judge them: no more of them is read than the audiences name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.common.audience.expressions import AttributeType, BasicField, Subject, TimeField
from libs.common.db.pool import Pool, fetch_alone, transaction
from libs.common.ids import CustomerKey
from libs.common.text import fold
from services.segment.domain.views import AudienceRules, Judged, JudgedBy
from services.segment.store.base import BOOK
from services.segment.store.merged import merged_customers
from services.segment.store.teams import zone_of

_TIME_COLUMNS: Final = {
    TimeField.CUSTOMER_INTERACTED: "customer_interact_times",
    TimeField.TEAM_INTERACTED: "team_interact_times",
    TimeField.MARKETED: "marketed_times",
    TimeField.CHECKOUT: "checkout_times",
}
HALVED_FROM: Final = 400
"""From so many customers on two connections look up half of them each: they are what a call waits for. It costs a tenth
more CPU than one statement, so what journeys ask for batch by batch is below it."""
_NO_BASICS: Final[dict[BasicField, str]] = {}
_NO_TIMES: Final[dict[TimeField, Any]] = {}
_NO_TAGS: Final[frozenset[str]] = frozenset()
_NO_VALUES: Final[dict[str, str]] = {}
_NO_ACCOUNTS: Final[frozenset[tuple[int, str]]] = frozenset()


class ReadJudged(NamedTuple):
    """What one batch is judged by."""

    customers: dict[CustomerKey, Judged]
    """Those who are there; of one who was merged the one that they were merged into."""
    rules: dict[UUID, AudienceRules]
    """Of their teams, where audiences name attributes or times."""


async def read_judged(pool: Pool, keys: Iterable[CustomerKey], by: JudgedBy) -> ReadJudged:
    """Customers with the rules of their teams, in one statement, or two at once where they are many: each customer is
    as of one moment."""
    distinct = list(dict.fromkeys(keys))
    found = await (
        _read(pool, distinct, by) if len(distinct) < HALVED_FROM else _read_halves(pool, distinct, by)
    )
    if len(found.customers) < len(distinct):
        missing = [key for key in distinct if key not in found.customers]
        async with transaction(pool, {team for team, _ in missing}) as connection:
            merged = await merged_customers(connection, missing)
        if merged:
            survivors = await _read(pool, list({(key[0], each) for key, each in merged.items()}), by)
            led = {key: survivors.customers.get((key[0], each)) for key, each in merged.items()}
            found.customers.update((key, each) for key, each in led.items() if each is not None)
    return found


async def _read_halves(pool: Pool, wanted: Sequence[CustomerKey], by: JudgedBy) -> ReadJudged:
    middle = len(wanted) // 2
    first, second = await asyncio.gather(_read(pool, wanted[:middle], by), _read(pool, wanted[middle:], by))
    return ReadJudged({**first.customers, **second.customers}, {**first.rules, **second.rules})


async def _read(pool: Pool, wanted: Sequence[CustomerKey], by: JudgedBy) -> ReadJudged:
    team_ids = [team for team, _ in wanted]
    query = BOOK.bind(
        "read_judged",
        teams=list(set(team_ids)),
        team_ids=team_ids,
        customer_ids=[customer for _, customer in wanted],
        with_basics=by.basics,
        with_times=[field in by.times for field in TimeField],
        tags=list(by.tags) or None,
        keys=list(by.keys) or None,
        with_accounts=by.accounts,
    )
    (row,) = await fetch_alone(pool, *query)
    return ReadJudged(_judged(row, wanted), _rules(row))


def _rules(row: Mapping[str, Any]) -> dict[UUID, AudienceRules]:
    rules = {
        team: AudienceRules(zone_of(settings), {})
        for team, settings in _zipped(row, "zone_teams", "zone_settings")
    }
    for team, key, kind in _zipped(row, "key_teams", "key_names", "key_types"):
        rules[team].types[key] = AttributeType(kind)
    return rules


def _judged(row: Mapping[str, Any], wanted: Sequence[CustomerKey]) -> dict[CustomerKey, Judged]:
    """By customer; places are counted from 1."""
    tags: dict[int, frozenset[str]] = {}
    for place, tag in _zipped(row, "tag_places", "tag_texts"):
        tags[place] = tags.get(place, _NO_TAGS) | {tag}
    keys = row["key_names"]
    values: dict[int, dict[str, str]] = {}
    for place, key, text in _zipped(row, "value_places", "value_keys", "value_texts"):
        values.setdefault(place, {})[keys[key - 1]] = text
    bound: dict[int, frozenset[tuple[int, str]]] = {}
    for place, channel, account in _zipped(row, "account_places", "account_channels", "account_ids"):
        bound[place] = bound.get(place, _NO_ACCOUNTS) | {(channel, str(account)), (channel, "")}
    places = row["places"] or ()
    return {
        wanted[place - 1]: Judged(
            has_phone,
            Subject(
                basics,
                times,
                tags.get(place, _NO_TAGS),
                values.get(place, _NO_VALUES),
                bound.get(place, _NO_ACCOUNTS),
            ),
        )
        for place, has_phone, basics, times in zip(
            places,
            row["have_phones"] or (),
            _basics(row, len(places)),
            _times(row, len(places)),
            strict=True,
        )
    }


def _zipped(row: Mapping[str, Any], *columns: str) -> Iterable[tuple[Any, ...]]:
    return zip(*(row[column] or () for column in columns), strict=True)


def _basics(row: Mapping[str, Any], count: int) -> list[dict[BasicField, str]]:
    if row["phones"] is None:
        return [_NO_BASICS] * count
    return [
        {
            field: text
            for field, text in (
                (BasicField.MEMBER_ID, member_id),
                (BasicField.PHONE, phone and fold(phone)),
                (BasicField.EMAIL, email),
            )
            if text is not None
        }
        for member_id, phone, email in _zipped(row, "member_ids", "phones", "emails")
    ]


def _times(row: Mapping[str, Any], count: int) -> list[dict[TimeField, Any]]:
    read = [(field, row[column]) for field, column in _TIME_COLUMNS.items() if row[column] is not None]
    if not read:
        return [_NO_TIMES] * count
    times: list[dict[TimeField, Any]] = [{} for _ in range(count)]
    for field, column in read:
        for own, at in zip(times, column, strict=True):
            if at is not None:
                own[field] = at
    return times
