-- Claims the simulation that has waited longest and that nobody works on, for `claim_s` real seconds; no row if there is none.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to one; it returns ids only.
CREATE OR REPLACE FUNCTION claim_simulation(own uuid, claim_s double precision)
RETURNS TABLE (team_id uuid, simulation_id uuid)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    UPDATE simulation AS s
       SET state = operation_state('RUNNING'), tries = s.tries + 1, done = 0, counts = NULL, claim = own,
           claimed_until = clock_timestamp() + make_interval(secs => claim_s)
     WHERE (s.team_id, s.simulation_id) = (
        SELECT w.team_id, w.simulation_id FROM simulation AS w
         WHERE w.state IN (operation_state('PENDING'), operation_state('RUNNING'))
           AND (w.claimed_until IS NULL OR w.claimed_until < clock_timestamp())
         ORDER BY w.created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING s.team_id, s.simulation_id
$$;
