-- version: 2
-- How many deliveries are not settled and webhooks not worked, and the domain time of the oldest.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids and times only.
CREATE OR REPLACE FUNCTION unsettled(OUT pending bigint, OUT oldest timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT d.pending + w.pending, LEAST(d.oldest, w.oldest)
      FROM (SELECT count(*) AS pending, min(created_at) AS oldest
              FROM delivery WHERE stint_id = ANY (ARRAY(SELECT s.stint_id FROM sender_stint AS s)) AND state >= send_state('ACCEPTED')) AS d,
           (SELECT count(*) AS pending, min(received_at) AS oldest FROM webhook_inbox WHERE state = inbox_state('STORED')) AS w
$$;
