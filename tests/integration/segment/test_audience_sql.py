"""One expression, one answer: asked one by one, as a batch, counted, listed."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from libs.common.audience.expressions import Expression
from libs.common.db.pool import Pool, open_pool, transaction
from libs.common.ids import new_id
from libs.common.text import fold
from services.segment.usecases.evaluator import AudienceEvaluator, AudienceQuestion
from tests.integration.segment.conftest import Segment
from tests.property.segment.audiences import (
    ACCOUNTS,
    NOW,
    TEXTS,
    TYPES,
    ZONES,
    every_predicate,
    expressions_in_sql,
)

_CUSTOMERS = 60
_SEED = 20_260_329


class AllMarked:
    """Everything that left is known."""

    async def catch_up(self) -> None:
        """See `MarketedTimes`."""


class NoPoints:
    """Nobody asks for points here."""

    async def balances(self, customers: object) -> dict[Any, Any]:
        """Fails."""
        raise AssertionError("the expression names no points")


def _chance(rng: random.Random, value: Any) -> Any:
    return value if rng.random() < 0.6 else None


def _customer(rng: random.Random) -> dict[str, Any]:
    """A customer with values from the same few that audiences are made of."""

    def text() -> str:
        return rng.choice(TEXTS)

    values = {
        "t": text(),
        "n": rng.choice(["-1", "0", "0.1", "1", "10", "9"]),
        "d": (NOW.date() + timedelta(days=rng.randint(-3, 3))).isoformat(),
        "b": rng.choice(["true", "false"]),
    }
    return {
        "email": _chance(rng, text()),
        "phone": _chance(rng, text()),
        "times": [_chance(rng, NOW + timedelta(hours=rng.randint(-100, 100))) for _ in range(4)],
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


@pytest.mark.rule("X-06")
async def test_sql_and_the_evaluator_agree(segment: Segment) -> None:
    for key, number in TYPES.items():
        await segment.call("CreateAttribute", attribute={"key": key, "type": number})
    pool = await open_pool(segment.dsn, name="test of audiences")
    try:
        ids = sorted(await _fill(pool, segment))
        segment.clock.set(NOW)
        evaluator = AudienceEvaluator(pool, segment.clock, NoPoints(), AllMarked())
        loop = asyncio.get_running_loop()
        zones = iter([*ZONES] * 1_000)

        async def compare(expression: Expression) -> None:
            zone = next(zones)
            await segment.call("UpdateTeam", team={"settings": {"time_zone": zone}})
            answers = await evaluator.evaluate(
                [AudienceQuestion(segment.team_id, each, expression) for each in ids]
            )
            matching = [each for each, answer in zip(ids, answers, strict=True) if answer.matches]
            listed = [
                each
                async for page in evaluator.pages(segment.team_id, expression)
                for each in page.customer_ids
            ]
            assert listed == matching
            assert await evaluator.count(segment.team_id, expression) == len(matching)

        for predicate in every_predicate():
            await compare(predicate)

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(expressions_in_sql)
        def agree(expression: Expression) -> None:
            asyncio.run_coroutine_threadsafe(compare(expression), loop).result(30)

        await asyncio.to_thread(agree)
    finally:
        await pool.close()
