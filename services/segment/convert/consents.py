"""Consents: domain → messages."""

from __future__ import annotations

from libs.common.rpc.values import timestamp
from omnijourney.segment.v1 import consent_pb2
from services.segment.domain.consents import Consent, ConsentChange


def consent_message(consent: Consent) -> consent_pb2.Consent:
    """What holds."""
    return consent_pb2.Consent(
        channel=consent.channel,  # type: ignore[arg-type]  # the numbers are those of the contract
        state=consent.state,  # type: ignore[arg-type]  # as above
        source=consent.source,  # type: ignore[arg-type]  # as above
        update_time=timestamp(consent.at),
    )


def change_message(change: ConsentChange) -> consent_pb2.ConsentChange:
    """A change."""
    return consent_pb2.ConsentChange(
        consent=consent_message(change.consent),
        before_state=change.before_state,  # type: ignore[arg-type]  # as above
        note=change.note,
        actor=change.actor,
    )
