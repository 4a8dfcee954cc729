"""Following the history of another service.

What is derived from a page and the cursor after it are written in one transaction, so that each row counts exactly
once, whatever crashes. A service that does not answer is asked again, with growing waits. A row that cannot be
applied, or that a peer asked about it refuses again and again, would stop everything behind it: it is found by halving
the page, and set aside with its reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

import asyncpg
import msgspec
import structlog

from libs.common.backoff import Backoff, Retries
from libs.common.db.faults import PASSING
from libs.common.errors import ResourceExhausted, Unavailable
from libs.common.tasks import work_until

Row = TypeVar("Row")
Row_co = TypeVar("Row_co", covariant=True)
Row_contra = TypeVar("Row_contra", contravariant=True)

WAIT_S: Final = 5.0
"""How long a read waits for news, real seconds. Over rows of kinds that it does not ask for it moves its cursors when
it ends, so this is also how far behind they may stand while nothing else comes."""
REASON_LENGTH_MAX: Final = 500
AWAY: Final = (Unavailable, ResourceExhausted, *PASSING)
"""The service or the database does not answer, or not now."""
POISON: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.PLPGSQLError,
    asyncpg.ProgramLimitExceededError,
)
"""Faults of a row. Everything else (a table that is missing, say) would hit every row, and ends the service."""
REFUSED_TRIES: Final = 8
"""How often a row that a peer cannot work is tried before it is set aside, about 15 s: the fault may be the peer's."""

_BACKOFF: Final = Backoff(0.1, 5.0)
_log = structlog.get_logger(__name__)


class CursorMovedError(Exception):
    """Another process took this history further meanwhile: nothing was written, read the cursors again."""


class RefusedByPeerError(Exception):
    """A service that `apply` asks does not work the rows that it was asked about, and is not away: some row's fault, or
    one of its own that hits every row."""


class Page(NamedTuple, Generic[Row_co]):
    """Rows after the cursors, as the contract has them, and the cursors after them (partition → position)."""

    rows: Sequence[Row_co]
    cursors: Mapping[int, int]
    is_last: bool = False
    """All that was committed when it was read is known with it. False: that is not known."""


class History(Protocol[Row_co]):
    """The feed of a service. Rows are not converted while they are read: a faulty one is a fault of `apply`."""

    @property
    def name(self) -> str:
        """Of the service, for the log."""
        ...

    async def read(self, cursors: Mapping[int, int], wait_s: float, rows_max: int) -> Page[Row_co]:
        """The next page, of up to `rows_max` rows; one without rows after `wait_s` real seconds without news.

        Its cursors name the same partitions. Raises Unavailable.
        """
        ...


class Projection(Protocol[Row_contra]):
    """What is derived from a history, kept together with its cursors."""

    async def cursors(self) -> dict[int, int]:
        """Partition → position up to which the history is applied; all partitions."""
        ...

    async def apply(self, before: Mapping[int, int], page: Page[Row_contra]) -> None:
        """Writes what the rows say and moves the cursors from `before` to the page's, in one transaction.

        Raises CursorMovedError if they are not at `before` any more, RefusedByPeerError, Unavailable.
        """
        ...

    async def set_aside(self, before: Mapping[int, int], page: Page[Row_contra], reason: str) -> None:
        """Moves the cursors past a page of one row that cannot be applied, and keeps the reason (up to
        REASON_LENGTH_MAX characters) with it, in one transaction. Raises as `apply`."""
        ...


class Follower(Generic[Row]):
    """A loop that follows one history. Several processes may follow the same one: a page is applied once."""

    def __init__(
        self,
        history: History[Row],
        projection: Projection[Row],
        *,
        rows_max: int,
        few_rows: int = 0,
        linger_s: float = 0.0,
        applied: Callable[[int], None] = lambda _rows: None,
        failed: Callable[[], None] = lambda: None,
        backoff: Backoff = _BACKOFF,
    ) -> None:
        """`rows_max` is the size of a page. After a page of less than `few_rows` the follower waits for `linger_s` real
        seconds, since a page of one row costs nearly what one of hundreds does. `applied` hears of the rows of each
        page, `failed` of each attempt that failed because somebody does not answer.
        """
        self.history = history
        self.error = ""
        """Fault of the last attempt; empty after a good one."""
        self.rows_set_aside = 0
        """By this process."""
        self._projection = projection
        self._rows_max = rows_max
        self._page_rows = rows_max
        """Rows to ask for: fewer than `rows_max` while a row is looked for that cannot be applied."""
        self._few_rows = few_rows
        self._linger_s = linger_s
        self._applied = applied
        self._failed = failed
        self._retries = Retries(backoff)
        self._refusals = 0
        """On end, of the one row that is looked at."""
        self._cursors: Mapping[int, int] | None = None
        """Where the history is applied up to, as far as this process knows; None: to be asked."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Follows until `stopping` is set; what was read and not applied is read again by the next start."""
        await work_until(stopping, self._follow(), name=f"follow {self.history.name}")

    async def _follow(self) -> None:
        while True:
            try:
                rows = await self.step(WAIT_S)
            except CursorMovedError:
                continue  # another process follows, too: go on from where it is
            except (*AWAY, RefusedByPeerError) as error:
                await asyncio.sleep(self._note(error))
                continue
            self.error = ""
            self._retries.succeeded()
            if 0 < rows < self._few_rows:
                await asyncio.sleep(self._linger_s)

    async def step(self, wait_s: float) -> int:
        """Reads and applies one page; returns its rows. Raises CursorMovedError, Unavailable, and the driver's errors.

        A page that cannot be applied counts as none: the next step asks for fewer rows.
        """
        # Whatever goes wrong from here on, only the projection knows what is applied. After an empty page, too, it may
        # have been somebody else who went on.
        known, self._cursors = self._cursors, None
        before = await self._projection.cursors() if known is None else known
        page = await self.history.read(before, wait_s, self._page_rows)
        if page.cursors == before:
            return 0
        if not await self._take(before, page):
            return 0
        self._cursors = page.cursors
        self._page_rows = min(self._rows_max, self._page_rows * 2)
        self._applied(len(page.rows))
        return len(page.rows)

    async def _take(self, before: Mapping[int, int], page: Page[Row]) -> bool:
        """Whether the page is done with: applied, or its only row set aside."""
        try:
            await self._projection.apply(before, page)
        except (*POISON, RefusedByPeerError) as error:
            if not page.rows:
                raise
            if len(page.rows) > 1:
                self._page_rows = min(self._page_rows, len(page.rows)) // 2
                return False
            if isinstance(error, RefusedByPeerError):
                self._refusals += 1
                if self._refusals < REFUSED_TRIES:
                    raise
            reason = f"{type(error).__name__}: {error}"[:REASON_LENGTH_MAX]
            await self._projection.set_aside(before, page, reason)
            self.rows_set_aside += 1
            at = {p: position for p, position in page.cursors.items() if position != before[p]}
            _log.exception("a row cannot be applied; it is set aside", history=self.history.name, at=at)
        self._refusals = 0
        return True

    def _note(self, error: Exception) -> float:
        """Notes that somebody does not answer; returns how long to wait, real seconds."""
        if not self.error:
            _log.warning("history cannot be followed", history=self.history.name, error=repr(error))
        self.error = repr(error)
        self._failed()
        return self._retries.failed()
