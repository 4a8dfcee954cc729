"""A process of the release before finds on this schema what it calls."""

from typing import Any

import asyncpg

from tools.schema.functions import read_baseline, signatures


async def test_what_the_release_before_calls_is_there(connection: "asyncpg.Connection[Any]") -> None:
    present = {name: (now.arguments, now.result) for name, now in (await signatures(connection)).items()}
    called = {name: (old.arguments, old.result) for name, old in read_baseline().functions.items()}
    assert {name: present.get(name) for name in called} == called
