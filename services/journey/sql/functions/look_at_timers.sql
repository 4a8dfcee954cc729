-- Customers of these partitions whose timer is due, earliest first: at most `row_max`, and `each_max` of a partition, so that
-- the cost is that of what is returned however many are due. A last row without a customer tells the first timer after `until`.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids and times only.
CREATE OR REPLACE FUNCTION look_at_timers(partitions smallint[], until timestamptz, row_max integer, each_max integer)
RETURNS TABLE (partition smallint, team_id uuid, customer_id uuid, wake_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    (SELECT page.* FROM unnest(partitions) AS p (partition)
      CROSS JOIN LATERAL (
        SELECT a.partition, a.team_id, a.customer_id, a.wake_at
          FROM actor AS a
         WHERE a.partition = p.partition AND a.wake_at <= until
           AND NOT EXISTS (
                SELECT FROM parked_customer AS k
                 WHERE k.partition = a.partition AND k.team_id = a.team_id AND k.customer_id = a.customer_id)
         ORDER BY a.wake_at LIMIT each_max
      ) AS page
      ORDER BY page.wake_at LIMIT row_max)
    UNION ALL
    SELECT NULL, NULL, NULL, (
        SELECT min(page.wake_at)
          FROM unnest(partitions) AS p (partition)
         CROSS JOIN LATERAL (
            SELECT a.wake_at FROM actor AS a
             WHERE a.partition = p.partition AND a.wake_at > until
             ORDER BY a.wake_at LIMIT 1
         ) AS page)
$$;
