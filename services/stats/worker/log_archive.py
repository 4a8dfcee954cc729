"""Whether PostgreSQL archives its log: what it cannot archive it keeps, until its disk is full. One service says it."""

from __future__ import annotations

from libs.common.db.archive import archive_state
from libs.common.db.pool import Pool
from services.stats import metrics


async def measure_log_archive(pool: Pool) -> None:
    """Shows for how long it fails. Raises the driver's errors."""
    state = await archive_state(pool)
    metrics.LOG_ARCHIVE_FAILING.set(state.age_s if state.failing else 0.0)
