"""What the parts of the servicer share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from libs.common.mailbox.intake import Intake
from libs.common.rpc.servicing import Edge
from services.segment.usecases.api_clients import ApiClients
from services.segment.usecases.attributes import Attributes
from services.segment.usecases.audiences import Audiences
from services.segment.usecases.customers import Customers
from services.segment.usecases.evaluator import AudienceEvaluator
from services.segment.usecases.history import History
from services.segment.usecases.identities import Identities
from services.segment.usecases.teams import Teams
from services.segment.worker.writers import Writer

NO_TEAM: Final = UUID(int=0)
"""Within which request ids are unique that are of no team."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the servicer calls."""

    teams: Teams
    api_clients: ApiClients
    customers: Customers
    identities: Identities
    attributes: Attributes
    audiences: Audiences
    evaluator: AudienceEvaluator
    history: History
    writer: Writer
    intake: Intake


class Base(Edge[Dependencies]):
    """Holds what the RPCs call."""
