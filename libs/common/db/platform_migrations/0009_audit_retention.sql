-- Entries of the audit log are removed by their time, of all teams (`forget_audit_entries`).
CREATE INDEX audit_entry_by_time ON platform.audit_entry (changed_at);
