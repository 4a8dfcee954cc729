-- Claims the oldest rebuild that has not ended, for `claim_s` real seconds; no row while somebody works on it, or if there is none. One at
-- a time: each reads all histories. It runs with its owner's rights, since a worker finds work of all teams before it can bind a
-- transaction to one; it returns ids only.
CREATE OR REPLACE FUNCTION claim_rebuild(own uuid, claim_s double precision)
RETURNS TABLE (team_id uuid, rebuild_id uuid)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    UPDATE rebuild AS r
       SET state = operation_state('RUNNING'), tries = r.tries + 1, claim = own, claimed_until = clock_timestamp() + make_interval(secs => claim_s)
     WHERE (r.team_id, r.rebuild_id) = (
        SELECT w.team_id, w.rebuild_id FROM rebuild AS w WHERE w.state IN (operation_state('PENDING'), operation_state('RUNNING'))
         ORDER BY w.created_at, w.rebuild_id LIMIT 1 FOR UPDATE SKIP LOCKED)
       AND (r.claimed_until IS NULL OR r.claimed_until < clock_timestamp())
    RETURNING r.team_id, r.rebuild_id
$$;
