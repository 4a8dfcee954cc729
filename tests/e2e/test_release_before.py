"""Processes of the release before work on this release's schema: its own tests pass on it."""

from pathlib import Path
from typing import Final

import pytest

from tests.e2e import older

_PLUGIN: Final = Path(__file__).parent / "newer_schema"
_TESTS: Final = (
    "channel_gateway/test_reserve_and_mark.py",
    "journey/test_turn_store.py",
    "points/test_posting.py",
    "segment/test_events.py",
    "stats/test_stats.py",
)

_PYTEST: Final = ("-m", "pytest", "-q", "-x", "-p", "omnijourney_newer_schema", "-p", "no:cacheprovider")


@pytest.mark.timeout(900)
def test_the_release_before_works_on_this_schema(tmp_path: Path) -> None:
    older.unpack(tmp_path)
    done = older.run(tmp_path, *_PYTEST, *(f"tests/integration/{name}" for name in _TESTS), beside=_PLUGIN)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
