-- version: 2
-- What is due at a domain time, of all partitions and teams, and when the next thing will be: timers of customers who are
-- not parked, and changes of journeys.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids and times only.
CREATE OR REPLACE FUNCTION look_ahead(now_domain timestamptz) RETURNS TABLE (due bigint, following timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    WITH timers AS (
        SELECT page.due, page.following
          FROM generate_series(0, 63) AS p (partition)
         CROSS JOIN LATERAL (
            SELECT (SELECT count(*) FROM actor AS a
                     WHERE a.partition = p.partition::smallint AND a.wake_at <= now_domain
                       AND NOT EXISTS (
                            SELECT FROM parked_customer AS k
                             WHERE k.partition = a.partition AND k.team_id = a.team_id
                               AND k.customer_id = a.customer_id)) AS due,
                   (SELECT a.wake_at FROM actor AS a
                     WHERE a.partition = p.partition::smallint AND a.wake_at > now_domain
                     ORDER BY a.wake_at LIMIT 1) AS following
         ) AS page
    ), changes AS (
        SELECT least(CASE WHEN status = journey_status('SCHEDULED') AND starts_at > now_domain THEN starts_at END,
                     CASE WHEN ends_at > now_domain THEN ends_at END) AS following
          FROM journey WHERE status IN (journey_status('SCHEDULED'), journey_status('ACTIVE'), journey_status('TRIGGER_CLOSED')) AND deleted_at IS NULL
    )
    SELECT (SELECT COALESCE(sum(timers.due), 0)::bigint FROM timers)
           + (SELECT count(*) FROM changing_journeys_v3(now_domain)),
           least((SELECT min(timers.following) FROM timers), (SELECT min(changes.following) FROM changes))
$$;
