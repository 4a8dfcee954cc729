-- version: 2
-- Moves "last marketed" on, a transaction of its own: `moved` are the places of marks that moved it, `present` those of
-- customers that are there (null: all). The later of two times, whatever the order and however often they are told, so
-- marks are not remembered. The plan is held to one probe a mark, in the one order in which customers are locked.
CREATE OR REPLACE FUNCTION mark_marketed(
    teams uuid[], marks mark[], recorded timestamptz, OUT moved integer[], OUT present integer[])
LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
BEGIN
    PERFORM platform.bind(teams);
    WITH updated AS (
        UPDATE customer AS c SET marketed_time = LEAST(n.at, recorded), revision = c.revision + 1, update_time = recorded
          FROM (SELECT * FROM unnest(marks) ORDER BY team_id, customer_id) AS n
         WHERE c.team_id = n.team_id AND c.customer_id = n.customer_id
           AND (c.marketed_time IS NULL OR c.marketed_time < LEAST(n.at, recorded))
        RETURNING n.place
    )
    SELECT array_agg(place) INTO moved FROM updated;
    IF moved IS NULL OR cardinality(moved) < cardinality(marks) THEN
        present := ARRAY(
            SELECT n.place FROM unnest(marks) AS n
             CROSS JOIN LATERAL (
                SELECT FROM customer AS r WHERE r.team_id = n.team_id AND r.customer_id = n.customer_id LIMIT 1
             ) AS c
        );
    END IF;
END
$$;
