-- Claims the erasure that has waited longest and that nobody works on, for `claim_s` real seconds; no row if there is none.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to one; it returns ids only.
CREATE OR REPLACE FUNCTION claim_erasure(own uuid, claim_s double precision)
RETURNS TABLE (team_id uuid, erasure_id uuid)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    UPDATE erasure AS e
       SET claim = own, claimed_until = clock_timestamp() + make_interval(secs => claim_s)
     WHERE (e.team_id, e.erasure_id) = (
        SELECT w.team_id, w.erasure_id FROM erasure AS w
         WHERE w.step < erasure_step('DONE') AND (w.claimed_until IS NULL OR w.claimed_until < clock_timestamp())
         ORDER BY w.created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING e.team_id, e.erasure_id
$$;
