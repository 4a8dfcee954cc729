"""Transactions that met others are done again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg
import structlog

from libs.common.backoff import Backoff
from libs.common.db.faults import COLLIDED
from libs.common.errors import Aborted

T = TypeVar("T")

ATTEMPTS: Final = 6
COLLISIONS: Final = (asyncpg.UniqueViolationError, *COLLIDED)
"""Another transaction wrote the same key first, or stood in the way."""
_BACKOFF: Final = Backoff(0.01, 0.1, spread=0.5)

_log = structlog.get_logger(__name__)


async def until_alone(
    once: Callable[[int], Awaitable[T]],
    *,
    what: str,
    collisions: tuple[type[Exception], ...] = COLLISIONS,
    attempts: int = ATTEMPTS,
    backoff: Backoff = _BACKOFF,
    collided: Callable[[], None] = lambda: None,
) -> T:
    """What `once` returns: a transaction, done again while it collides with others.

    `once` gets the number of the attempt, from 1, so that later ones can take their locks first. `what` names the work
    in the log, `collided` is called after each collision. Raises Aborted `WRITE_CONFLICT` after `attempts` collisions,
    and what `once` raises otherwise.
    """
    for attempt in range(1, attempts + 1):
        try:
            return await once(attempt)
        except collisions as error:
            collided()
            _log.info("collision", what=what, attempt=attempt, error=str(error))
            if attempt == attempts:
                _log.warning("collided again and again", what=what, attempts=attempt, exc_info=error)
                raise Aborted.write_conflict() from error
        await asyncio.sleep(backoff.delay_s(attempt))
    raise AssertionError("unreachable: the last attempt returns or raises")
