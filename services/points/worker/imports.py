"""The importer: goes on with imports until each has ended, from wherever a crash left it."""

from __future__ import annotations

from typing import Final

from libs.common.db.faults import PASSING
from libs.common.errors import ResourceExhausted
from libs.common.feeds.notifier import CommitNotifier
from libs.common.rpc.operations import Progress
from libs.common.stepping import Steps, StepWorker
from services.points import metrics
from services.points.domain.errors import LedgerChangedError

IMPORT_PASSING: Final = (LedgerChangedError, ResourceExhausted, *PASSING)
"""Another process posted the chunk first, or the database is away: try again."""


def importer_of(imports: Steps, notifier: CommitNotifier, progress: Progress) -> StepWorker:
    """Works on imports that are RUNNING or UNDOING, a chunk a step. `notifier` is notified after each chunk."""

    def done(rows: int) -> None:
        notifier.notify()
        metrics.IMPORTED_ROWS.inc(rows)

    return StepWorker(
        "import", imports, progress, passing=IMPORT_PASSING, done=done, failed=metrics.IMPORT_FAULTS.inc
    )
