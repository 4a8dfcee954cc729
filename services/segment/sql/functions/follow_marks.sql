-- Moves "last marketed" on as the gateway's history says, and the cursors with it, a transaction of its own. OJ003: the cursors are not
-- where they were; nothing is moved then. The later of two times counts, whatever the order. The plan is held to one probe a mark,
-- in the one order in which customers are locked.
CREATE OR REPLACE FUNCTION follow_marks(teams uuid[], steps cursor_row[], marks mark[], recorded timestamptz) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
BEGIN
    PERFORM platform.bind(teams);
    PERFORM move_gateway_cursors(steps);
    UPDATE customer AS c SET marketed_time = n.at, revision = c.revision + 1, update_time = recorded
      FROM (SELECT * FROM unnest(marks) ORDER BY team_id, customer_id) AS n
     WHERE c.team_id = n.team_id AND c.customer_id = n.customer_id
       AND (c.marketed_time IS NULL OR c.marketed_time < n.at);
END
$$;
