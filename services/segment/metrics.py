"""Metrics of segment."""

from __future__ import annotations

from typing import Final

from libs.common import metrics

EVENTS: Final = metrics.counter(
    "segment_events_total", "Reported events by what became of them.", ("status",)
)
CHANGES: Final = metrics.counter(
    "segment_changes_total", "Effects of journeys by what became of them.", ("status",)
)
FACTS: Final = metrics.counter("segment_facts_total", "Facts written to the history.")
EVALUATIONS: Final = metrics.counter("segment_evaluations_total", "Customers judged by audiences.")
BATCH_SIZE: Final = metrics.histogram(
    "segment_batch_count", "Items in one transaction.", ("kind",), buckets=metrics.COUNTS
)
BATCH_DURATION: Final = metrics.histogram(
    "segment_batch_seconds", "From the begin of a batch's transaction to its commit.", ("kind",)
)
COLLISIONS: Final = metrics.counter(
    "segment_collisions_total",
    "Batches done again because another transaction was faster.",
    ("kind",),
    remedy="Many: several processes write the same customers. No fault.",
)
MARKETED: Final = metrics.counter(
    "segment_marks_total", "Customers of whom the gateway's history said that a message left."
)
MARKETED_FAULTS: Final = metrics.counter(
    "segment_mark_faults_total",
    "Attempts to follow the gateway's history that failed.",
    remedy="Look whether the gateway is there; it is read on.",
)
MARKETED_SET_ASIDE: Final = metrics.counter(
    "segment_marks_set_aside_total",
    "Rows of the gateway's history from which no time could be taken.",
    remedy="The log has the row and the fault; audiences by last message miss it.",
)
CHANGED_CUSTOMERS: Final = metrics.counter(
    "segment_changed_customers_total", "Customers whose turn came in a change of an audience."
)
AUDIENCE_CHANGE_FAULTS: Final = metrics.counter(
    "segment_audience_change_faults_total",
    "Steps of changes of audiences that failed.",
    remedy="The step is taken again; the log has the fault.",
)
POINTS: Final = metrics.counter(
    "segment_points_total", "Entries of the ledger that were added to what audiences count."
)
POINTS_FAULTS: Final = metrics.counter(
    "segment_points_faults_total",
    "Attempts to follow the ledger's history that failed.",
    remedy="Look whether points is there; it is read on.",
)
POINTS_SET_ASIDE: Final = metrics.counter(
    "segment_points_set_aside_total",
    "Entries of the ledger that could not be added.",
    remedy="The log has the row and the fault; audiences by points may miss it.",
)
MAIL_PENDING: Final = metrics.gauge(
    "segment_mail_pending_count",
    "Mails committed and not yet delivered.",
    remedy="Where it grows journey does not keep up, or its mailboxes are full.",
)
MAIL_BACKLOG: Final = metrics.gauge(
    "segment_mail_backlog_count",
    "History rows committed and not yet delivered as mail.",
    remedy="Where it grows look at the mailbox servers, and at `segment_mail_held_partitions_count`.",
)
MAIL_HELD: Final = metrics.gauge(
    "segment_mail_held_partitions_count", "Partitions that get no mail, since their mailboxes are full."
)
ERASED: Final = metrics.counter("segment_persons_erased_total", "Persons who were erased everywhere.")
ERASURE_FAULTS: Final = metrics.counter(
    "segment_erasure_faults_total",
    "Steps of erasures that failed by a fault of their own, and are taken again; see the log.",
    remedy="The step is taken again; the log has the fault.",
)
TEXTS_FORGOTTEN: Final = metrics.counter(
    "segment_texts_forgotten_total",
    "Messages whose texts were kept for long enough and taken out of the history.",
)
MERGE_FAULTS: Final = metrics.counter(
    "segment_merge_faults_total",
    "Steps of merges of customers that failed by a fault of their own; they are taken again.",
    remedy="The step is taken again; the log has the fault.",
)
IMPORTED_LINES: Final = metrics.counter(
    "segment_import_lines_total", "Lines of contact imports that were applied, or found impossible."
)
IMPORT_FAULTS: Final = metrics.counter(
    "segment_import_faults_total",
    "Contact imports that could not be worked on and are tried again later; see the log.",
    remedy="It is tried again; the log has the fault.",
)
