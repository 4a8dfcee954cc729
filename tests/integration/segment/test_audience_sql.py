"""One expression, one answer: asked one by one, as a batch, counted, listed."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import HealthCheck, given, seed, settings

from libs.common.audience.evaluation import evaluate
from libs.common.audience.expressions import AttributeType, Balance, Expression
from libs.common.audience.memberships import expanded, named_audiences
from libs.common.db.pool import Pool, open_pool, transaction
from libs.common.ids import CustomerKey, new_id
from libs.common.text import fold
from omnijourney.segment.v1 import audience_pb2
from services.segment.store import audience_searches, judged
from services.segment.store.audiences import insert_audience
from services.segment.usecases.evaluator import AudienceEvaluator, AudienceQuestion
from tests.integration.segment.conftest import Segment
from tests.property.segment.audiences import (
    ACCOUNTS,
    DAYS,
    EDGES,
    NOW,
    NUMBERS,
    SAVED,
    SAVED_FORMS,
    TEXTS,
    TYPES,
    ZONES,
    every_predicate,
    subject_of,
    unexpanded,
)

_CUSTOMERS = 60
_SEED = int(os.environ.get("AUDIENCE_SEED", "20260329"))
"""Draws the customers and the expressions: another one draws others."""
_PAIRS = int(os.environ.get("AUDIENCE_PAIRS", "3600"))
"""Random pairs of an expression and a customer, beside those of every predicate with every operator."""


class AllKnown:
    """Everything that other services told is known."""

    async def catch_up(self) -> None:
        """See `Followed`."""


class SomePoints:
    """Who has how many points."""

    def __init__(self, balances: dict[CustomerKey, Balance]) -> None:
        self._balances = balances

    async def balances(self, customers: Sequence[CustomerKey]) -> dict[CustomerKey, Balance]:
        """Of those asked for that have any."""
        return {key: self._balances[key] for key in customers if key in self._balances}


def _chance(rng: random.Random, value: Any) -> Any:
    return value if rng.random() < 0.6 else None


def _customer(rng: random.Random) -> dict[str, Any]:
    """A customer with values from the same few that audiences are made of."""

    def text() -> str:
        return rng.choice(TEXTS)

    values = {
        "t": text(),
        "n": rng.choice(NUMBERS),
        "d": rng.choice([*DAYS, *((NOW.date() + timedelta(days=days)).isoformat() for days in range(-3, 4))]),
        "b": rng.choice(["true", "false"]),
    }
    return {
        "email": _chance(rng, text()),
        "phone": _chance(rng, text()),
        "times": [
            _chance(rng, rng.choice([*EDGES, NOW + timedelta(hours=rng.randint(-100, 100))]))
            for _ in range(4)
        ],
        "tags": {fold(tag): tag for tag in rng.sample(TEXTS, rng.randint(0, 4))},
        "values": {key: value for key, value in values.items() if rng.random() < 0.7},
        "bound": {(rng.randint(1, 2), rng.choice(ACCOUNTS)) for _ in range(rng.randint(0, 2))},
    }


async def _fill(pool: Pool, segment: Segment) -> list[Any]:
    """Written as rows: what has no form that an RPC would take is asked for as well."""
    rng = random.Random(_SEED)
    print(f"SEED={_SEED}")
    team = segment.team_id
    ids = [new_id() for _ in range(_CUSTOMERS)]
    async with transaction(pool, [team]) as connection:
        for number, customer_id in enumerate(ids):
            customer = _customer(rng)
            member_id = f"{rng.choice(TEXTS)}{number}" if rng.random() < 0.7 else None
            email = customer["email"]
            await connection.execute(
                "INSERT INTO customer VALUES ($1,$2,$3,$4,'','',$5,$6,$7,$8,$9,$10,$11,0,1,$12,$12)",
                *(team, customer_id, member_id, member_id and fold(member_id)),
                *(customer["phone"] and fold(customer["phone"]), email, email and fold(email)),
                *customer["times"],
                NOW,
            )
            for folded, tag in customer["tags"].items():
                await connection.execute(
                    "INSERT INTO customer_tag VALUES ($1,$2,$3,$4,$5)", team, customer_id, folded, tag, NOW
                )
            for key, value in customer["values"].items():
                # Some values are of a type before: they are not seen.
                kind = TYPES[key] if rng.random() < 0.9 else 4
                number_value = Decimal(value) if kind == 2 else None
                await connection.execute(
                    "INSERT INTO customer_attribute VALUES ($1,$2,$3,$4,$5,$6,$7)",
                    *(team, customer_id, key, kind, value, fold(value), number_value),
                )
            for channel, account in customer["bound"]:
                await connection.execute(
                    "INSERT INTO identity VALUES ($1,$2,$3,$4,$5,false,$6)",
                    *(team, channel, account, str(number), customer_id, NOW),
                )
    return ids


async def _save_audiences(pool: Pool, segment: Segment) -> None:
    async with transaction(pool, [segment.team_id]) as connection:
        for audience_id, form in SAVED_FORMS.items():
            written = ParseDict(form, audience_pb2.Audience()).SerializeToString()
            named = map(UUID, named_audiences(SAVED[audience_id]))
            await insert_audience(
                connection, segment.team_id, UUID(audience_id), audience_id, written, named=named, now=NOW
            )


@pytest.mark.rule("S-03b")
@pytest.mark.rule("X-06")
async def test_one_expression_has_one_answer_in_every_form(
    segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory, one by one, over ids, in SQL listed from the beginning and resumed, and counted; points included."""
    monkeypatch.setattr(judged, "HALVED_FROM", _CUSTOMERS)
    for key, number in TYPES.items():
        await segment.call("CreateAttribute", attribute={"key": key, "type": number})
    pool = await open_pool(segment.dsn, name="test of audiences")
    try:
        # Some rows are spelled as nothing that comes in is: who searches for such would change them meanwhile.
        await pool.execute("DELETE FROM spelling_search")
        await _save_audiences(pool, segment)
        ids = sorted(await _fill(pool, segment))
        segment.clock.set(NOW)
        rng = random.Random(_SEED)
        points = {(segment.team_id, each): Balance(rng.randint(0, 3), rng.randint(0, 3)) for each in ids[::2]}
        async with transaction(pool, [segment.team_id]) as connection:
            rows = [(*key, *balance) for key, balance in points.items()]
            await connection.executemany("INSERT INTO customer_points VALUES ($1, $2, $3, $4, false)", rows)
        known = AllKnown()
        evaluator = AudienceEvaluator(
            pool, segment.clock, SomePoints(points), marketed=known, points_of_all=known
        )
        types = {key: AttributeType(number) for key, number in TYPES.items()}
        subjects = [
            subject_of(view, types, points.get((segment.team_id, view.customer.customer_id), Balance(0, 0)))
            for view in await evaluator.views(segment.team_id, ids)
        ]
        seen = 0
        loop = asyncio.get_running_loop()
        zones = iter([*ZONES] * 1_000)

        async def compare(named: Expression) -> None:
            nonlocal seen
            zone = next(zones)
            await segment.call("UpdateTeam", team={"settings": {"time_zone": zone}})
            expression = expanded(named, SAVED)
            in_memory = [
                each
                for each, subject in zip(ids, subjects, strict=True)
                if evaluate(expression, subject, NOW, zone)
            ]
            answers = await evaluator.evaluate(
                [AudienceQuestion(segment.team_id, each, named) for each in ids]
            )
            matching = [each for each, answer in zip(ids, answers, strict=True) if answer.matches]
            listed = [
                UUID(each) async for page in evaluator.pages(segment.team_id, expression) for each in page
            ]
            assert in_memory == matching
            assert listed == matching
            assert await evaluator.first(segment.team_id, expression, None, len(ids)) == matching
            if matching:
                middle = matching[len(matching) // 2]
                resumed = [
                    UUID(each)
                    async for page in evaluator.pages(segment.team_id, expression, middle)
                    for each in page
                ]
                assert resumed == matching[len(matching) // 2 + 1 :]
                first = await evaluator.first(segment.team_id, expression, middle, 3)
                assert first == matching[len(matching) // 2 + 1 :][:3]
            seen += len(ids)
            assert await evaluator.count(segment.team_id, expression) == len(matching)

        with monkeypatch.context() as halved:
            halved.setattr(audience_searches, "HALVED_FROM", _CUSTOMERS // 2)
            halved.setattr(audience_searches, "SAMPLED_PERCENT", 100)
            for predicate in every_predicate():
                await compare(predicate)

        @settings(
            max_examples=_PAIRS // _CUSTOMERS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @seed(_SEED)
        @given(unexpanded)
        def agree(expression: Expression) -> None:
            asyncio.run_coroutine_threadsafe(compare(expression), loop).result(30)

        before = seen
        await asyncio.to_thread(agree)
        assert seen - before >= _PAIRS // 2  # what was drawn twice is not asked again
        print(f"{seen} pairs, {seen - before} of them at random")
    finally:
        await pool.close()
