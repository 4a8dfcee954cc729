-- Looks at the next facts of all partitions, `row_max` in all at most, and notes those that are behind the place up to which their team's
-- history was emptied, or texts of messages (`message_kind` in bodies) were taken out of it; how many of the fullest partition were
-- looked at, times 64. It runs with its owner's rights, since no transaction is bound to all teams; it returns a number only.
CREATE OR REPLACE FUNCTION note_overdue_facts(message_kind integer, row_max integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
DECLARE
    looked bigint;
BEGIN
    -- Whoever moves a place shares these rows: it read all that was recorded before this, or this sees the place moved.
    PERFORM FROM overdue_cursor ORDER BY partition FOR UPDATE;
    IF NOT EXISTS (SELECT FROM fact_pruning) AND NOT EXISTS (SELECT FROM text_pruning) THEN
        UPDATE overdue_cursor AS c SET position = h.position
          FROM history_head AS h WHERE h.partition = c.partition AND h.position > c.position;
        RETURN 0;
    END IF;
    WITH page AS MATERIALIZED (
        SELECT each.*
          FROM overdue_cursor AS c
          JOIN history_head AS h ON h.partition = c.partition AND h.position > c.position
         CROSS JOIN LATERAL (
            SELECT f.partition, f.position, f.team_id, f.customer_id, f.occur_time,
                   octet_length(f.body) > 1 AND get_byte(f.body, 1) = message_kind AS is_message
              FROM fact AS f
             WHERE f.partition = c.partition AND f.position > c.position
             ORDER BY f.position LIMIT GREATEST(row_max / 64, 1)
         ) AS each
    ), facts AS (
        INSERT INTO overdue_fact (team_id, text_only, partition, position)
        SELECT p.team_id, false, p.partition, p.position
          FROM page AS p JOIN fact_pruning AS g ON g.team_id = p.team_id
         WHERE p.customer_id IS NOT NULL
           AND (p.occur_time, p.partition, p.position) <= (g.occur_time, g.partition, g.position)
        ON CONFLICT DO NOTHING
    ), texts AS (
        INSERT INTO overdue_fact (team_id, text_only, partition, position)
        SELECT p.team_id, true, p.partition, p.position
          FROM page AS p JOIN text_pruning AS g ON g.team_id = p.team_id
         WHERE p.is_message AND (p.occur_time, p.partition, p.position) <= (g.occur_time, g.partition, g.position)
        ON CONFLICT DO NOTHING
    ), seen AS (
        SELECT p.partition, max(p.position) AS position, count(*) AS facts FROM page AS p GROUP BY p.partition
    ), moved AS (
        UPDATE overdue_cursor AS c SET position = s.position FROM seen AS s WHERE c.partition = s.partition
    )
    SELECT COALESCE(max(s.facts), 0) * 64 INTO looked FROM seen AS s;
    RETURN looked;
END
$$;
