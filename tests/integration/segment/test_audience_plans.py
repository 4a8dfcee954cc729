"""By which indexes audiences are found, and customers judged.

At this size every plan is as good as another, so sequential scans are priced out of reach: what is read whole is read
so because no index has what is asked. Which index has most of it hangs on no sizes or statistics; how sets are joined
does, and is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import asyncpg
import msgspec
import pytest
from google.protobuf.json_format import ParseDict

from bench.audiences import AUDIENCES, BenchAudience
from bench.crowd import ATTRIBUTES, seed
from libs.common.audience.expressions import AttributeType
from libs.common.audience.reading import read_audience
from libs.common.ids import new_id
from libs.testing.fixtures import Database
from omnijourney.segment.v1 import audience_pb2
from services.segment.store import audience_searches, base
from services.segment.store.audience_searches import Search
from services.segment.store.audience_sets import SetCompiler, Span
from services.segment.store.audience_sql import BOOK, Scope
from tests.integration.segment.conftest import START

_CUSTOMERS: Final = 250
_COLUMN: Final = re.compile(r"\(\(?(\w+)\)?(?:::\w+)? (?:=|<|>|<=|>=) ")
_TAG: Final = "customer_tag by team_id, tag_folded"
_TEXT: Final = "customer_attribute_text by team_id, key, type, value_folded"
_NUMBER: Final = "customer_attribute_number by team_id, key, number_value"
_EVERYBODY: Final = "all of customer"
_FOUND: Final = {
    "a common tag": {_TAG},
    "a rare tag": {_TAG},
    "any of five tags": {_TAG},
    "two tags": {_TAG},
    "without a tag": {_TAG, _EVERYBODY},
    "a tier": {_TEXT},
    "a tier in a city": {_TEXT},
    "more than an amount": {_NUMBER},
    "a narrow range": {_NUMBER},
    "born in a decade": {_TEXT},
    "who takes the newsletter": {_TEXT},
    "a note with a word": {
        "customer_attribute_text by team_id, key, type",
        "customer_attribute_long_text by team_id, key, type",
    },
    "reachable by e-mail": {_EVERYBODY},
    "shopped this month": {_EVERYBODY},
    "tagged, rich, not lately": {_TAG, _NUMBER, _EVERYBODY},
    "either of three": {_TAG, _NUMBER, _TEXT},
    "many points": {"all of customer_points"},
    "few points, or none": {"all of customer_points", _EVERYBODY},
    "points in a tier": {"all of customer_points", _TEXT},
    "bound to LINE, a city, a tag": {"identity by team_id, channel", _TEXT, _TAG},
}
"""What each audience reads: which index of values, else the table, by which columns."""
_SCOPE: Final = Scope({key: AttributeType(kind) for key, kind in ATTRIBUTES.items()}, START, "Asia/Taipei")
_JUDGED: Final = {
    "customer by team_id, customer_id",
    "customer_tag by team_id, tag_folded, customer_id",
    "customer_attribute_pkey by team_id, customer_id, key",
    "identity by team_id, customer_id",
    "attribute by team_id, key",
    "team by team_id",
}


async def test_audiences_are_found_and_customers_judged_by_indexes(database: Database) -> None:
    team_id = new_id()
    async with asyncpg.create_pool(database.admin_dsn, min_size=1, max_size=1) as admin:
        await seed(admin, team_id, _CUSTOMERS, START)
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        await connection.execute(
            f"SET search_path = segment; SET enable_seqscan = off; SET omnijourney.teams = '{{{team_id}}}'"
        )
        async with connection.transaction():
            await connection.execute(BOOK["plan_sets"])
            found = {each.name: await _set_reads(connection, team_id, each) for each in AUDIENCES}
        await connection.execute(
            "INSERT INTO attribute VALUES ($1, 'spent', 'Spent', 2, false, 1, $2, $2)", team_id, START
        )
        judged = await _judging_reads(connection, team_id)
    finally:
        await connection.close()
    assert found == _FOUND
    assert judged == _JUDGED


async def test_only_what_looks_at_everybody_is_counted_by_two_processes(database: Database) -> None:
    connection = await asyncpg.connect(database.admin_dsn)
    team_id = new_id()
    try:
        await connection.execute(
            f"SET search_path = segment; SET omnijourney.teams = '{{{team_id}}}';"
            "SET max_parallel_workers_per_gather = 0"
        )
        # Whatever may be done by others is, at any size.
        await connection.execute(f"SET {await _forcing_parallel(connection)} = on")
        by_two = {each.name for each in AUDIENCES if await _is_counted_by_two(connection, team_id, each)}
    finally:
        await connection.close()
    whole = {name for name, read in _FOUND.items() if any(each.startswith("all of") for each in read)}
    assert by_two == (whole - {"without a tag"}) | {"a note with a word"}


async def test_what_indexes_hand_out_in_order_is_counted_in_halves(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each half is read by bounds of the same index, so that both together cost what one would."""
    monkeypatch.setattr(audience_searches, "HALVED_FROM", _CUSTOMERS // 2)
    monkeypatch.setattr(audience_searches, "SAMPLED_PERCENT", 100)
    team_id = new_id()
    async with asyncpg.create_pool(database.admin_dsn, min_size=1, max_size=1) as admin:
        await seed(admin, team_id, _CUSTOMERS, START)
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        await connection.execute(f"SET search_path = segment; SET omnijourney.teams = '{{{team_id}}}'")
        ids = [row[0] for row in await connection.fetch("SELECT customer_id FROM customer ORDER BY 1")]
        halved = set()
        for each in AUDIENCES:
            expression = read_audience(ParseDict(each.form, audience_pb2.Audience())).expression
            async with connection.transaction():
                search = Search(connection, team_id, expression, _SCOPE)
                middle = await search.middle()
                if middle is not None:
                    halved.add(each.name)
                    assert middle == ids[_CUSTOMERS // 2 - 1]
                    halves = [await search.count(half) for half in (Span(until=middle), Span(after=middle))]
                    assert sum(halves) == await search.count(Span())
                    monkeypatch.setattr(audience_searches, "HALVED_FROM", _CUSTOMERS + 1)
                    assert await search.middle() is None
                    monkeypatch.setattr(audience_searches, "HALVED_FROM", _CUSTOMERS // 2)
    finally:
        await connection.close()
    equal = {name for name, read in _FOUND.items() if read <= {_TAG, _TEXT, "identity by team_id, channel"}}
    assert halved == equal - {"born in a decade"} | {"without a tag"}


async def _forcing_parallel(connection: Any) -> str:
    """The setting, which has another name since PostgreSQL 16."""
    version: int = await connection.fetchval("SELECT current_setting('server_version_num')::integer")
    return "debug_parallel_query" if version >= 160_000 else "force_parallel_mode"


async def _is_counted_by_two(connection: Any, team_id: Any, audience: BenchAudience) -> bool:
    expression = read_audience(ParseDict(audience.form, audience_pb2.Audience())).expression
    async with connection.transaction():
        plans = await _plans(
            connection, lambda: Search(connection, team_id, expression, _SCOPE).count(Span())
        )
    return any("Workers Planned" in plan for plan in plans)


async def _set_reads(connection: Any, team_id: Any, audience: BenchAudience) -> set[str]:
    compiler = SetCompiler(team_id, _SCOPE, Span())
    sql = compiler.count(read_audience(ParseDict(audience.form, audience_pb2.Audience())).expression)
    return _reads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *compiler.arguments))


async def _judging_reads(connection: Any, team_id: Any) -> set[str]:
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    ids = [row[0] for row in await connection.fetch("SELECT customer_id FROM customer")]
    query = base.BOOK.bind(
        "read_judged",
        teams=[team_id],
        team_ids=[team_id] * len(ids),
        customer_ids=ids,
        with_basics=True,
        with_times=[True] * 4,
        tags=["tag-001"],
        keys=["spent"],
        with_accounts=True,
    )
    await connection.fetch(*query)  # the driver asks for types before it first sends this
    return set().union(*map(_reads, await _plans(connection, lambda: connection.fetch(*query))))


async def _plans(connection: Any, work: Callable[[], Awaitable[Any]]) -> list[str]:
    """Of all statements, as the server itself tells: some are within functions."""
    messages: list[str] = []

    def note(_: Any, message: Any) -> None:
        messages.append(message.message)

    await connection.execute(
        "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_format = json;"
        "SET auto_explain.log_nested_statements = on; SET client_min_messages = log"
    )
    connection.add_log_listener(note)
    await work()
    await connection.execute("SELECT")  # the driver hands messages on later
    connection.remove_log_listener(note)
    return [message.partition("plan:\n")[2] for message in messages if "plan:\n" in message]


def _reads(plan: str) -> set[str]:
    decoded = msgspec.json.decode(plan)
    return set(_scans(decoded[0]["Plan"] if isinstance(decoded, list) else decoded["Plan"], ""))


def _scans(plan: dict[str, Any], within: str) -> Iterator[str]:
    """What each scan of a plan reads; of a bitmap its parent says of which table."""
    table = plan.get("Relation Name", within)
    if "Index Name" in plan:
        columns = dict.fromkeys(_COLUMN.findall(plan.get("Index Cond", "")))
        source = plan["Index Name"] if table == "customer_attribute" else table
        yield (
            f"{source} by {', '.join(columns)}"
            if columns.keys() - {"team_id"} or table == "team"
            else f"all of {table}"
        )
    elif plan["Node Type"] == "Seq Scan":
        yield f"all of {table}"
    for child in plan.get("Plans", ()):
        yield from _scans(child, table)
