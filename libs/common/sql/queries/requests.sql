-- Request ids of writes, with the answers that they got; `request_log` of each service.

-- name: claim_request
-- A second request with the id waits here until the first one's transaction has ended.
INSERT INTO request_log (team_id, request_id, digest) VALUES (:team_id, :request_id, :digest)
ON CONFLICT (team_id, request_id) DO NOTHING
RETURNING true

-- name: recall_request
SELECT digest, answer FROM request_log WHERE team_id = :team_id AND request_id = :request_id

-- name: answer_request
UPDATE request_log SET answer = :answer WHERE team_id = :team_id AND request_id = :request_id

-- name: answer_request_with_entry
-- The same, and the entry of the audit log that is due: one round trip for both.
WITH answered AS (UPDATE request_log SET answer = :answer WHERE team_id = :team_id AND request_id = :request_id)
INSERT INTO platform.audit_entry (team_id, audit_entry_id, actor, client_id, method, request_id, resource_type, resource_id, fields,
                                  before, after, cut)
VALUES (:team_id, :audit_entry_id, :actor, :client_id, :method, :request_id, :resource_type, :resource_id, :fields, :before, :after, :cut)

-- name: forget_requests
SELECT forget_requests(clock_timestamp() - make_interval(secs => :older_than_s), :row_max)

-- name: erase_answers
SELECT erase_answers(:team_id, :after, :row_max, :identifiers::text[]) AS last
