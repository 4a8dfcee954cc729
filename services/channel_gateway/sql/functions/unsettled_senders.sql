-- version: 2
-- Who works on deliveries that are not settled.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids and times only.
CREATE OR REPLACE FUNCTION unsettled_senders() RETURNS TABLE (team_id uuid, sender uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT DISTINCT d.team_id, d.sender
      FROM delivery AS d
     WHERE d.stint_id = ANY (ARRAY(SELECT s.stint_id FROM sender_stint AS s)) AND d.state >= send_state('ACCEPTED')
$$;
