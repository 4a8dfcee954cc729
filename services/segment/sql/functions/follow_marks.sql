-- version: 2
-- Moves "last marketed" on as the gateway's history says, and the cursors with it, a transaction of its own. OJ003: the cursors are not
-- where they were; nothing is moved then. The later of two times counts, whatever the order, and none is ahead
-- of `recorded`. The plan is held to one probe a mark,
-- in the one order in which customers are locked.
CREATE OR REPLACE FUNCTION follow_marks(teams uuid[], steps cursor_row[], marks mark[], recorded timestamptz) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
BEGIN
    PERFORM platform.bind(teams);
    PERFORM move_gateway_cursors(steps);
    UPDATE customer AS c SET marketed_time = LEAST(n.at, recorded), revision = c.revision + 1, update_time = recorded
      FROM (SELECT * FROM unnest(marks) ORDER BY team_id, customer_id) AS n
     WHERE c.team_id = n.team_id AND c.customer_id = n.customer_id
       AND (c.marketed_time IS NULL OR c.marketed_time < LEAST(n.at, recorded));
    IF EXISTS (SELECT FROM merged_customer AS m WHERE m.team_id = ANY (teams)) THEN
        UPDATE customer AS c SET marketed_time = LEAST(n.at, recorded), revision = c.revision + 1, update_time = recorded
          FROM (SELECT m.team_id, m.survivor_id, max(k.at) AS at
                  FROM unnest(marks) AS k
                  JOIN merged_customer AS m ON m.team_id = k.team_id AND m.customer_id = k.customer_id
                 GROUP BY 1, 2 ORDER BY 1, 2) AS n
         WHERE c.team_id = n.team_id AND c.customer_id = n.survivor_id
           AND (c.marketed_time IS NULL OR c.marketed_time < LEAST(n.at, recorded));
    END IF;
END
$$;
