-- version: 2
-- Sends in flight of these partitions whose customers have awaited one since before a domain time, after (partition, since,
-- customer) in this order. Parked customers wait for an operator.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids and times only.
CREATE OR REPLACE FUNCTION resting_sends(
    partitions smallint[], after_partition smallint, after_since timestamptz, after_customer uuid, until timestamptz,
    row_max integer
)
RETURNS TABLE (partition smallint, team_id uuid, customer_id uuid, enrolment_id uuid, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT a.partition, a.team_id, a.customer_id, e.enrolment_id, a.sending_since
      FROM (
        SELECT r.partition, r.team_id, r.customer_id, r.sending_since, r.live_enrolment_id, r.live_wait FROM actor AS r
         WHERE r.sending_since < until AND r.partition = ANY (partitions)
           AND (r.partition, r.sending_since, r.customer_id) > (after_partition, after_since, after_customer)
           AND NOT EXISTS (
                SELECT FROM parked_customer AS k
                 WHERE k.partition = r.partition AND k.team_id = r.team_id AND k.customer_id = r.customer_id)
         ORDER BY r.partition, r.sending_since, r.customer_id LIMIT row_max
      ) AS a
     CROSS JOIN LATERAL (
        SELECT a.live_enrolment_id AS enrolment_id WHERE a.live_wait = wait_reason('SEND')
        UNION ALL
        SELECT r.enrolment_id FROM enrolment AS r
         WHERE r.partition = a.partition AND r.team_id = a.team_id AND r.customer_id = a.customer_id
           AND r.rest = wait_reason('SEND')
     ) AS e
     ORDER BY a.partition, a.sending_since, a.customer_id
$$;
