"""The walk of `make walk`, on a whole installation: run with `-s` to see the table."""

from pathlib import Path

import pytest

from tests.fuzz.world import world
from tests.walk.callers import KINDS
from tests.walk.walk import walk


@pytest.mark.rule("X-02a", "X-02b")
@pytest.mark.timeout(480)
async def test_nobody_learns_or_changes_anything_without_the_right_token(tmp_path: Path) -> None:
    async with world(tmp_path) as place:
        walked = await walk(place)
    print(*walked.lines(), sep="\n")
    assert walked.faults() == []
    assert all(set(row.answers) == set(KINDS) for row in walked.rows)
    # The requests were such that those who may are answered: what was refused was there.
    own = [row.own for row in walked.rows]
    assert own.count("OK") > len(own) // 2, own
    assert not {"UNAUTHENTICATED", "SCOPE_MISSING", "INTERNAL", "UNKNOWN"} & set(own)
