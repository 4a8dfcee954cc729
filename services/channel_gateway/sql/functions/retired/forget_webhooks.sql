-- Removes the oldest webhooks of all teams that are worked and were received before a time, with what was refused of them; returns how
-- many. It looks at `row_max` worked ones at most, in order of receipt. It runs with its owner's rights, since no transaction is
-- bound to all teams; it returns a number only.
CREATE OR REPLACE FUNCTION forget_webhooks(received_before timestamptz, row_max integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    WITH old AS MATERIALIZED (
        SELECT worked.sequence
          FROM (SELECT i.sequence, i.received_at FROM webhook_inbox AS i
                 WHERE i.state <> inbox_state('STORED') ORDER BY i.sequence LIMIT row_max) AS worked
         WHERE worked.received_at < received_before
    ), refusals AS (
        DELETE FROM inbox_refusal AS r USING old WHERE r.sequence = old.sequence
    ), gone AS (
        DELETE FROM webhook_inbox AS i USING old
         WHERE i.sequence = old.sequence AND i.state <> inbox_state('STORED') RETURNING i.sequence
    )
    SELECT count(*) FROM gone
$$;
