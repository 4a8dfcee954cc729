-- Sends of all teams that are to be given back and are settled, the first told first, at most `row_max`.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids only.
CREATE OR REPLACE FUNCTION refunds_due(row_max integer) RETURNS TABLE (team_id uuid, effect_key uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT r.team_id, r.effect_key
      FROM refund_due AS r
     WHERE (SELECT d.state FROM delivery AS d WHERE d.team_id = r.team_id AND d.effect_key = r.effect_key) < send_state('ACCEPTED')
     ORDER BY r.told_at LIMIT row_max
$$;
