-- Sends of all teams of which a channel has told something and which are settled by now, at most `row_max`.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids only.
CREATE OR REPLACE FUNCTION taken_due(row_max integer) RETURNS TABLE (team_id uuid, effect_key uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT DISTINCT t.team_id, t.effect_key
      FROM taken_message AS t
     WHERE (SELECT d.state FROM delivery AS d WHERE d.team_id = t.team_id AND d.effect_key = t.effect_key) < send_state('ACCEPTED')
     LIMIT row_max
$$;
