"""Every metric of the journey service."""

from __future__ import annotations

from libs.common.metrics import counter, gauge, histogram

TURNS = counter("journey_turns_total", "Customers' turns that were committed.")
TURNS_REPEATED = counter(
    "journey_turns_repeated_total",
    "Turns run again at once because a journey or the actor was changed under them.",
)
TURNS_RESIDENT = counter(
    "journey_turns_resident_total",
    "Turns that began with what the worker itself had committed, without a load.",
)
RESIDENT_BYTES = gauge("journey_resident_actors_bytes", "About what remembered actors take in memory.")
TURNS_FAILED = counter(
    "journey_turns_failed_total",
    "Customers' turns that failed and are tried again.",
    remedy="Turns are tried again, and set aside after repeated faults. The log has the fault.",
)
BATCH_SIZE = histogram(
    "journey_batch_customers_count",
    "Customers in a batch of turns.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
BATCH_SECONDS = histogram(
    "journey_batch_seconds",
    "Real time from taking a batch to its commit.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
    remedy="Seconds of it: the database is slow, or short of connections.",
)
MAILS = counter("journey_mails_total", "Mail taken by actors.")
MAIL_GAPS = counter(
    "journey_mail_gaps_total",
    "Gaps in mail that were fetched from its source.",
    remedy="None is lost. Many: the mailbox servers lose writes; look at their memory and persistence.",
)
MAIL_REPAIRED = counter(
    "journey_mails_repaired_total", "Mail delivered again when a partition was taken over."
)
ENROLMENTS = counter("journey_enrolments_total", "Enrolments.")
REFUSALS = counter(
    "journey_refusals_total",
    "Triggers that met all conditions and did not enrol, by the limit that was in the way.",
    ["reason"],
)
NODES = counter("journey_nodes_entered_total", "Nodes that customers entered.")
PARKED = counter("journey_customers_parked_total", "Customers set aside after repeated faults.")
TIMER_LATENESS = histogram(
    "journey_timer_lateness_seconds",
    "From the time that a timer is due to the turn that takes it up, by the installation's clock.",
    remedy="Seconds of it: start one more process of journey, or look at the database's load.",
)
MAIL_WAITS = histogram(
    "journey_mail_wait_seconds",
    "Of each take of mailboxes, how long the mail that waited longest had been there.",
    remedy="Seconds of it: start one more process of journey, or look at the database's load.",
)
MAILBOXES = gauge(
    "journey_mailbox_customers_count",
    "Customers with mail in all mailboxes, by where they stand.",
    ("stage",),
)
PARTITIONS = gauge("journey_partitions_owned_count", "Partitions that this worker owns.")
SCHEDULE_FAULTS = counter(
    "journey_schedule_faults_total",
    "Looks at a journey that could not follow its schedule, and is looked at again; see the log.",
    remedy="It is looked at again; the log names the journey and the fault.",
)
BRAKES_FAILED = counter(
    "journey_brakes_failed_total",
    "Times that the gateway did not acknowledge that it sends nothing more of a stopping journey; it is asked again.",
    remedy="Look whether the gateway is there: the journey is stopped when it has acknowledged it.",
)
STATUS_CHANGES = counter("journey_status_changes_total", "Journeys that changed their status by themselves.")
ORPHANS = gauge(
    "journey_orphans_count",
    "Live enrolments of this worker's partitions that nothing would wake, as last seen.",
)
ORPHANS_FOUND = counter("journey_orphans_found_total", "Live enrolments found that nothing would wake.")
ORPHANS_HEALED = counter("journey_orphans_healed_total", "Of those, how many a turn has moved on.")
MAIL_BACKLOG = gauge(
    "journey_mail_backlog_count",
    "System triggers recorded and not yet delivered as mail.",
    remedy="Where it grows look at the mailbox servers, and at `journey_mail_held_partitions_count`.",
)
MAIL_HELD = gauge(
    "journey_mail_held_partitions_count",
    "Partitions that get no system triggers, since their mailboxes are full.",
    remedy="Start one more process of journey, or look why its turns are slow.",
)
GONE_FAULTS = counter(
    "journey_gone_faults_total",
    "Failed attempts to follow what is gone at gateway and segment.",
    remedy="Look whether gateway and segment are there: journeys that name what is gone stop when it is "
    "read.",
)
GONE_SET_ASIDE = counter(
    "journey_gone_rows_set_aside_total",
    "Rows of their histories that could not be applied; see the log.",
    remedy="The log has the row and the fault; stop journeys that name it by hand.",
)
INDEX_FAULTS = counter(
    "journey_index_faults_total",
    "Journeys of which it could not be noted what they name, and are looked at again.",
    remedy="They are looked at again; the log has the fault.",
)
SIMULATION_FAULTS = counter(
    "journey_simulation_faults_total",
    "Simulations that failed by a fault of their own; see the log.",
    remedy="Ask for the simulation again; the log has the fault.",
)
AUDIENCE_CUSTOMERS_TRIGGERED = counter(
    "journey_audience_customers_triggered_total", "Customers who were triggered as part of an audience."
)
AUDIENCE_TRIGGER_FAULTS = counter(
    "journey_audience_trigger_faults_total",
    "Steps of audience triggers that failed by a fault of their own, and are taken again; see the log.",
    remedy="The step is taken again; the log has the fault.",
)
