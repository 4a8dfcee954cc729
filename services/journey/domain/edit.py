"""What an edit may change, by status (J-05, J-06)."""

from __future__ import annotations

from libs.common.errors import FailedPrecondition, FieldViolation
from services.journey.domain.lifecycle import JourneyAction, require_allowed
from services.journey.domain.model import Channel, Definition, Journey, JourneyStatus
from services.journey.domain.validate import shape_of


def require_editable(journey: Journey, edited: Definition) -> None:
    """Raises FailedPrecondition `STATUS_FORBIDS_ACTION` or `EDIT_FORBIDDEN`, the latter naming every field."""
    require_allowed(journey, JourneyAction.EDIT)
    if journey.status is JourneyStatus.DRAFT:
        return
    present = journey.definition
    forbidden = []
    if list(shape_of(edited)) != list(shape_of(present)):
        forbidden.append(FieldViolation("nodes", "trigger, node ids, kinds and the ways between nodes stay"))
    if _channels(edited) != _channels(present):
        forbidden.append(FieldViolation("targets", "the target channels and accounts stay"))
    if journey.status is not JourneyStatus.STOPPED and edited.schedule != present.schedule:
        forbidden.append(FieldViolation("schedule", "the active time stays"))
    if edited.enrolments_per_customer_max != present.enrolments_per_customer_max:
        forbidden.append(FieldViolation("enrolments_per_customer_max", "the limit stays"))
    if forbidden:
        raise FailedPrecondition(
            "EDIT_FORBIDDEN",
            f"a journey that is {journey.status.name} does not allow these changes",
            metadata={"status": journey.status.name},
            violations=forbidden,
        )


def _channels(definition: Definition) -> list[tuple[Channel, object]]:
    return sorted((target.channel, str(target.account_id)) for target in definition.targets)
