"""Customers as audiences judge them: no more of them is read than the audiences name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any
from uuid import UUID

from libs.common.audience.expressions import AttributeType, BasicField, Subject, TimeField
from libs.common.db.pool import Pool, fetch_alone, transaction
from libs.common.ids import CustomerKey
from libs.common.text import fold
from services.segment.domain.views import Judged, JudgedBy
from services.segment.store.base import BOOK
from services.segment.store.merged import merged_customers

_NOTHING: tuple[Any, ...] = ()


async def read_judged(
    pool: Pool, keys: Iterable[CustomerKey], by: JudgedBy, types: Mapping[UUID, Mapping[str, AttributeType]]
) -> dict[CustomerKey, Judged]:
    """Customers in one statement; of those who were merged the one that they were merged into, those who are not there
    are left out. `types` are those of each team's active attributes: values that were set under others are none."""
    distinct = set(keys)
    found = await _read(pool, distinct, by, types)
    if missing := distinct - found.keys():
        async with transaction(pool, {team for team, _ in missing}) as connection:
            merged = await merged_customers(connection, missing)
        if merged:
            survivors = await _read(pool, {(key[0], each) for key, each in merged.items()}, by, types)
            led = {key: survivors.get((key[0], each)) for key, each in merged.items()}
            found.update((key, each) for key, each in led.items() if each is not None)
    return found


async def _read(
    pool: Pool,
    keys: AbstractSet[CustomerKey],
    by: JudgedBy,
    types: Mapping[UUID, Mapping[str, AttributeType]],
) -> dict[CustomerKey, Judged]:
    wanted = list(keys)
    teams = list({team for team, _ in wanted})
    values = [
        (team, key, kind) for team in teams for key in by.keys if (kind := types.get(team, {}).get(key))
    ]
    query = BOOK.bind(
        "read_judged",
        teams=teams,
        wanted=wanted,
        with_basics=by.basics,
        with_times=by.times,
        tags=list(by.tags) or None,
        key_teams=[team for team, _, _ in values],
        keys=[key for _, key, _ in values] or None,
        key_types=[int(kind) for _, _, kind in values],
        with_accounts=by.accounts,
    )
    (row,) = await fetch_alone(pool, *query)
    return _judged(row, wanted, [key for _, key, _ in values])


def _judged(row: Mapping[str, Any], wanted: list[CustomerKey], keys: list[str]) -> dict[CustomerKey, Judged]:
    """By customer; places are counted from 1."""
    tags: dict[int, list[str]] = {}
    for place, tag in _zipped(row, "tag_places", "tag_texts"):
        tags.setdefault(place, []).append(tag)
    values: dict[int, dict[str, str]] = {}
    for place, key, text in _zipped(row, "value_places", "value_keys", "value_texts"):
        values.setdefault(place, {})[keys[key - 1]] = text
    bound: dict[int, set[tuple[int, str]]] = {}
    for place, channel, account in _zipped(row, "account_places", "account_channels", "account_ids"):
        bound.setdefault(place, set()).update(((channel, str(account)), (channel, "")))
    places = row["places"] or _NOTHING
    basics = _basics(row, len(places))
    times = _times(row, len(places))
    return {
        wanted[place - 1]: Judged(
            has_phone,
            Subject(
                basics[index],
                times[index],
                frozenset(tags.get(place, _NOTHING)),
                values.get(place, {}),
                frozenset(bound.get(place, _NOTHING)),
            ),
        )
        for index, (place, has_phone) in enumerate(zip(places, row["have_phones"] or _NOTHING, strict=True))
    }


def _zipped(row: Mapping[str, Any], *columns: str) -> Iterable[tuple[Any, ...]]:
    return zip(*(row[column] or _NOTHING for column in columns), strict=True)


def _basics(row: Mapping[str, Any], count: int) -> list[dict[BasicField, str]]:
    if row["phones"] is None:
        return [{}] * count
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
    if row["checkout_times"] is None:
        return [{}] * count
    columns = ("customer_interact_times", "team_interact_times", "marketed_times", "checkout_times")
    return [
        {field: at for field, at in zip(TimeField, each, strict=True) if at is not None}
        for each in _zipped(row, *columns)
    ]
