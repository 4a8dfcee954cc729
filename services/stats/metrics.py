"""Every metric of stats."""

from __future__ import annotations

from libs.common.metrics import counter

FACTS = counter(
    "stats_facts_total", "Facts counted, by the service whose history they are from.", ("source",)
)
FAULTS = counter(
    "stats_feed_faults_total", "Reads of a history that failed and are tried again.", ("source",)
)
