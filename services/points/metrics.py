"""Every metric of points, with its meaning."""

from __future__ import annotations

from typing import Final

from libs.common import metrics

POSTINGS: Final = metrics.counter(
    "points_postings_total",
    "Postings answered for the first time, by source and by what became of them.",
    ("source", "status"),
)
REPLAYS: Final = metrics.counter(
    "points_replays_total", "Postings answered again with what was recorded under their key."
)
REFUSALS: Final = metrics.counter(
    "points_refusals_total",
    "Postings refused because their key belongs to other content.",
    remedy="A caller uses one key for different postings: its fault, nothing is posted twice.",
)
SHORTFALL: Final = metrics.counter(
    "points_shortfall_total",
    "Points that refunds asked back and that were not there any more.",
    remedy="Customers had spent points that refunds ask back. No fault; the ledger keeps what was missing.",
)
BATCH_SIZE: Final = metrics.histogram(
    "points_batch_size_count", "Postings written by one transaction.", buckets=metrics.COUNTS
)
BATCH_SECONDS: Final = metrics.histogram(
    "points_batch_seconds", "From taking a batch of postings to its commit, repetitions included."
)
BATCH_RETRIES: Final = metrics.counter(
    "points_batch_retries_total",
    "Batches posted again because they collided with another process.",
    remedy="Many: several processes write the same accounts. No fault.",
)
WAITING: Final = metrics.gauge(
    "points_waiting_count",
    "Postings that wait to be taken into a batch.",
    remedy="Thousands of it: the database does not keep up with postings.",
)
FINDINGS: Final = metrics.counter(
    "points_check_findings_total", "Broken laws that checks of the ledger have found; must stay 0."
)
FOLLOWED: Final = metrics.counter(
    "points_customers_followed_total", "Customers whose basic data were copied after a change in segment."
)
FOLLOW_FAULTS: Final = metrics.counter(
    "points_follow_faults_total",
    "Attempts to read changes of customers that failed; they are repeated.",
    remedy="Look whether segment is there; it is read on.",
)
SET_ASIDE: Final = metrics.counter(
    "points_rows_set_aside_total",
    "Rows of segment's history that could not be applied, and were passed over.",
    remedy="The log has the row and the fault.",
)
IMPORT_FAULTS: Final = metrics.counter(
    "points_import_faults_total",
    "Imports that could not be worked on and are tried again later; see the log.",
    remedy="It is tried again; the log has the fault.",
)
IMPORTED_ROWS: Final = metrics.counter(
    "points_import_rows_total", "Rows of imports that were posted or taken back, or found impossible."
)
DROPPED: Final = metrics.counter(
    "points_outcomes_dropped_total", "Recorded outcomes that were dropped after 13 months of domain time."
)
