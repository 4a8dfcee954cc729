"""Entries of the audit log, as they are listed."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID


class AuditFilter(NamedTuple):
    """Which entries of a team are meant; what is empty or None excludes none."""

    actor: str
    resource_type: str
    resource_id: str
    start_at: datetime | None
    end_at: datetime | None


class AuditEntry(NamedTuple):
    """Who changed what. The row of `list_audit_entries`, in its order."""

    audit_entry_id: UUID
    changed_at: datetime
    """Real time."""
    actor: str
    client_id: UUID
    method: str
    request_id: str
    resource_type: str
    resource_id: str
    fields: list[str]
    before: str
    after: str
    cut: bool
