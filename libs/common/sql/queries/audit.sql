-- The audit log, which services add to and change nothing in.

-- name: add_audit_entry
INSERT INTO platform.audit_entry (team_id, audit_entry_id, actor, client_id, method, request_id, resource_type, resource_id, fields,
                                  before, after, cut)
VALUES (:team_id, :audit_entry_id, :actor, :client_id, :method, :request_id, :resource_type, :resource_id, :fields, :before, :after, :cut)

-- name: add_audit_entries
-- One for each of the teams; a transaction of its own.
SELECT platform.add_audit_entries(:team_ids, :audit_entry_ids, :actor, :client_id, :method, :request_id, :resource_type, :resource_id,
                                  :fields, :before, :after, :cut)
