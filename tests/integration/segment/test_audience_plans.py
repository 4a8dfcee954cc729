"""By which plans audiences are counted and their first pages found: kept beside this file, and compared in shape.

Costs and times are left out. The customers are the same ones each time and all of them are sampled, so that the
planner is told the same; tables are read whole only where there is no other way. To keep other plans, because they are
better: `KEEP_PLANS=1` in the environment of this test.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest
from google.protobuf.json_format import ParseDict

from bench.audiences import AUDIENCES
from bench.crowd import ATTRIBUTES, seed
from libs.common.audience.expressions import AttributeType, Expression
from libs.common.audience.reading import read_audience
from libs.testing.fixtures import Database
from omnijourney.segment.v1 import audience_pb2
from services.segment.store.audience_sets import SetCompiler, Span
from services.segment.store.audience_sql import BOOK, Compiler, Scope

KEPT: Final = Path(__file__).with_name("audience_plans.txt")
TEAM: Final = UUID("01890000-0000-7000-8000-000000000001")
NOW: Final = datetime(2026, 6, 1, tzinfo=UTC)
CUSTOMERS: Final = 2_000
SCOPE: Final = Scope({key: AttributeType(kind) for key, kind in ATTRIBUTES.items()}, NOW, "Asia/Taipei")


def _lines(node: Mapping[str, Any]) -> Iterator[str]:
    """A node with what it reads and by which index; what reads nothing, or only passes rows on, is left out."""
    plans = [list(_lines(each)) for each in node.get("Plans", ())]
    name = node.get("Index Name") or node.get("Relation Name")
    if node["Node Type"] in {"Result", "Materialize", "Subquery Scan"} or not (name or any(plans)):
        yield from (line for plan in plans for line in plan)
        return
    join = f" {node['Join Type']}" if "Join Type" in node else ""
    yield node["Node Type"] + join + (f" {name}" if name else "")
    yield from ("  " + line for plan in plans for line in plan)


async def _explained(connection: Any, settings: str, sql: str, arguments: Any) -> str:
    async with connection.transaction():
        await connection.execute(f"SELECT set_config('omnijourney.teams', '{{{TEAM.hex}}}', true)")
        await connection.execute(BOOK[settings])
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = json.loads(await connection.fetchval(f"EXPLAIN (COSTS OFF, FORMAT JSON) {sql}", *arguments))
    return "\n".join(f"  {line}" for line in _lines(plan[0]["Plan"]))


async def _plans(connection: Any, expression: Expression, until: UUID) -> dict[str, str]:
    """Of the whole team: counted; of the first customers: those who are in it."""
    counting, paging = SetCompiler(TEAM, SCOPE, Span()), Compiler(SCOPE)
    page = paging.window(expression, team=TEAM, after=UUID(int=0), until=until, limit=50)
    asked: dict[str, tuple[str, str, SetCompiler | Compiler]] = {
        "counted": ("plan_sets", counting.count(expression), counting),
        "first page": ("plan_window", page, paging),
    }
    return {
        what: await _explained(connection, settings, sql, compiler.arguments)
        for what, (settings, sql, compiler) in asked.items()
    }


@pytest.mark.rule("S-03b")
async def test_audiences_are_found_by_the_plans_that_were_kept(database: Database) -> None:
    sections = []
    async with asyncpg.create_pool(
        database.admin_dsn, min_size=1, max_size=1, server_settings={"search_path": "segment,public"}
    ) as pool:
        await seed(pool, TEAM, CUSTOMERS, NOW)
        async with pool.acquire() as connection:
            until = await connection.fetchval("SELECT id FROM bench_crowd ORDER BY id OFFSET 100 LIMIT 1")
            for named in AUDIENCES:
                reading = read_audience(ParseDict(named.form, audience_pb2.Audience()))
                assert reading.expression is not None
                plans = await _plans(connection, reading.expression, until)
                sections += [f"{named.name}, {what}\n{plan}\n" for what, plan in plans.items()]
    found = "\n".join(sections)
    if os.environ.get("KEEP_PLANS"):
        KEPT.write_text(found, encoding="utf-8")
    assert found == KEPT.read_text(encoding="utf-8")
