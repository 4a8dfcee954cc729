-- The orphans that were found in these partitions and are not healed, but for those of parked customers.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids and times only.
CREATE OR REPLACE FUNCTION known_orphans(partitions smallint[], row_max integer)
RETURNS TABLE (partition smallint, team_id uuid, customer_id uuid, enrolment_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT o.partition, o.team_id, o.customer_id, o.enrolment_id FROM orphan AS o
     WHERE o.partition = ANY (partitions)
       AND NOT EXISTS (
            SELECT FROM parked_customer AS k
             WHERE k.partition = o.partition AND k.team_id = o.team_id AND k.customer_id = o.customer_id)
     LIMIT row_max
$$;
