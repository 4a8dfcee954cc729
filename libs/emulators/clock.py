"""Time as the emulated services see it: real time, which a test may shift."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from libs.common.clock import SystemClock


class EmulatorClock:
    """Wall-clock time plus an offset; quotas, windows and retry keys go by it."""

    def __init__(self, source: Callable[[], datetime] | None = None) -> None:
        """`source` gives tz-aware UTC times; by default the system's."""
        self._source = source or SystemClock().now
        self._offset = timedelta()

    def now(self) -> datetime:
        """The emulators' present, UTC."""
        return self._source().astimezone(UTC) + self._offset

    def advance(self, by: timedelta) -> datetime:
        """Moves time forward by `by` (never back) and returns the new present."""
        if by < timedelta():
            raise ValueError("time does not run backwards")
        self._offset += by
        return self.now()
