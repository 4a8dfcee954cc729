"""What the parts of the servicer share."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from libs.common.callers import caller
from libs.common.mailbox.intake import Intake
from libs.common.phones import is_e164
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import Edge
from services.segment.usecases.accounts import Accounts
from services.segment.usecases.api_clients import ApiClients
from services.segment.usecases.attributes import Attributes
from services.segment.usecases.audience_changes import AudienceChanges
from services.segment.usecases.audiences import Audiences
from services.segment.usecases.audit import AuditTrail
from services.segment.usecases.conflicts import Conflicts
from services.segment.usecases.consents import Consents
from services.segment.usecases.contact_imports import ContactImports
from services.segment.usecases.customers import Customers
from services.segment.usecases.erasures import Erasures
from services.segment.usecases.evaluator import AudienceEvaluator
from services.segment.usecases.history import History
from services.segment.usecases.identities import Identities
from services.segment.usecases.merges import Merges
from services.segment.usecases.orders import Orders
from services.segment.usecases.person_exports import PersonExports
from services.segment.usecases.retention import Retentions
from services.segment.usecases.teams import Teams
from services.segment.worker.writers import Writer

NO_TEAM: Final = UUID(int=0)
"""Within which request ids are unique that are of no team."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the servicer calls."""

    teams: Teams
    api_clients: ApiClients
    audit_trail: AuditTrail
    conflicts: Conflicts
    consents: Consents
    contact_imports: ContactImports
    customers: Customers
    accounts: Accounts
    identities: Identities
    merges: Merges
    attributes: Attributes
    audience_changes: AudienceChanges
    audiences: Audiences
    evaluator: AudienceEvaluator
    history: History
    orders: Orders
    erasures: Erasures
    person_exports: PersonExports
    retentions: Retentions
    writer: Writer
    intake: Intake


class Base(Edge[Dependencies]):
    """Holds what the RPCs call."""

    async def countries(self, team_ids: Collection[str]) -> dict[str, str]:
        """The country in whose form each team writes phone numbers; empty for a team that is not there."""
        check = FieldCheck()
        ids = {text: check.uuid("team_id", text) for text in team_ids}
        found = await self._deps.teams.find({each for each in ids.values() if caller().sees(each)})
        return {text: found[each].settings.country if each in found else "" for text, each in ids.items()}

    async def country_for(self, team_id: str, phones: Iterable[str]) -> str:
        """The same of one team, asked for where it takes the country to read one of the numbers; else empty."""
        if all(not phone or is_e164(phone) for phone in phones):
            return ""
        return (await self.countries([team_id]))[team_id]
