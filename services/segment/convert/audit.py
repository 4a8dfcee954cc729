"""Entries of the audit log: domain → messages."""

from __future__ import annotations

from libs.common.rpc.values import timestamp
from omnijourney.segment.v1 import consent_pb2
from services.segment.domain.audit import AuditEntry


def entry_message(entry: AuditEntry) -> consent_pb2.AuditEntry:
    """An entry."""
    return consent_pb2.AuditEntry(
        audit_entry_id=str(entry.audit_entry_id),
        actor=entry.actor,
        api_client_id=str(entry.client_id),
        method=entry.method,
        request_id=entry.request_id,
        resource_type=entry.resource_type,
        resource_id=entry.resource_id,
        fields=entry.fields,
        before_json=entry.before,
        after_json=entry.after,
        cut=entry.cut,
        change_time=timestamp(entry.changed_at),
    )
