"""What definitions name, audiences included, which only the contract can read."""

from __future__ import annotations

from libs.common.audience.expressions import AnyOf, Expression
from libs.common.audience.reading import read_audience
from omnijourney.segment.v1 import audience_pb2
from services.journey.domain.model import Definition
from services.journey.domain.references import Reference, references_of


def named_by(definition: Definition) -> tuple[Reference, ...]:
    """See `references_of`."""
    return references_of(definition, expression_of)


def expression_of(audience: bytes) -> Expression:
    """As far as it can be read: what has faults names nothing."""
    message = audience_pb2.Audience.FromString(audience)
    return read_audience(message).expression if message.WhichOneof("expression") else AnyOf(())
