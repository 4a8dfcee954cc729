"""The checker: from the load's own notes and the records alone it works out what must be, and compares."""

from tests.chaos.case import Case, Evidence
from tests.chaos.check_events import check_events, check_mail, check_order
from tests.chaos.check_journeys import check_journeys
from tests.chaos.check_points import check_points
from tests.chaos.check_sends import check_sends
from tests.chaos.check_stats import check_stats
from tests.chaos.proofs import Proofs
from tests.chaos.records import Records

FAMILIES = (check_events, check_mail, check_order, check_points, check_journeys, check_sends, check_stats)


async def check(records: Records, evidence: Evidence) -> Proofs:
    """One check of a quiet installation: all proofs, good and bad."""
    case = await Case.of(records, evidence)
    for family in FAMILIES:
        await family(case)
    return case.proofs
