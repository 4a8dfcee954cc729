"""Every metric of stats, with its meaning."""

from __future__ import annotations

from typing import Final

from libs.common import metrics

FACTS: Final = metrics.counter(
    "stats_facts_total", "Rows of histories counted, by the service whose history they are from.", ("source",)
)
FAULTS: Final = metrics.counter(
    "stats_feed_faults_total",
    "Reads of a history that failed and are tried again.",
    ("source",),
    remedy="Look whether that service is there; it is read on, and nothing is lost.",
)
SET_ASIDE: Final = metrics.counter(
    "stats_rows_set_aside_total",
    "Rows that could not be counted and were passed over, with their reason in stats.row_set_aside.",
    ("source",),
)
WAITING: Final = metrics.gauge(
    "stats_waiting_count",
    "Rows that waited to be counted when the lag was last asked for, 500 a history at most, 64 records.",
    remedy="Where it grows figures are behind: look at `stats_feed_faults_total`, and at the database's "
    "load.",
)
REBUILD_FAULTS: Final = metrics.counter(
    "stats_rebuild_faults_total",
    "Rebuilds of figures that failed; the figures stay as they were.",
    remedy="`GetOperation` says why; ask for the rebuild again when it is mended.",
)
FINDINGS: Final = metrics.counter(
    "stats_check_findings_total",
    "Figures that checks found different from the records; must stay 0 where nothing waits.",
)
OPENS: Final = metrics.counter(
    "stats_opens_total",
    "Nodes that LINE was asked about, how many people opened their messages, by what came of it.",
    ("outcome",),
)
ROLLED: Final = metrics.counter(
    "stats_counters_rolled_up_total",
    "Counters of quarters of an hour that were moved into those of days that are over.",
)
LOG_ARCHIVE_FAILING: Final = metrics.gauge(
    "stats_log_archive_failing_seconds",
    "For how long PostgreSQL archived nothing of its log, where it fails to; 0: it does not fail.",
)
