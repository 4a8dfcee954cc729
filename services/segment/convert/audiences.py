"""Faults of audiences to the contract. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from libs.common.audience.faults import Fault
from omnijourney.internal.v1 import reference_pb2
from services.segment.convert.checks import reason_number


def audience_findings(faults: Iterable[Fault]) -> reference_pb2.AudienceFindings:
    """All faults of one audience."""
    return reference_pb2.AudienceFindings(
        faults=[
            reference_pb2.ReferenceFault(
                field=fault.path, reason=reason_number(fault.reason), message=fault.message
            )
            for fault in faults
        ]
    )
